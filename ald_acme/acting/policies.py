"""Samples actions of a recurrent network for a batch of environments."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from absl import logging
import dm_env
import numpy as np

from ald_acme import activity
from ald_acme import distributions
from ald_acme import types
from ald_acme.acting.inference import lite
from ald_acme.acting.inference import xla
from ald_acme.networks import protocols


class Decision(NamedTuple):
  """Actions and the policy that sampled them.

  Attributes:
    action: in the environments' form, a nest of `[E, ...]`.
    sample: the same as the distribution samples it, `[E, ...]`.
    policy: float32 `[E, P]`, parameters of the distribution.
  """

  action: types.Nest
  sample: np.ndarray
  policy: np.ndarray


def inputs_at(timestep: dm_env.TimeStep, sample: np.ndarray) -> types.Inputs:
  """A network's inputs at a batched time step, leaves `[E, ...]`.

  Args:
    timestep: time step of E environments.
    sample: the previous action, as the distribution samples it.
  """
  return types.Inputs(
    observation=timestep.observation,
    action=sample,
    reward=timestep.reward,
    start_of_episode=timestep.step_type == int(dm_env.StepType.FIRST),
  )


def choose(
  distribution: distributions.Distribution,
  parameters: np.ndarray,
  rng: np.random.Generator | None,
) -> np.ndarray:
  """Samples actions, or returns the mode if `rng` is None."""
  if rng is None:
    return distribution.mode(parameters)
  return distribution.sample(parameters, rng)


class BatchedPolicy:
  """Acts in E environments with one compiled inference per step."""

  def __init__(
    self,
    network: protocols.Network,
    observation_spec: types.Nest,
    batch_size: int,
    seed: Any,
    deterministic: bool = False,
  ) -> None:
    """Starts from the initial state.

    Args:
      network: its variables exist.
      observation_spec: of one environment, a nest of specs with `shape` and
        `dtype`.
      batch_size: E.
      seed: seed of the actions; anything that `np.random.default_rng` takes.
      deterministic: whether to take the distribution's mode instead of samples.
    """
    self._deterministic = deterministic
    self._rng = np.random.default_rng(seed)
    self._distribution = network.distribution
    with activity.compiling('its step'):
      self._step = _compile(network, observation_spec, batch_size)
    self._sample = np.zeros(
      (batch_size, *self._distribution.shape), self._distribution.dtype
    )

  @property
  def runtime(self) -> str:
    """The runtime of the steps: 'TensorFlow Lite' or 'XLA'."""
    return self._step.NAME

  @property
  def state(self) -> types.Nest:
    """The recurrent state before the next step, arrays `[E, ...]`."""
    return self._step.state

  def reset(self) -> None:
    """Resets the recurrent state."""
    self._step.reset()
    self._sample = np.zeros_like(self._sample)

  def load(self, parameters: Sequence[np.ndarray]) -> None:
    """Replaces the parameters.

    Args:
      parameters: in the order of the network's trainable variables.
    """
    self._step.load(parameters)

  def inputs(self, timestep: dm_env.TimeStep) -> types.Inputs:
    """The network's inputs at a batched time step, leaves `[E, ...]`."""
    return inputs_at(timestep, self._sample)

  def step(self, inputs: types.Inputs) -> Decision:
    """Samples actions and advances the recurrent state.

    Args:
      inputs: the result of `inputs`.

    Returns:
      The actions and the parameters of their distribution.

    Raises:
      FloatingPointError: if the network's output is NaN or infinite.
    """
    with activity.doing('infer'):
      parameters = self._step(inputs)
    activity.moved()
    if not np.isfinite(parameters).all():
      bad = np.argwhere(~np.isfinite(parameters))
      raise FloatingPointError(
        f'policy parameters must be finite, but {len(bad)} of '
        f'{parameters.size} are not; the first is {parameters[tuple(bad[0])]}, '
        f'in environment {bad[0][0]}: the acting network has diverged. Resume '
        'from an earlier checkpoint with a lower learning rate.'
      )
    rng = None if self._deterministic else self._rng
    self._sample = choose(self._distribution, parameters, rng)
    action = self._distribution.to_environment(self._sample)
    return Decision(action, self._sample, parameters)


def _compile(
  network: protocols.Network, observation_spec: types.Nest, batch_size: int
) -> lite.LiteStep | xla.XLAStep:
  """Compiles the network's step for the fastest runtime."""
  if getattr(network, 'prefers_tflite', False):
    try:
      return lite.LiteStep(network, observation_spec, batch_size)
    except ValueError as error:
      logging.warning('%s. Falling back to XLA, which is slower here.', error)
  return xla.XLAStep(network, observation_spec, batch_size)

"""Sampling actions from a recurrent network, many environments at a time."""

from collections.abc import Sequence
from typing import NamedTuple

from absl import logging
import dm_env
import numpy as np

from ald_acme import types
from ald_acme.acting.inference import lite
from ald_acme.acting.inference import xla


class Decision(NamedTuple):
  """What a policy answers: int32 `[E]` and float32 `[E, A]`."""

  action: np.ndarray
  logits: np.ndarray


class BatchedPolicy:
  """Acts in E environments with one compiled inference a step."""

  def __init__(self, network, environment_spec, batch_size: int, seed):
    """Begins with an empty state.

    Args:
      network: a `PolicyValueNetwork` whose variables exist.
      environment_spec: an `acme.specs.EnvironmentSpec` with discrete actions.
      batch_size: E.
      seed: of the actions' noise; anything that `np.random.default_rng` takes.
    """
    self._rng = np.random.default_rng(seed)
    self._step = _compile(network, environment_spec.observations, batch_size)
    self._action = np.zeros(batch_size, np.int32)

  @property
  def runtime(self) -> str:
    """What takes the steps: 'TensorFlow Lite' or 'XLA'."""
    return self._step.NAME

  @property
  def state(self):
    """The recurrent state before the next step, arrays `[E, ...]`."""
    return self._step.state

  def reset(self):
    """Forgets everything."""
    self._step.reset()
    self._action = np.zeros_like(self._action)

  def load(self, parameters: Sequence[np.ndarray]):
    """Acts with other parameters from now on.

    Args:
      parameters: in the order of the network's trainable variables.
    """
    self._step.load(parameters)

  def inputs(self, timestep: dm_env.TimeStep) -> types.Inputs:
    """What the network sees of a batched time step, leaves `[E, ...]`."""
    return types.Inputs(
      observation=timestep.observation,
      action=self._action,
      reward=timestep.reward,
      start_of_episode=timestep.step_type == int(dm_env.StepType.FIRST),
    )

  def step(self, inputs: types.Inputs) -> Decision:
    """Samples actions and moves the state on.

    Args:
      inputs: as `inputs` gave them.

    Returns:
      The actions and the logits that they were sampled from.
    """
    logits = self._step(inputs)
    # The Gumbel-max trick.
    noise = self._rng.gumbel(size=logits.shape).astype(np.float32)
    self._action = np.argmax(logits + noise, -1).astype(np.int32)
    return Decision(self._action, logits)


def _compile(network, observation_spec, batch_size: int):
  """The network's step in the runtime that is quickest for it."""
  if getattr(network, 'small_step', False):
    try:
      return lite.LiteStep(network, observation_spec, batch_size)
    except ValueError as error:
      logging.warning('%s It acts in TensorFlow, more slowly.', error)
  return xla.XLAStep(network, observation_spec, batch_size)

"""Batched environments: their interface, and conversions to `dm_env`."""

import abc
from collections.abc import Sequence
from typing import Any

import dm_env
from dm_env import specs
import numpy as np
import tree

from ald_acme.environments.interface import actions
from ald_acme.environments.interface import dtypes


class BatchedEnvironment(abc.ABC):
  """E environments that step together.

  `reset` and `step` return a `dm_env.TimeStep` whose leaves are arrays with a
  leading dimension E: `step_type` int64 `[E]`, `reward` and `discount` float32
  `[E]`, `observation` a nest of `[E, ...]`. A FIRST step has reward 0 and
  discount 1. Observations have dtypes that `dtypes.taken` does not change. As
  in `dm_env`, stepping an environment after LAST ignores the action and returns
  the FIRST step of a new episode.

  Specs describe a single environment.
  """

  @property
  @abc.abstractmethod
  def batch_size(self) -> int:
    """E, the number of environments."""

  @abc.abstractmethod
  def reset(self) -> dm_env.TimeStep:
    """Starts a new episode in every environment."""

  @abc.abstractmethod
  def step(self, action: Any) -> dm_env.TimeStep:
    """Steps every environment; `action` has leaves `[E, ...]`."""

  def begin_step(self, action: Any) -> None:
    """Starts a step that `end_step` completes.

    No other method may be called in between. An environment that cannot step in
    the background does the whole step in `end_step`.

    Args:
      action: as for `step`.
    """
    self._begun = action

  def end_step(self) -> dm_env.TimeStep:
    """Completes the step of `begin_step`; returns and raises as `step`."""
    return self.step(self._begun)

  def halves(self) -> Sequence['BatchedEnvironment']:
    """Splits the batch into halves that step independently, if it can.

    One half may step in the background (`begin_step`) while the caller works on
    the other. After the split only the halves may be stepped; `metrics` of the
    whole batch may be read between steps.

    Returns:
      The first and the second half, or this batch alone.
    """
    return [self]

  @abc.abstractmethod
  def observation_spec(self) -> Any:
    """The spec of one environment's observation, a nest of `specs.Array`."""

  @abc.abstractmethod
  def action_spec(self) -> Any:
    """The spec of one environment's action.

    A `specs.DiscreteArray`, a `specs.BoundedArray` with finite bounds, or a
    nest of them.
    """

  def reward_spec(self) -> specs.Array:
    return specs.Array((), np.float32, name='reward')

  def discount_spec(self) -> specs.BoundedArray:
    return specs.BoundedArray((), np.float32, 0.0, 1.0, name='discount')

  def keep_tasks(self) -> None:
    """Keeps tasks across episodes until `new_tasks` is called.

    By default every episode draws its own task. Does nothing in environments
    without tasks.
    """

  def new_tasks(self, which: np.ndarray) -> None:
    """Draws new tasks for some environments, for their next episodes.

    Args:
      which: bool `[E]`.
    """

  def restart(self, which: np.ndarray) -> bool:
    """Makes the next step start a new episode in some environments.

    That step ignores the action, as after LAST.

    Args:
      which: bool `[E]`.

    Returns:
      Whether the environments support it; otherwise nothing changes.
    """
    return False

  @property
  def lost(self) -> np.ndarray:
    """Where the last step ended an episode to be discarded, bool `[E]`.

    An episode is lost if its environment failed and was recreated.
    """
    return np.zeros(self.batch_size, bool)

  def metrics(self) -> dict[str, float]:
    """Further metrics to log; the keys never change."""
    return {}

  def action_names(self) -> Sequence[str] | None:
    """Names of the discrete actions, in order; None without names."""
    return None

  def agent_in_window(self) -> tuple[int, int] | None:
    """Row and column of the agent in its observed window, if any."""
    return None

  def render(self, index: int = 0) -> np.ndarray:
    """An RGB image of one environment, uint8 `[height, width, 3]`."""
    raise ValueError(f'{type(self).__name__} cannot render.')

  def close(self) -> None:
    """Releases resources."""


def timestep(
  first: np.ndarray,
  last: np.ndarray,
  reward: np.ndarray,
  observation: Any,
  truncated: np.ndarray | bool = False,
) -> dm_env.TimeStep:
  """Creates a batched time step.

  Args:
    first: bool `[E]`, where an episode starts.
    last: bool `[E]`, where an episode ends.
    reward: numbers `[E]`; replaced by 0 where an episode starts.
    observation: a nest of `[E, ...]`.
    truncated: bool `[E]` or a scalar; where an episode ends, whether it is
      truncated (discount 1) or terminated (0).
  """
  return dm_env.TimeStep(
    step_type=np.where(
      first,
      int(dm_env.StepType.FIRST),
      np.where(last, int(dm_env.StepType.LAST), int(dm_env.StepType.MID)),
    ),
    reward=reward.astype(np.float32),
    discount=(~last | truncated).astype(np.float32),
    observation=observation,
  )


def as_batch(timestep: dm_env.TimeStep) -> dm_env.TimeStep:
  """Converts a single environment's time step to a batch of one.

  Observations are copied and cast (`dtypes.taken`). A time step that is already
  a batch is returned unchanged.

  Raises:
    ValueError: if a uint64 overflows int64.
  """
  if np.ndim(timestep.step_type):
    return timestep
  batch = raw_batch([timestep])
  with np.errstate(over='ignore'):
    reward, discount = (
      x.astype(np.float32) for x in (batch.reward, batch.discount)
    )
  return batch._replace(
    reward=reward,
    discount=discount,
    observation=tree.map_structure(
      lambda x: dtypes.cast(x, dtypes.taken(x.dtype)), batch.observation
    ),
  )


def raw_batch(steps: Sequence[dm_env.TimeStep]) -> dm_env.TimeStep:
  """Stacks time steps of single environments, without checks or casts.

  Rewards and discounts are float64, so that later checks detect overflows.
  """
  first = [step.step_type == dm_env.StepType.FIRST for step in steps]
  return dm_env.TimeStep(
    step_type=np.array([int(step.step_type) for step in steps]),
    reward=np.array(
      [0.0 if f else s.reward for f, s in zip(first, steps)], np.float64
    ),
    discount=np.array(
      [1.0 if f else s.discount for f, s in zip(first, steps)], np.float64
    ),
    observation=_stack([step.observation for step in steps]),
  )


def _stack(nests: Sequence[Any]) -> Any:
  if all(type(nest) is np.ndarray for nest in nests):
    # As `np.stack`, which takes five times as long for small arrays.
    return np.concatenate([array[np.newaxis] for array in nests])
  return tree.map_structure(lambda *leaves: np.stack(leaves), *nests)


def unbatch(timestep: dm_env.TimeStep, index: int) -> dm_env.TimeStep:
  """The time step of one environment of a batch."""
  step_type = dm_env.StepType(int(timestep.step_type[index]))
  observation = tree.map_structure(lambda x: x[index], timestep.observation)
  if step_type is dm_env.StepType.FIRST:
    return dm_env.restart(observation)
  reward, discount = timestep.reward[index], timestep.discount[index]
  return dm_env.TimeStep(step_type, reward, discount, observation)


class Single(dm_env.Environment):
  """A batched environment of size 1 as a `dm_env.Environment`."""

  def __init__(self, batched: BatchedEnvironment) -> None:
    if batched.batch_size != 1:
      raise ValueError(
        'Single needs a batch of 1, but received batch_size='
        f'{batched.batch_size}; make the environment with batch_size=1.'
      )
    self._batched = batched

  def reset(self) -> dm_env.TimeStep:
    return unbatch(self._batched.reset(), 0)

  def step(self, action: Any) -> dm_env.TimeStep:
    """Steps the environment.

    Raises:
      ValueError: if the action does not match its spec.
    """
    actions.validate(self._batched.action_spec(), action)
    batch = tree.map_structure(lambda x: np.asarray(x)[np.newaxis], action)
    return unbatch(self._batched.step(batch), 0)

  def observation_spec(self) -> Any:
    return self._batched.observation_spec()

  def action_spec(self) -> Any:
    return self._batched.action_spec()

  def reward_spec(self) -> specs.Array:
    return self._batched.reward_spec()

  def discount_spec(self) -> specs.BoundedArray:
    return self._batched.discount_spec()

  def render(self) -> np.ndarray:
    """An RGB image, uint8 `[height, width, 3]`."""
    return self._batched.render(0)

  def close(self) -> None:
    self._batched.close()

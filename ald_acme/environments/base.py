"""Many environments that step at once, and one of them as a `dm_env`."""

import abc
from collections.abc import Callable, Sequence
from typing import Any

import dm_env
from dm_env import specs
import numpy as np
import tree

from ald_acme.environments import actions
from ald_acme.environments import contract


class BatchedEnvironment(abc.ABC):
  """E environments behind one call.

  `reset` and `step` return a `dm_env.TimeStep` whose leaves are arrays with a
  leading dimension E: `step_type` int64 `[E]`, `reward` and `discount` float32
  `[E]`, `observation` a nest of `[E, ...]`. Where a step is FIRST its reward is
  0 and its discount 1. As in `dm_env`, stepping an environment whose last step
  was LAST ignores the action and gives the FIRST step of a new episode.

  Specs are those of a single environment.
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

  @abc.abstractmethod
  def observation_spec(self) -> Any:
    """A nest of `specs.Array` for one environment's observation."""

  @abc.abstractmethod
  def action_spec(self) -> Any:
    """The actions of one environment.

    A `specs.DiscreteArray`, a `specs.BoundedArray` with finite bounds, or a
    nest of them.
    """

  def reward_spec(self) -> specs.Array:
    return specs.Array((), np.float32, name='reward')

  def discount_spec(self) -> specs.BoundedArray:
    return specs.BoundedArray((), np.float32, 0.0, 1.0, name='discount')

  def keep_tasks(self):
    """Has tasks stay from now on, until `new_tasks` asks for others.

    Else every episode draws a task of its own. Does nothing where there is
    nothing that an episode could tell about the next.
    """

  def new_tasks(self, which: np.ndarray):
    """Draws new tasks for some environments, from their next episode on.

    Args:
      which: bool `[E]`.
    """

  def restart(self, which: np.ndarray) -> bool:
    """Has the next step begin a new episode in some environments.

    As after LAST, whatever the last step was: that step ignores the action.

    Args:
      which: bool `[E]`.

    Returns:
      Whether these environments can do so; where not, nothing changes.
    """
    return False

  def metrics(self) -> dict[str, float]:
    """What else there is to log; the same keys from the beginning on."""
    return {}

  def render(self, index: int = 0) -> np.ndarray:
    """An RGB picture of one environment, uint8 `[height, width, 3]`."""
    raise ValueError(f'{type(self).__name__} cannot render.')

  def close(self):
    """Frees what the environments hold."""


def timestep(
  first: np.ndarray, last: np.ndarray, reward: np.ndarray, observation: Any
) -> dm_env.TimeStep:
  """A batched time step whose discount is 0 where an episode ends.

  Args:
    first: bool `[E]`, where an episode begins.
    last: bool `[E]`, where an episode ends.
    reward: numbers `[E]`, 0 where an episode begins.
    observation: a nest of `[E, ...]`.
  """
  return dm_env.TimeStep(
    step_type=np.where(
      first,
      int(dm_env.StepType.FIRST),
      np.where(last, int(dm_env.StepType.LAST), int(dm_env.StepType.MID)),
    ),
    reward=reward.astype(np.float32),
    discount=np.where(last, 0.0, 1.0).astype(np.float32),
    observation=observation,
  )


def as_batch(timestep: dm_env.TimeStep) -> dm_env.TimeStep:
  """A single environment's time step as a batch of one; a batch as it is."""
  if np.ndim(timestep.step_type):
    return timestep
  first = timestep.first()
  return dm_env.TimeStep(
    step_type=np.array([int(timestep.step_type)]),
    reward=np.array([0.0 if first else timestep.reward], np.float32),
    discount=np.array([1.0 if first else timestep.discount], np.float32),
    observation=tree.map_structure(
      lambda x: np.asarray(x)[np.newaxis], timestep.observation
    ),
  )


class Single(dm_env.Environment):
  """The `dm_env` face of a batched environment of one."""

  def __init__(self, batched: BatchedEnvironment):
    if batched.batch_size != 1:
      raise ValueError(
        'Single needs a batch of 1, but received batch_size='
        f'{batched.batch_size}; make the environment with batch_size=1.'
      )
    self._batched = batched

  def reset(self) -> dm_env.TimeStep:
    return self._unbatch(self._batched.reset())

  def step(self, action) -> dm_env.TimeStep:
    """Steps it.

    Raises:
      ValueError: if there is no such action.
    """
    actions.validate(self._batched.action_spec(), action)
    batch = tree.map_structure(lambda x: np.asarray(x)[np.newaxis], action)
    return self._unbatch(self._batched.step(batch))

  def _unbatch(self, timestep: dm_env.TimeStep) -> dm_env.TimeStep:
    step_type = dm_env.StepType(int(timestep.step_type[0]))
    observation = tree.map_structure(lambda x: x[0], timestep.observation)
    if step_type is dm_env.StepType.FIRST:
      return dm_env.restart(observation)
    reward, discount = timestep.reward[0], timestep.discount[0]
    return dm_env.TimeStep(step_type, reward, discount, observation)

  def observation_spec(self):
    return self._batched.observation_spec()

  def action_spec(self):
    return self._batched.action_spec()

  def reward_spec(self):
    return self._batched.reward_spec()

  def discount_spec(self):
    return self._batched.discount_spec()

  def render(self) -> np.ndarray:
    """An RGB picture, uint8 `[height, width, 3]`."""
    return self._batched.render(0)

  def close(self):
    self._batched.close()


def stack(
  factory: Callable[[int], dm_env.Environment],
  batch_size: int,
  seed: int,
  name: str | None = None,
  first: int = 0,
) -> 'Stacked':
  """E environments of a factory that takes a seed, stepped in turn.

  Args:
    factory: environment i of the batch is that of `seed + i`.
    batch_size: E.
    seed: of the first.
    name: as of `Stacked`.
    first: as of `Stacked`.
  """
  made = [factory(seed + i) for i in range(batch_size)]
  return Stacked(made, name, first)


class Stacked(BatchedEnvironment):
  """Any `dm_env` environments of one kind, stepped in turn.

  Every time step is held to the specs, and to finite numbers. An environment
  that has a method `new_task` is told when its next episode is to be of a new
  task.
  """

  def __init__(
    self,
    environments: Sequence[dm_env.Environment],
    name: str | None = None,
    first: int = 0,
  ):
    """Takes the environments over.

    Args:
      environments: at least one; all with the specs of the first.
      name: for errors; by default that of the first's class.
      first: number of the first environment, for errors.

    Raises:
      ValueError: if there is none, the actions are neither discrete nor
        bounded, or the observations hold something else than numbers and
        booleans.
    """
    if not environments:
      raise ValueError('Stacked needs at least one environment, received none.')
    self._environments = list(environments)
    self._name = name or type(environments[0]).__name__
    self._first = first
    self._contract = contract.Contract(
      self._name, self.observation_spec(), self.action_spec()
    )
    self._steps = 0  # So far, resets included.
    self._keeps = False  # Whether a task lasts longer than an episode.
    self._finished = np.ones(len(self._environments), bool)

  @property
  def batch_size(self) -> int:
    return len(self._environments)

  def keep_tasks(self):
    self._keeps = True

  def new_tasks(self, which: np.ndarray):
    for environment, renew in zip(self._environments, which, strict=True):
      if renew and hasattr(environment, 'new_task'):
        environment.new_task()

  def restart(self, which: np.ndarray) -> bool:
    self._finished |= which
    return True

  def reset(self) -> dm_env.TimeStep:
    """Begins new episodes.

    Raises:
      ValueError: if a time step is not as the specs say, or not finite; as
        from `step`.
    """
    self._finished[:] = True
    return self.step(self._finished)  # Actions are ignored.

  def step(self, action) -> dm_env.TimeStep:
    """Steps each environment, or resets it where its episode is over.

    A `dm_env` should begin anew by itself when it is stepped after LAST, but
    not all do: loops usually reset, as this does.
    """
    self._renew()
    if tree.is_nested(self.action_spec()) and tree.is_nested(action):
      action = [
        tree.map_structure(lambda x, i=i: x[i], action)
        for i in range(self.batch_size)
      ]
    return self._stack(
      [
        e.reset() if over else e.step(a)
        for e, over, a in zip(
          self._environments, self._finished, action, strict=True
        )
      ]
    )

  def _renew(self):
    """Has tasks drawn where an episode begins, if they are of one."""
    if not self._keeps and self._finished.any():
      self.new_tasks(self._finished)

  def _stack(self, steps: list[dm_env.TimeStep]) -> dm_env.TimeStep:
    first = [step.first() for step in steps]
    try:
      timestep = dm_env.TimeStep(
        step_type=np.array([int(step.step_type) for step in steps]),
        reward=np.array(
          [0.0 if f else s.reward for f, s in zip(first, steps)], np.float32
        ),
        discount=np.array(
          [1.0 if f else s.discount for f, s in zip(first, steps)], np.float32
        ),
        observation=tree.map_structure(
          lambda *leaves: np.stack(leaves), *[s.observation for s in steps]
        ),
      )
      broken = self._contract.breach(timestep) is not None
    except (TypeError, ValueError):  # They do not even stack.
      broken = True
    if broken:
      breaches = [self._contract.breach(as_batch(step)) for step in steps]
      index, breach = next((i, b) for i, b in enumerate(breaches) if b)
      raise ValueError(
        f'{self._name}, number {self._first + index}, step {self._steps}: '
        f'{breach}'
      )
    self._steps += 1
    self._finished = timestep.step_type == dm_env.StepType.LAST
    return timestep

  def observation_spec(self):
    return self._environments[0].observation_spec()

  def action_spec(self):
    return self._environments[0].action_spec()

  def render(self, index: int = 0) -> np.ndarray:
    environment = self._environments[index]
    if not hasattr(environment, 'render'):
      raise ValueError(f'{type(environment).__name__} cannot render.')
    return environment.render()

  def close(self):
    for environment in self._environments:
      environment.close()

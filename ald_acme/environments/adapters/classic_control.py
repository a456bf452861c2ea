"""Gymnasium's classic control with velocities separate or hidden.

Needs `pip install "gymnasium>=0.29"`. Examples:
  python launch/local.py --environment=classic_control:Pendulum-v1 \
    --environment_kwargs=velocities=hidden
  python launch/local.py --environment=classic_control:Pendulum-v1 \
    --config.actor_observations=position
"""

from typing import Any

import gymnasium
from gymnasium import spaces
import numpy as np

from ald_acme.environments.adapters import gymnasium_adapter

# Indices of velocities in each task's observation.
_VELOCITIES = {
  'Acrobot-v1': [4, 5],
  'CartPole-v1': [1, 3],
  'MountainCar-v0': [1],
  'MountainCarContinuous-v0': [1],
  'Pendulum-v1': [2],
}
_APART, _HIDDEN = 'apart', 'hidden'


def make(
  task: str, seed: int, velocities: str = _APART, **kwargs: Any
) -> gymnasium_adapter.GymnasiumEnvironment:
  """Creates a task.

  Args:
    task: Gymnasium ID, such as 'Pendulum-v1'.
    seed: seed of the episodes.
    velocities: 'apart' to observe `position` and `velocity` as separate
      entries, so that an actor can observe one of them; 'hidden' to observe
      `position` alone, so that velocities must be inferred from memory. Each is
      an array of floats.
    **kwargs: arguments of `gymnasium.make`.

  Raises:
    ValueError: if there is no such task or choice of velocities.
  """
  if task not in _VELOCITIES:
    raise ValueError(
      f'classic_control has no task {task!r}; it has {", ".join(_VELOCITIES)}.'
    )
  if velocities not in (_APART, _HIDDEN):
    raise ValueError(
      f'velocities must be {_APART} or {_HIDDEN}, but received {velocities!r}.'
    )
  environment = _Parts(
    gymnasium.make(task, **kwargs), _VELOCITIES[task], velocities == _HIDDEN
  )
  return gymnasium_adapter.GymnasiumEnvironment(environment, seed)


def reward_threshold(task: str) -> float | None:
  """The mean return at which a task counts as solved, if declared.

  Args:
    task: as for `make`.
  """
  # Gymnasium's adapter would import the package of another 'package:ID'.
  known = task in _VELOCITIES
  return gymnasium_adapter.reward_threshold(task) if known else None


def arguments(task: str) -> list[str] | None:
  """Names of the arguments of `make`, as `gymnasium_adapter.arguments`."""
  known = task in _VELOCITIES  # As above.
  return gymnasium_adapter.arguments(task) if known else None


class _Parts(gymnasium.ObservationWrapper):
  """Splits an array into positions and velocities."""

  def __init__(
    self, environment: gymnasium.Env, velocities: list[int], hidden: bool
  ) -> None:
    super().__init__(environment)
    space = environment.observation_space
    assert isinstance(space, spaces.Box)
    positions = np.setdiff1d(np.arange(len(space.low)), np.array(velocities))
    self._parts = {'position': positions, 'velocity': np.array(velocities)}
    if hidden:
      del self._parts['velocity']
    self.observation_space = spaces.Dict(
      {
        name: spaces.Box(space.low[which], space.high[which], dtype=space.dtype)
        for name, which in self._parts.items()
      }
    )

  def observation(self, observation: np.ndarray) -> dict[str, Any]:
    return {name: observation[which] for name, which in self._parts.items()}

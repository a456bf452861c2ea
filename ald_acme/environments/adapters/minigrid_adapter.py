"""MiniGrid's tasks as `dm_env` environments: one-hot cells, no mission.

Needs `pip install -c requirements.txt "minigrid>=3"`. Example:
  python launch/local.py --environment=minigrid:MiniGrid-MemoryS7-v0 \
    --environment_kwargs=agent_view_size=3,actions=3
"""

import difflib
from typing import Any

import gymnasium
from gymnasium import spaces
from gymnasium import wrappers
from minigrid import minigrid_env
from minigrid.core import constants
import numpy as np

from ald_acme.environments.adapters import gymnasium_adapter

# A cell is three integers: object, colour, state.
_CELL = [
  len(kinds)
  for kinds in (
    constants.OBJECT_TO_IDX,
    constants.COLOR_TO_IDX,
    constants.STATE_TO_IDX,
  )
]


def make(
  task: str, seed: int, actions: int | None = None, **kwargs: Any
) -> gymnasium_adapter.GymnasiumEnvironment:
  """Creates a MiniGrid task.

  Observations are `direction`, float32 `[4]`, and `image`, float32 `[n]`, both
  one-hot. The mission, a constant text in the memory tasks, is dropped.

  Args:
    task: Gymnasium ID, such as 'MiniGrid-MemoryS7-v0'.
    seed: seed of the episodes.
    actions: number of actions, counted from the first of left, right, forward,
      pickup, drop, toggle and done; by default all.
    **kwargs: arguments of `gymnasium.make`, such as `agent_view_size` and
      `max_steps`.

  Raises:
    ValueError: if there is no such task or `actions` is out of range.
  """
  tasks = _tasks()
  if task not in tasks:
    near = difflib.get_close_matches(task, tasks, 1)
    cure = f'is {near[0]} meant?' if near else f'it has {", ".join(tasks)}.'
    raise ValueError(f'MiniGrid has no task {task!r}; {cure}')
  environment = gymnasium.make(task, **kwargs)
  if actions is not None:
    assert isinstance(environment.action_space, spaces.Discrete)
    count = int(environment.action_space.n)
    if not isinstance(actions, int) or not 1 <= actions <= count:
      raise ValueError(
        f'actions must be 1 to {count}, but received {actions!r}.'
      )
    environment = wrappers.TransformAction(
      environment, lambda action: action, spaces.Discrete(actions)
    )
  environment = wrappers.FilterObservation(environment, ['direction', 'image'])
  seen = environment.observation_space
  assert isinstance(seen, spaces.Dict)
  cells = np.broadcast_to(np.array(_CELL), seen['image'].shape or ())
  # Categories: declared as MultiDiscrete, the adapter makes them one-hot.
  environment = wrappers.TransformObservation(
    environment,
    lambda observation: observation,
    spaces.Dict({**seen, 'image': spaces.MultiDiscrete(cells)}),
  )
  return gymnasium_adapter.GymnasiumEnvironment(environment, seed)


def arguments(task: str) -> list[str] | None:
  """Names of the arguments of `make`, as `gymnasium_adapter.arguments`."""
  if task not in _tasks():
    return None
  return gymnasium_adapter.arguments(task, minigrid_env.MiniGridEnv)


def reward_threshold(task: str) -> float | None:
  """The mean return at which a task counts as solved, if declared.

  Args:
    task: as for `make`.
  """
  # Gymnasium's adapter would import the package of another 'package:ID'.
  known = task in _tasks()
  return gymnasium_adapter.reward_threshold(task) if known else None


def _tasks() -> list[str]:
  """IDs of the tasks, which MiniGrid registers when it is imported."""
  return [
    name
    for name, spec in gymnasium.registry.items()
    if str(spec.entry_point).startswith('minigrid.')
  ]

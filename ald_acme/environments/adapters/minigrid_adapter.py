"""MiniGrid's tasks as `dm_env` environments: one-hot cells, no mission.

Needs `pip install -c requirements.txt minigrid`. Example:
  python launch/local.py \
    --environment=ald_acme.environments.adapters.minigrid_adapter:make \
    --environment_kwargs=task=MiniGrid-MemoryS7-v0,agent_view_size=3,actions=3
"""

from typing import Any

import gymnasium
from gymnasium import spaces
from gymnasium import wrappers
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
    ValueError: if `actions` is out of range.
  """
  environment = gymnasium.make(f'minigrid:{task}', **kwargs)
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

"""MiniGrid's tasks as a `dm_env`: cells one-hot, the mission left out.

Needs `pip install -c requirements.txt minigrid`. Example:
  python launch/local.py \
    --environment=ald_acme.environments.minigrid_adapter:make \
    --environment_kwargs=task=MiniGrid-MemoryS7-v0,agent_view_size=3,actions=3
"""

import gymnasium
from gymnasium import spaces
from gymnasium import wrappers
from minigrid.core import constants
import numpy as np

from ald_acme.environments import gymnasium_adapter

# A cell is three numbers: what it is, its colour, its state.
_CELL = [
  len(kinds)
  for kinds in (
    constants.OBJECT_TO_IDX,
    constants.COLOR_TO_IDX,
    constants.STATE_TO_IDX,
  )
]


def make(
  task: str, seed: int, actions: int | None = None, **kwargs
) -> gymnasium_adapter.GymnasiumEnvironment:
  """Makes a MiniGrid task.

  What is observed is `direction`, float32 `[4]`, and `image`, float32 `[n]`,
  both one-hot. The mission is a text, which is the same in every episode of
  the memory tasks, and is left out.

  Args:
    task: its Gymnasium ID, 'MiniGrid-MemoryS7-v0'.
    seed: of its episodes.
    actions: the first so many of MiniGrid's actions, which are left, right,
      forward, pickup, drop, toggle and done; by default all of them.
    **kwargs: of the task, as `gymnasium.make` takes them: `agent_view_size`,
      `max_steps` ...

  Raises:
    ValueError: if there are not so many actions.
  """
  environment = gymnasium.make(f'minigrid:{task}', **kwargs)
  if actions is not None:
    count = environment.action_space.n
    if not isinstance(actions, int) or not 1 <= actions <= count:
      raise ValueError(
        f'actions must be 1 to {count}, but received {actions!r}.'
      )
    environment = wrappers.TransformAction(
      environment, lambda action: action, spaces.Discrete(actions)
    )
  environment = wrappers.FilterObservation(environment, ['direction', 'image'])
  seen = environment.observation_space
  cells = np.broadcast_to(_CELL, seen['image'].shape)
  # Kinds, not magnitudes: said so, the adapter makes them one-hot.
  environment = wrappers.TransformObservation(
    environment,
    lambda observation: observation,
    spaces.Dict({**seen, 'image': spaces.MultiDiscrete(cells)}),
  )
  return gymnasium_adapter.GymnasiumEnvironment(environment, seed)

"""Environments of public suites that need a few words more than their name.

Example, after `pip install minigrid`:
  python launch/local.py --environment=examples.public_environments:minigrid \
    --environment_kwargs=task=MiniGrid-MemoryS7-v0
"""

import dm_env
import gymnasium
from gymnasium import wrappers

from ald_acme.environments import gymnasium_adapter


def minigrid(
  task: str = 'MiniGrid-MemoryS7-v0', seed: int = 0
) -> dm_env.Environment:
  """A MiniGrid without its mission, which is a text, and with one-hot cells."""
  from minigrid import wrappers as minigrid_wrappers

  environment = gymnasium.make(f'minigrid:{task}')
  environment = minigrid_wrappers.OneHotPartialObsWrapper(environment)
  environment = wrappers.FilterObservation(environment, ['direction', 'image'])
  return gymnasium_adapter.GymnasiumEnvironment(environment, seed)

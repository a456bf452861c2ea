"""Playing whole episodes with a policy, without bias to short ones."""

from typing import NamedTuple

import dm_env
import numpy as np

from ald_acme import policies
from ald_acme.environments import base


class Episodes(NamedTuple):
  """Results of finished episodes: float64 `[n]` and int64 `[n]`."""

  returns: np.ndarray
  lengths: np.ndarray


def play(
  environment: base.BatchedEnvironment, policy: policies.BatchedPolicy
) -> Episodes:
  """Plays one episode in each environment.

  Exactly one each: to take whichever episodes end first would favour the
  short.

  Args:
    environment: E environments; they are reset.
    policy: for a batch of E; it is reset.

  Returns:
    The E episodes.
  """
  policy.reset()
  timestep = environment.reset()
  playing = np.ones(environment.batch_size, bool)
  returns = np.zeros(environment.batch_size)
  lengths = np.zeros(environment.batch_size, np.int64)
  while playing.any():
    action = policy.step(policy.inputs(timestep)).action
    timestep = environment.step(action)
    returns += np.where(playing, timestep.reward, 0.0)
    lengths += playing
    playing &= timestep.step_type != int(dm_env.StepType.LAST)
  return Episodes(returns, lengths)

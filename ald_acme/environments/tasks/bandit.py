"""Bandits: a minimal meta-learning task.

For trials (`ald_acme.environments.Trials`): an episode is one pull, so only a
policy that remembers earlier episodes beats chance.
"""

import dm_env
from dm_env import specs
import numpy as np

from ald_acme import validation
from ald_acme.environments.interface import base
from ald_acme.environments.tasks import arrays
from ald_acme.environments.tasks import streams


class BatchedBandit(arrays.ArrayEnvironment):
  """Bandit: find the arm that pays most often; an episode is one pull.

  A task is each arm's probability of a reward of 1 instead of 0, uniform in [0,
  1].
  """

  def __init__(self, batch_size: int = 1, arms: int = 5, seed: int = 0) -> None:
    """Builds the bandits.

    Args:
      batch_size: E, the number of bandits.
      arms: A, the number of arms of each.
      seed: seed of tasks and rewards; bandit i does not depend on the batch
        size.

    Raises:
      ValueError: if an argument is out of its range.
    """
    super().__init__(batch_size, seed)
    validation.integer('arms', arms, 1)
    self._probabilities = np.zeros((batch_size, arms))

  def observation_spec(self) -> specs.Array:
    """A constant zero, float32 `[1]`: the task has no observation."""
    return specs.Array((1,), np.float32, name='nothing')

  def action_spec(self) -> specs.DiscreteArray:
    arms = self._probabilities.shape[1]
    return specs.DiscreteArray(arms, dtype=np.int32, name='arm')

  def step(self, action: np.ndarray) -> dm_env.TimeStep:
    first = self._finished
    self._begin(first)
    arms = self._probabilities.shape[1]
    # The tasks use the draws before.
    luck = streams.uniform(self._seed, self._index, self._episode, arms)
    pays = luck < self._probabilities[self._index, action]
    self._finished = ~first
    nothing = np.zeros((self.batch_size, 1), np.float32)
    return base.timestep(first, ~first, pays & ~first, nothing)

  def _begin(self, which: np.ndarray) -> None:
    """Starts new episodes where `which` is set."""
    self._episode[which] += 1
    new = which & (self._renew | (not self._keeps))
    self._probabilities[new] = streams.uniform(
      self._seed,
      self._index[new, np.newaxis],
      self._episode[new, np.newaxis],
      np.arange(self._probabilities.shape[1]),
    )
    self._renew[new] = False

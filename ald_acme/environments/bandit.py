"""Bandits: which arm pays best? The smallest task to learn to learn.

Made for trials (`ald_acme.environments.trials`): an episode is one pull, and
only who remembers the episodes before can do better than chance.
"""

import dm_env
from dm_env import specs
import numpy as np

from ald_acme.environments import base
from ald_acme.environments import checks
from ald_acme.environments import streams


class BatchedBandit(base.BatchedEnvironment):
  """Bandit: find the arm that pays most often; an episode is one pull.

  A task is the probability, for each arm, that it pays 1 and not 0. It is
  uniform in [0, 1].
  """

  def __init__(self, batch_size: int = 1, arms: int = 5, seed: int = 0):
    """Builds the bandits.

    Args:
      batch_size: E, the number of bandits.
      arms: A, the number of arms of each.
      seed: bandit i of seed s has the same tasks and the same luck whatever the
        batch size.

    Raises:
      ValueError: if an argument is out of its range.
    """
    checks.integer('batch_size', batch_size, 1)
    checks.integer('arms', arms, 1)
    checks.integer('seed', seed, 0)
    self._seed = seed
    self._bandits = np.arange(batch_size)
    self._probabilities = np.zeros((batch_size, arms))
    self._keeps = False  # Whether a task lasts longer than an episode.
    self._renew = np.ones(batch_size, bool)  # The next episode has a new task.
    # All bandits are pulled at once, so their episodes begin together.
    self._episode = -1
    self._finished = True  # The next step begins an episode.

  @property
  def batch_size(self) -> int:
    return len(self._bandits)

  def observation_spec(self) -> specs.Array:
    """There is nothing to see: a zero, float32 `[1]`."""
    return specs.Array((1,), np.float32, name='nothing')

  def action_spec(self) -> specs.DiscreteArray:
    arms = self._probabilities.shape[1]
    return specs.DiscreteArray(arms, dtype=np.int32, name='arm')

  def keep_tasks(self):
    self._keeps = True

  def new_tasks(self, which: np.ndarray):
    self._renew |= which

  def reset(self) -> dm_env.TimeStep:
    self._episode += 1
    self._renew |= not self._keeps
    self._probabilities[self._renew] = streams.uniform(
      self._seed,
      self._bandits[self._renew, np.newaxis],
      self._episode,
      np.arange(self._probabilities.shape[1]),
    )
    self._renew[:] = False
    self._finished = False
    return self._timestep(np.zeros(self.batch_size))

  def step(self, action: np.ndarray) -> dm_env.TimeStep:
    if self._finished:
      return self.reset()
    self._finished = True
    arms = self._probabilities.shape[1]
    # The draws before this one are the tasks'.
    luck = streams.uniform(self._seed, self._bandits, self._episode, arms)
    return self._timestep(luck < self._probabilities[self._bandits, action])

  def _timestep(self, reward: np.ndarray) -> dm_env.TimeStep:
    last = np.full(self.batch_size, self._finished)
    nothing = np.zeros((self.batch_size, 1), np.float32)
    return base.timestep(~last, last, reward, nothing)

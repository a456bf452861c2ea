"""Staggering: puts the environments of a batch out of phase."""

from typing import Any

import dm_env
import numpy as np

from ald_acme.environments.interface import base

_FIRST, _LAST = int(dm_env.StepType.FIRST), int(dm_env.StepType.LAST)


class Stagger:
  """Steps a batch of environments, and truncates one early episode of each.

  All environments of a batch start together. With episodes of a fixed length
  they would also end together, and every batch of data would come from one
  phase of the episode. So the second episode of each environment is truncated
  after a random number of steps, uniform between 0 and the length of the first.
  Its LAST step keeps its discount, so learning bootstraps from it.

  A truncated episode has no return, and an episode that ends before its
  truncation is a short one. Either would bias a mean, so `reported` excludes
  both, and `lost` episodes.
  """

  def __init__(
    self, environment: base.BatchedEnvironment, seed: Any = None
  ) -> None:
    """Draws the truncations.

    Args:
      environment: E environments. If it does not support `restart`, none is
        truncated.
      seed: seed of the truncations; anything that `np.random.default_rng`
        takes. None for no truncations.
    """
    self._environment = environment
    size = environment.batch_size
    self._fractions = np.random.default_rng(seed).random(size)
    # Completed episodes, up to 2: later ones are not truncated.
    self._ended = np.full(size, 2 if seed is None else 0)
    self._steps = np.zeros(size, np.int64)  # In the current episode.
    self._cut_at = np.zeros(size, np.int64)  # Steps; 0 for never.
    self._reported = np.ones(size, bool)

  @property
  def reported(self) -> np.ndarray:
    """Where an episode that ends here counts in statistics, bool `[E]`."""
    return self._reported

  def reset(self) -> dm_env.TimeStep:
    """Starts new episodes; environments are truncated only once."""
    self._steps[:] = 0
    return self._environment.reset()

  def step(self, action: np.ndarray) -> dm_env.TimeStep:
    """Steps the environments; may turn a MID step into a LAST one."""
    self.begin_step(action)
    return self.end_step()

  def begin_step(self, action: np.ndarray) -> None:
    """As `base.BatchedEnvironment.begin_step`."""
    self._environment.begin_step(action)

  def end_step(self) -> dm_env.TimeStep:
    """As `base.BatchedEnvironment.end_step`; may turn MID into LAST."""
    timestep = self._environment.end_step()
    second = self._ended == 1
    cut_short = second & (self._cut_at > 0)
    self._reported = ~(cut_short | self._environment.lost)
    if (self._ended == 2).all():
      return timestep
    last = timestep.step_type == _LAST
    self._steps = np.where(timestep.step_type == _FIRST, 0, self._steps + 1)
    cut = second & ~last & (self._cut_at > 0) & (self._steps == self._cut_at)
    if cut.any():
      if not self._environment.restart(cut):
        self._ended[:] = 2
        return timestep
      timestep = timestep._replace(
        step_type=np.where(cut, _LAST, timestep.step_type)
      )
      last |= cut
    ends_first = last & (self._ended == 0)
    lengths = self._fractions[ends_first] * self._steps[ends_first]
    self._cut_at[ends_first] = lengths.astype(np.int64)
    self._ended = np.minimum(self._ended + last, 2)
    return timestep

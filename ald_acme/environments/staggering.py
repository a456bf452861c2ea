"""Staggering: spreads the environments of a batch over phases of an episode."""

from typing import Any

import dm_env
import numpy as np

from ald_acme.environments import base

_FIRST, _LAST = int(dm_env.StepType.FIRST), int(dm_env.StepType.LAST)


class Stagger:
  """Steps a batch of environments, and cuts one episode of each short.

  All environments of a batch begin together. Where episodes have a fixed length
  they would always end together, and a batch of data would be of one phase of
  the episode. So the second episode of each environment is cut after a random
  number of steps, uniform from 0 to the length of its first: episodes of a
  fixed length then are spread evenly over their phases. A cut is a truncation:
  a LAST step that keeps its discount, so learning bootstraps from it.

  A cut episode has no return, and an episode that ends before its cut is a
  short one. To leave either in a mean would bias it, so `reported` excludes
  both, and those that are `lost`.
  """

  def __init__(self, environment: base.BatchedEnvironment, seed: Any = None):
    """Draws where to cut.

    Args:
      environment: E environments. Where it cannot `restart` some of them, none
        is ever cut.
      seed: of the cuts; anything that `np.random.default_rng` takes. None for
        no cuts.
    """
    self._environment = environment
    size = environment.batch_size
    self._fractions = np.random.default_rng(seed).random(size)
    # Episodes that have ended, up to 2: then there is nothing more to cut.
    self._ended = np.full(size, 2 if seed is None else 0)
    self._steps = np.zeros(size, np.int64)  # Of the present episode.
    self._cut_at = np.zeros(size, np.int64)  # Steps; 0 for not at all.
    self._reported = np.ones(size, bool)

  @property
  def reported(self) -> np.ndarray:
    """Where an episode that ends here is to be reported, bool `[E]`."""
    return self._reported

  def metrics(self) -> dict[str, float]:
    """As the environments have it."""
    return self._environment.metrics()

  def reset(self) -> dm_env.TimeStep:
    """Begins new episodes; what has been cut is not cut again."""
    self._steps[:] = 0
    return self._environment.reset()

  def step(self, action: np.ndarray) -> dm_env.TimeStep:
    """Steps the environments; may make a MID step the LAST of its episode."""
    timestep = self._environment.step(action)
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

"""A base class of environments that step a batch with array operations."""

import abc
from typing import Any

import dm_env
import numpy as np

from ald_acme import validation
from ald_acme.environments.interface import base


class ArrayEnvironment(base.BatchedEnvironment, abc.ABC):
  """Keeps track of the episodes of E environments.

  Where `_finished` is set, a subclass's `step` ignores the action and starts a
  new episode. It must set `_finished` where episodes end.
  """

  def __init__(self, batch_size: int, seed: int) -> None:
    """Starts without an episode; the first step starts one.

    Args:
      batch_size: E.
      seed: seed of the episodes.

    Raises:
      ValueError: if an argument is out of its range.
    """
    validation.integer('batch_size', batch_size, 1)
    validation.integer('seed', seed, 0)
    self._seed = seed
    self._index = np.arange(batch_size)
    self._episode = np.full(batch_size, -1)
    self._finished = np.ones(batch_size, bool)  # Reset at the next step.
    self._keeps = False  # Whether tasks outlast an episode.
    self._renew = np.ones(batch_size, bool)  # The next episode has a new task.

  @property
  def batch_size(self) -> int:
    return len(self._index)

  def keep_tasks(self) -> None:
    self._keeps = True

  def new_tasks(self, which: np.ndarray) -> None:
    self._renew |= which

  def restart(self, which: np.ndarray) -> bool:
    self._finished |= which
    return True

  def reset(self) -> dm_env.TimeStep:
    self._finished[:] = True
    return self.step(np.zeros(self.batch_size, np.int64))

  @abc.abstractmethod
  def step(self, action: Any) -> dm_env.TimeStep:
    """As `BatchedEnvironment.step`."""

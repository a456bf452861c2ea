"""Replay of recent batches within the learner."""

import collections
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ald_acme.replay import reader

Nest = Any


class Reuse(Iterator[Sequence[Nest]]):
  """Yields new batches in order, and replays recent ones in between.

  Of `ratio` batches one is new and `ratio - 1` are drawn uniformly from the
  last `size` new ones, itself among them. They stay in this process: a table
  would only send them to the same reader twice.

  The updates that are due for a batch come before the next new one is asked
  for, so nothing waits for data that is not needed yet.
  """

  def __init__(
    self,
    batches: Iterator[Sequence[Nest]],
    ratio: float,
    size: int,
    seed: Any,
  ) -> None:
    """Starts with an empty buffer.

    Args:
      batches: new ones; the iteration ends when they do.
      ratio: batches yielded for each new one, at least 1; may be a fraction.
      size: new batches kept, oldest out first.
      seed: of the draws; anything that `np.random.default_rng` takes.
    """
    self._batches = batches
    self._again = ratio - 1.0
    self._kept = collections.deque(maxlen=size)
    self._rng = np.random.default_rng(seed)
    self._due = 0.0

  @property
  def due(self) -> bool:
    """Whether the next batch is a replayed one, which never blocks."""
    return self._due >= 1.0

  def example(self) -> list[Nest] | None:
    """As `reader.example`, of the new batches."""
    return reader.example(self._batches)

  def __next__(self) -> list[Nest]:
    """A batch; raises StopIteration when the new ones end."""
    if self.due:
      self._due -= 1.0
      return self._kept[self._rng.integers(len(self._kept))]
    batch = next(self._batches)
    self._kept.append(batch)
    self._due += self._again
    return batch

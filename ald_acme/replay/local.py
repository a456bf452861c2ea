"""In-process tables for the single-process agent."""

import collections
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
import tree

from ald_acme.replay import tables

Nest = Any


class LocalReplay:
  """In-process replacement for a replay server and its writers.

  Nothing blocks, so results are deterministic. It enforces no ratio of samples
  to inserts; the caller does, by the order of its calls.
  """

  def __init__(
    self, described: Sequence[tables.Queue | tables.Replay], seed: Any
  ) -> None:
    """Creates empty tables.

    Args:
      described: the tables.
      seed: seed of the sampling; anything that `np.random.default_rng` takes.
    """
    self._described = {table.name: table for table in described}
    self._tables: dict[str, collections.deque[Nest]] = {
      name: collections.deque(
        maxlen=table.max_size if isinstance(table, tables.Replay) else None
      )
      for name, table in self._described.items()
    }
    self._rng = np.random.default_rng(seed)

  def samples(self, table: str) -> bool:
    """Whether a table is sampled; false for a queue."""
    return isinstance(self._described[table], tables.Replay)

  def can_sample(self, table: str, batch_size: int) -> bool:
    """Whether a batch can be read now."""
    described = self._described[table]
    if isinstance(described, tables.Replay):
      return self.size(table) >= described.min_size
    return self.size(table) >= batch_size

  def size(self, table: str) -> int:
    """Items in a table."""
    return len(self._tables[table])

  def write(
    self, step: Nest, select: Mapping[str, Callable[[Nest], Nest]]
  ) -> bool:
    """Inserts without blocking, as `replay.writer.Writer.write`."""
    # The writer reuses its buffers.
    kept = tree.map_structure(lambda x: tf.constant(np.array(x)), step)
    for table, part in select.items():
      self._tables[table].append(part(kept))
    return True

  def take(self, table: str) -> Nest:
    """A random item of a table, or removes and returns a queue's oldest."""
    items = self._tables[table]
    if self.samples(table):
      return items[self._rng.integers(len(items))]
    return items.popleft()


class Reader(Iterator[list[Nest]]):
  """Batches of a table's items, as `replay.reader.Reader`."""

  def __init__(self, replay: LocalReplay, table: str, batch_size: int) -> None:
    self._replay, self._table, self._size = replay, table, batch_size

  def __next__(self) -> list[Nest]:
    """The next batch; raises StopIteration if there is none yet."""
    if not self._replay.can_sample(self._table, self._size):
      raise StopIteration
    return [self._replay.take(self._table) for _ in range(self._size)]

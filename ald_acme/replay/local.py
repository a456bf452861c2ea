"""The tables in this process, for parts that take turns."""

import collections
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow as tf
import tree

from ald_acme.replay import tables

Nest = Any


class LocalReplay:
  """Stands in for a replay server and for its writers.

  Nothing waits and nothing is left to timing: the same writes and reads give
  the same items. It keeps no ratio; whoever lets the parts take turns does.
  """

  def __init__(self, distill_size: int, seed: Any):
    """Begins empty.

    Args:
      distill_size: items kept in `distill`, oldest out first.
      seed: of the sampling; anything that `np.random.default_rng` takes.
    """
    self._tables = {
      tables.QUEUE: collections.deque(),
      tables.LEARNER: collections.deque(),
      tables.DISTILL: collections.deque(maxlen=distill_size),
    }
    self._rng = np.random.default_rng(seed)

  def size(self, table: str) -> int:
    """Items in a table."""
    return len(self._tables[table])

  def write(
    self, step: Nest, select: Mapping[str, Callable[[Nest], Nest]]
  ) -> bool:
    """Inserts at once, as `replay.writer.Writer.write`."""
    # Whoever writes fills the same buffers again.
    kept = tree.map_structure(lambda x: tf.constant(np.array(x)), step)
    for table, part in select.items():
      self._tables[table].append(part(kept))
    return True

  def take(self, table: str) -> Nest:
    """An item: of `distill` any, of the others the oldest, which goes."""
    items = self._tables[table]
    if table == tables.DISTILL:
      return items[self._rng.integers(len(items))]
    return items.popleft()


class Reader(Iterator[list[Nest]]):
  """Batches of a table's items, as `replay.reader.Reader`."""

  def __init__(self, replay: LocalReplay, table: str, batch_size: int):
    self._replay, self._table, self._size = replay, table, batch_size

  def __next__(self) -> list[Nest]:
    """A batch; raises StopIteration where there is none yet."""
    least = 1 if self._table == tables.DISTILL else self._size
    if self._replay.size(self._table) < least:
      raise StopIteration
    return [self._replay.take(self._table) for _ in range(self._size)]

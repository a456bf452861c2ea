"""Batches of a table's items: read, mapped, and replayed in the process."""

import collections
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import reverb
import tensorflow as tf
import tree

from ald_acme import activity
from ald_acme.replay import waiting

Nest = Any


class Reader(Iterator[list[Nest]]):
  """Iterates over batches of a table's items.

  It never prefetches: a queue stays in order, its items are as fresh as
  possible, and a rate limiter counts only items that are used.
  """

  def __init__(
    self,
    client: reverb.Client,
    table: str,
    batch_size: int = 1,
    should_stop: Callable[[], bool] = lambda: False,
    taken: Callable[[], None] = lambda: None,
  ):
    """Prepares to sample; does not contact the server yet.

    Args:
      client: client of the replay server.
      table: name of the table; items have the structure of its signature.
      batch_size: items per batch.
      should_stop: asked while waiting; true ends the iteration.
      taken: called after each item received.
    """
    self._batch_size = batch_size
    self._should_stop, self._taken = should_stop, taken
    self._patience = waiting.Patience(client, table, 'sample')
    self._client, self._table = client, table
    self._dataset: tf.data.Dataset | None = None
    self._samples: Iterator[Any] | None = None
    self._batch: list[Nest] = []

  def __next__(self) -> list[Nest]:
    """A list of `batch_size` items; raises StopIteration when stopped."""
    self._patience.served()
    with activity.waiting(
      self._patience.describe, True, f'sample {self._table}'
    ):
      while not self._should_stop():
        try:
          if self._dataset is None:
            self._dataset = self._make_dataset()
          if self._samples is None:
            self._samples = iter(self._dataset)
          self._batch.append(next(self._samples).data)
        except (StopIteration, reverb.errors.DeadlineExceededError):
          # No item before the deadline, or the server is not up yet.
          self._samples = None
          self._patience.waiting()
          continue
        activity.moved()
        self._taken()
        if len(self._batch) == self._batch_size:
          batch, self._batch = self._batch, []
          return batch
    raise StopIteration

  def example(self) -> list[Nest] | None:
    """A batch of zeros in the shapes of later batches; None when stopped.

    It waits for the server but not for data, so a graph can be traced before
    any arrives.
    """
    with activity.waiting(self._patience.describe, on_others=True):
      while not self._should_stop():
        try:
          signature = self._signature()
        except (reverb.errors.ReverbError, RuntimeError):
          self._patience.waiting()
          continue
        item = tree.map_structure(
          lambda spec: tf.zeros(spec.shape, spec.dtype), signature
        )
        return [item] * self._batch_size
    return None

  def _signature(self) -> Nest:
    return self._client.server_info(timeout=1)[self._table].signature

  def _make_dataset(self) -> tf.data.Dataset:
    signature = self._signature()
    dataset = reverb.TrajectoryDataset(
      self._client.server_address,
      self._table,
      dtypes=tree.map_structure(lambda s: s.dtype, signature),
      shapes=tree.map_structure(lambda s: s.shape, signature),
      max_in_flight_samples_per_worker=1,
      num_workers_per_iterator=1,
      rate_limiter_timeout_ms=waiting.POLL_MS,
      # A worker prefetches one sample, unless it may only send a single one;
      # `repeat` then creates the next worker.
      max_samples=1,
    ).repeat()
    # Destroying an autotuning iterator may take a minute (TensorFlow 2.8 loses
    # a wake-up), and every time-out destroys one.
    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.with_options(options)


class Mapped(Iterator[Any]):
  """As `map` over batches, and over their example."""

  def __init__(
    self, function: Callable[[Any], Any], batches: Iterator[Any]
  ) -> None:
    """Wraps the batches.

    Args:
      function: applied to each batch.
      batches: the iteration ends when they do.
    """
    self._function, self._batches = function, batches

  def __next__(self) -> Any:
    return self._function(next(self._batches))

  def example(self) -> Any:
    """As `Reader.example`; None if the batches have none."""
    found = example(self._batches)
    return None if found is None else self._function(found)


def example(batches: Iterator[Any]) -> Any:
  """A batch of zeros in the shapes of later batches; None if not known.

  Args:
    batches: any iterator; those of this package have an example.
  """
  make = getattr(batches, 'example', None)
  return make() if make else None


class Reuse(Iterator[Sequence[Nest]]):
  """Yields new batches in order, and replays recent ones in between.

  One batch in `ratio` is new; the others are drawn uniformly from the last
  `size` new ones, including the newest. They are kept in this process, because
  a table would send them to the same reader twice.

  Replayed batches come before the next new one is requested, so the learner
  does not block while it has updates to do.
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
      batches: new batches; the iteration ends with them.
      ratio: batches yielded per new one, at least 1; may be fractional.
      size: number of new batches kept; the oldest is dropped first.
      seed: seed of the draws; anything that `np.random.default_rng` takes.
    """
    self._batches = batches
    self._again = ratio - 1.0
    self._kept: collections.deque[Sequence[Nest]] = collections.deque(
      maxlen=size
    )
    self._rng = np.random.default_rng(seed)
    self._due = 0.0

  @property
  def due(self) -> bool:
    """Whether the next batch is a replayed one, which never blocks."""
    return self._due >= 1.0

  def example(self) -> list[Nest] | None:
    """As `reader.example`, of the new batches."""
    return example(self._batches)

  def __next__(self) -> Sequence[Nest]:
    """The next batch; raises StopIteration when the new ones end."""
    if self.due:
      self._due -= 1.0
      return self._kept[self._rng.integers(len(self._kept))]
    batch = next(self._batches)
    self._kept.append(batch)
    self._due += self._again
    return batch

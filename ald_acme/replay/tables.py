"""Tables of unrolls: queues, and replay with a ratio of samples to inserts."""

import dataclasses
from typing import Any

import reverb
import tensorflow as tf

QUEUE = 'queue'  # The table that actors write to.
_MOST_PERMITS = 1_000_000  # More than there are writers.


@dataclasses.dataclass(frozen=True)
class Queue:
  """A FIFO table whose items are sampled once.

  Attributes:
    name: name of the table.
    max_size: capacity in items; writes block while it is full.
  """

  name: str
  max_size: int

  def make(self, signature: Any) -> reverb.Table:
    """Creates the table, for one `reverb.Server`."""
    return reverb.Table.queue(self.name, self.max_size, signature=signature)

  def make_permits(self) -> reverb.Table:
    """Creates the table of permits to write to the queue (`writer.Permits`).

    Its capacity is never reached: permits are at most as many as writers need.
    """
    return reverb.Table(
      name=permits(self.name),
      sampler=reverb.selectors.Fifo(),
      remover=reverb.selectors.Fifo(),
      max_size=_MOST_PERMITS,
      max_times_sampled=1,
      rate_limiter=reverb.rate_limiters.MinSize(1),
      signature={'permit': tf.TensorSpec([], tf.int64)},
    )


def permits(queue: str) -> str:
  """Name of the table that holds a queue's permits."""
  return f'{queue}_permits'


@dataclasses.dataclass(frozen=True)
class Replay:
  """A table that is sampled uniformly, at a fixed ratio of samples to inserts.

  The rate limiter keeps samples at `samples_per_insert` times the inserts: it
  blocks writers or readers, whichever are ahead.

  Attributes:
    name: name of the table.
    max_size: capacity in items; the oldest is dropped first.
    min_size: items needed before sampling begins.
    samples_per_insert: samples for each insert.
  """

  name: str
  max_size: int
  min_size: int
  samples_per_insert: float

  @property
  def error_buffer(self) -> float:
    """Reverb's error buffer; the smallest that it accepts."""
    return max(1.0, self.samples_per_insert)

  def make(self, signature: Any) -> reverb.Table:
    """Creates the table, for one `reverb.Server`."""
    return reverb.Table(
      name=self.name,
      sampler=reverb.selectors.Uniform(),
      remover=reverb.selectors.Fifo(),
      max_size=self.max_size,
      rate_limiter=reverb.rate_limiters.SampleToInsertRatio(
        samples_per_insert=self.samples_per_insert,
        min_size_to_sample=self.min_size,
        error_buffer=self.error_buffer,
      ),
      signature=signature,
    )

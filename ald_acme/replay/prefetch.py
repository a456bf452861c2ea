"""Batches that are fetched, and moved to an accelerator, one ahead."""

from collections.abc import Iterator
from concurrent import futures
import threading
from typing import Any

import tensorflow as tf

from ald_acme import activity
from ald_acme.replay import reader


class Prefetched(Iterator[Any]):
  """The same batches in the same order, on a device.

  A thread fetches and moves the next batch while the last one is used, so an
  accelerator does not wait for the table or for the transfer. A batch waits for
  one update before it is used; on the CPU this gains nothing.
  """

  def __init__(self, batches: Iterator[Any], device: str) -> None:
    """Fetches nothing before the first batch is requested.

    Args:
      batches: batches of tensors; the iteration ends with them.
      device: name of the device. Scalars stay where they are: they are stamps,
        which Python reads, and reading them from an accelerator would wait for
        it.
    """
    self._batches, self._device = batches, device
    self._next: futures.Future[Any] | None = None

  def example(self) -> Any:
    """As `reader.example`, of the batches."""
    return reader.example(self._batches)

  def __next__(self) -> Any:
    """The next batch; raises StopIteration when they end."""
    fetched = self._next or self._start()
    self._next = None  # After an error, the next call tries again.
    with activity.waiting('waiting for a batch', True, 'prefetch'):
      batch = fetched.result()
    activity.moved()
    self._next = self._start()
    return batch

  def _start(self) -> futures.Future[Any]:
    """Fetches in a thread; a daemon, as the table may stay empty for ever."""
    fetched: futures.Future[Any] = futures.Future()

    def fetch() -> None:
      try:
        batch = next(self._batches)
        fetched.set_result(tf.nest.map_structure(self._move, batch))
      except BaseException as error:  # Raised by `__next__`.
        fetched.set_exception(error)

    threading.Thread(target=fetch, name='prefetch', daemon=True).start()
    return fetched

  def _move(self, tensor: tf.Tensor) -> tf.Tensor:
    if not tensor.shape.rank:
      return tensor
    with tf.device(self._device):
      return tf.identity(tensor)


def to_accelerator(batches: Iterator[Any]) -> Iterator[Any]:
  """The batches, prefetched to this process's accelerator if it has one."""
  devices = tf.config.list_logical_devices('GPU')
  return Prefetched(batches, devices[0].name) if devices else batches

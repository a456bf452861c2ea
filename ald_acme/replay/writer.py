"""Inserts items, blocking while a table is full, and permits to insert."""

from collections.abc import Callable, Mapping
import time
from typing import Any

import numpy as np
import reverb
import tree

from ald_acme import activity
from ald_acme.replay import reader
from ald_acme.replay import tables
from ald_acme.replay import waiting

Nest = Any
_PATIENCE = 300.0  # Seconds for a server to respond.


class Writer:
  """Writes one step at a time, each an item of one or more tables.

  Items of one step share chunks: data in several tables is sent and stored
  once.
  """

  def __init__(
    self,
    client: reverb.Client,
    should_stop: Callable[[], bool] = lambda: False,
    may_go_on: Callable[[], bool] = lambda: True,
  ):
    """Opens a stream to the server.

    Args:
      client: client of the replay server.
      should_stop: called while waiting; true ends the wait.
      may_go_on: called after each insert; blocks until the next step may be
        collected, and returns false if the program stopped before.
    """
    self._client = client
    self._should_stop, self._may_go_on = should_stop, may_go_on
    self._stream = self._open()

  def _open(self) -> reverb.TrajectoryWriter:
    """Opens a stream; waits for a server that is starting."""
    deadline = time.monotonic() + _PATIENCE
    while True:
      try:
        return self._client.trajectory_writer(num_keep_alive_refs=1)
      except RuntimeError:  # Includes Reverb's 'Deadline Exceeded'.
        if self._should_stop() or time.monotonic() > deadline:
          raise

  def write(
    self, step: Nest, select: Mapping[str, Callable[[Nest], Nest]]
  ) -> bool:
    """Inserts a step; blocks until the next may be collected.

    Args:
      step: a nest of arrays.
      select: for each table, a function that selects the table's item from the
        nest.

    Returns:
      False if the program stopped meanwhile.

    Raises:
      reverb.ReverbError: if the item does not match the table's signature, or
        the server is gone.
    """
    self._stream.append(step)
    last = tree.map_structure(lambda column: column[-1], self._stream.history)
    watches, taken = [], False
    for table, part in select.items():
      self._stream.create_item(table, priority=1.0, trajectory=part(last))
      watches.append(waiting.Patience(self._client, table, 'insert'))
    with activity.waiting(
      lambda: ' '.join(watch.describe() for watch in watches),
      on_others=True,
      name=f'insert {" + ".join(select)}',
    ):
      while not self._should_stop():
        try:
          self._stream.flush(0, timeout_ms=waiting.POLL_MS)
          activity.moved()
          taken = True
          break
        except reverb.errors.DeadlineExceededError:
          for watch in watches:
            watch.waiting()
    return taken and self._may_go_on()


class Permits:
  """The permits of a queue: its reader gives them, its writers take them.

  A full queue blocks a writer only after it has collected the next item, which
  then becomes stale while it waits. With permits the writer blocks before it
  collects an item; the reader returns a permit for each item that it takes. So
  a writer is one item ahead of its reader instead of two, and collects with
  more recent parameters.

  Each writer starts with permits of its own, so a writer that replaces one that
  died with a permit does not deadlock.
  """

  def __init__(
    self,
    client: reverb.Client,
    queue: str,
    own: int = 1,
    should_stop: Callable[[], bool] = lambda: False,
  ):
    """Does not contact the server yet.

    Args:
      client: client of the replay server.
      queue: name of a table that has permits (`tables.Queue`).
      own: permits that a writer starts with, including that for its first item.
      should_stop: called while waiting; true ends the wait.
    """
    self._client, self._table = client, tables.permits(queue)
    self._own = own - 1
    self._taken = reader.Reader(client, self._table, 1, should_stop)
    self._stream: reverb.TrajectoryWriter | None = None
    self._unknown = False  # Whether the server has no permits for this queue.

  def take(self) -> bool:
    """Waits for a permit for the next item; false if told to stop."""
    if self._own:
      self._own -= 1
      return True
    if self._unknown:
      return True
    try:
      return next(self._taken, None) is not None
    except KeyError:  # Tables of another builder, without permits.
      self._unknown = True
      return True

  def give(self) -> None:
    """Gives one permit; never blocks."""
    if self._stream is None:
      self._stream = self._client.trajectory_writer(num_keep_alive_refs=1)
    self._stream.append({'permit': np.int64(0)})
    item = {'permit': self._stream.history['permit'][-1]}
    self._stream.create_item(self._table, priority=1.0, trajectory=item)

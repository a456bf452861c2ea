"""Inserts items, blocking while a table is full, and permits to make them."""

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
_PATIENCE = 300.0  # Seconds for a server to answer at all.


class Writer:
  """Writes one step at a time, each an item of one or more tables.

  Items of one step share their chunks: what several tables hold is sent and
  stored once.
  """

  def __init__(
    self,
    client: reverb.Client,
    should_stop: Callable[[], bool] = lambda: False,
    may_go_on: Callable[[], bool] = lambda: True,
  ):
    """Opens a stream to the server.

    Args:
      client: of the replay server.
      should_stop: asked while waiting; true ends the wait.
      may_go_on: called after each step that was taken; waits until another may
        be made, false if the program stopped before.
    """
    self._client = client
    self._should_stop, self._may_go_on = should_stop, may_go_on
    self._stream = self._open()

  def _open(self) -> reverb.TrajectoryWriter:
    """A stream; a server that is just starting may take a while to answer."""
    deadline = time.monotonic() + _PATIENCE
    while True:
      try:
        return self._client.trajectory_writer(num_keep_alive_refs=1)
      except RuntimeError:  # Reverb's own 'Deadline Exceeded' among others.
        if self._should_stop() or time.monotonic() > deadline:
          raise

  def write(
    self, step: Nest, select: Mapping[str, Callable[[Nest], Nest]]
  ) -> bool:
    """Inserts, blocking until the tables accept it and ask for another.

    Args:
      step: a nest of arrays.
      select: for each table, a function from the nest to the part of it that
        the table's item holds.

    Returns:
      False if the program stopped before that.

    Raises:
      reverb.ReverbError: if the item does not fit the table's signature, or
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
  """The permits of a queue, as its reader gives and its writers take them.

  A full queue blocks its writer only when the next item is made, and that item
  then grows old in the writer's hands. With permits the writer waits before it
  makes one: the reader gives a permit with each item that it takes. So a writer
  is one item ahead of its reader where it would be two, and what it makes is
  made by newer parameters.

  A writer begins with some of its own. So nothing stands still where a writer
  ends with a permit in its hands and another begins in its place.
  """

  def __init__(
    self,
    client: reverb.Client,
    queue: str,
    own: int = 1,
    should_stop: Callable[[], bool] = lambda: False,
  ):
    """Asks nothing of the server yet.

    Args:
      client: of the replay server.
      queue: name of a table that has permits (`tables.Queue`).
      own: permits that a writer begins with, the one for its first item among
        them.
      should_stop: asked while waiting; true ends the wait.
    """
    self._client, self._table = client, tables.permits(queue)
    self._own = own - 1
    self._taken = reader.Reader(client, self._table, 1, should_stop)
    self._stream: reverb.TrajectoryWriter | None = None
    self._unknown = False  # Whether the server has no such permits.

  def take(self) -> bool:
    """Waits for a permit for the next item; false if told to stop."""
    if self._own:
      self._own -= 1
      return True
    if self._unknown:
      return True
    try:
      return next(self._taken, None) is not None
    except KeyError:  # The tables of another builder: no queue has permits.
      self._unknown = True
      return True

  def give(self):
    """Gives one; waits for nothing."""
    if self._stream is None:
      self._stream = self._client.trajectory_writer(num_keep_alive_refs=1)
    self._stream.append({'permit': np.int64(0)})
    item = {'permit': self._stream.history['permit'][-1]}
    self._stream.create_item(self._table, priority=1.0, trajectory=item)

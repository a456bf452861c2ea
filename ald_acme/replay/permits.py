"""Writers make an item only when its reader is almost ready for it.

A full queue blocks its writer only when the next item is made, and that item
then grows old in the writer's hands. With permits the writer waits before it
makes one: the reader gives a permit with each item that it takes. So a writer
is one item ahead of its reader where it would be two, and what it makes is
made by newer parameters.
"""

from collections.abc import Callable

import numpy as np
import reverb

from ald_acme.replay import reader
from ald_acme.replay import tables


class Permits:
  """The permits of a queue, as its reader gives and its writers take them.

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

"""The counts of a program, which also end acting."""

import threading

from acme.utils import counting

from ald_acme import activity

STOP_ACTING = 'stop_acting'  # Counts how often actors were told to stop.


class RunCounter(counting.Counter):
  """A counter whose result tells actors to stop at `max_frames`.

  So at most the unrolls that are under way are more than `max_frames`.
  """

  def __init__(self, max_frames: int = 0) -> None:
    """Counts from 0.

    Args:
      max_frames: actors are told to stop from so many `frames` on; 0: never.
    """
    super().__init__()
    self._max_frames = max_frames

  def get_counts(self) -> dict[str, counting.Number]:
    counts = super().get_counts()
    if self._max_frames and counts.get('frames', 0) >= self._max_frames:
      counts[STOP_ACTING] = counts.get(STOP_ACTING, 0) + 1
    return counts


class Remote:
  """The parent of a counter, where that is in another process.

  A call to it counts as a wait for others: where it hangs, its caller is not
  taken for the node that stalls.
  """

  def __init__(self, counter: counting.Counter) -> None:
    """Keeps the counter, or a client of one."""
    self._counter = counter

  def increment(self, **counts: counting.Number) -> dict[str, counting.Number]:
    """As of `acme.utils.counting.Counter`, the one method that it calls."""
    with activity.waiting('waiting for the counter', True, 'count'):
      return self._counter.increment(**counts)


class BackgroundCounter(counting.Counter):
  """Tells another counter at once, but does not wait for its answer.

  Otherwise a loop that counts every update waits for a call to another process
  each time. Answers include its own increments at once, and others' once the
  parent has replied.
  """

  _counts: dict[str, counting.Number]  # Of the base class; not yet sent.

  def __init__(self, parent: counting.Counter) -> None:
    """Asks the parent for its counts in the background.

    Args:
      parent: of the whole program, here or in another process.
    """
    super().__init__()
    self._told = parent
    self._known: dict[str, counting.Number] = {}  # With what was sent.
    self._error: Exception | None = None
    self._work = threading.Semaphore(1)  # One call for what there is already.
    threading.Thread(target=self._send, name='counter', daemon=True).start()

  def increment(self, **counts: counting.Number) -> dict[str, counting.Number]:
    """Counts; the counts of all, as far as they are known.

    Raises:
      Exception: what an earlier call to the parent raised.
    """
    if self._error is not None:
      raise self._error
    answer = super().increment(**counts)
    self._work.release()
    return answer

  def get_counts(self) -> dict[str, counting.Number]:
    with self._lock:
      names = self._known.keys() | self._counts.keys()
      return {
        name: self._known.get(name, 0) + self._counts.get(name, 0)
        for name in names
      }

  def _send(self) -> None:
    while self._error is None:
      self._work.acquire()
      while self._work.acquire(blocking=False):  # One call for all of them.
        pass
      with self._lock:
        sent, self._counts = self._counts, {}
        for name, value in sent.items():
          self._known[name] = self._known.get(name, 0) + value
      try:
        known = self._told.increment(**sent)
      except Exception as error:  # Courier's; raised where the loop counts.
        self._error = error
        return
      with self._lock:
        self._known = dict(known)

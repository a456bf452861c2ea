"""The counters of a program, which also stop acting."""

import threading
import time

from acme.utils import counting

from ald_acme import activity

STOP_ACTING = 'stop_acting'  # Present once actors must stop.


class RunCounter(counting.Counter):
  """A counter whose replies to `increment` tell actors to stop.

  They do at `max_frames`, which a run exceeds by at most the unrolls in
  progress, and after an increment of STOP_ACTING.
  """

  def __init__(self, max_frames: int = 0) -> None:
    """Counts from 0.

    Args:
      max_frames: number of `frames` at which actors must stop; 0: never.
    """
    super().__init__()
    self._max_frames = max_frames
    self._stopped = False

  def increment(self, **counts: counting.Number) -> dict[str, counting.Number]:
    """Increments; returns all counts, with STOP_ACTING if actors must stop."""
    if counts.pop(STOP_ACTING, 0):  # Never back to false: threads race here.
      self._stopped = True
    known = dict(super().increment(**counts))
    if self._max_frames and known.get('frames', 0) >= self._max_frames:
      self._stopped = True
    return {**known, STOP_ACTING: 1} if self._stopped else known


class Remote:
  """The parent of a counter, in another process.

  A call counts as a wait for another node, so that its caller is not reported
  as stalled.
  """

  def __init__(self, counter: counting.Counter) -> None:
    """Wraps a counter or its client."""
    self._counter = counter

  def increment(self, **counts: counting.Number) -> dict[str, counting.Number]:
    """As `acme.utils.counting.Counter.increment`."""
    with activity.waiting('waiting for the counter', True, 'count'):
      return self._counter.increment(**counts)


class BackgroundCounter(counting.Counter):
  """Increments another counter, without waiting for its reply.

  Otherwise a loop would wait for a remote call at every update. Its counts
  include its own increments immediately, and others' once the parent has
  replied. In contrast to Acme's counter with a `time_delta`, it also sends the
  last increments, without waiting for another.
  """

  _counts: dict[str, counting.Number]  # Of the base class; not yet sent.

  def __init__(self, parent: counting.Counter, period: float = 0.0) -> None:
    """Requests the parent's counts in the background.

    Args:
      parent: the program's counter, in this or another process.
      period: least seconds between two calls to it.
    """
    super().__init__()
    self._told, self._period = parent, period
    self._known: dict[str, counting.Number] = {}  # Including increments sent.
    self._error: Exception | None = None
    self._work = threading.Semaphore(1)  # One call at a time.
    threading.Thread(target=self._send, name='counter', daemon=True).start()

  def increment(self, **counts: counting.Number) -> dict[str, counting.Number]:
    """Increments; returns all counts, as far as known.

    Raises:
      Exception: the error of an earlier call to the parent.
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
      while self._work.acquire(blocking=False):  # One call for all increments.
        pass
      with self._lock:
        sent, self._counts = self._counts, {}
        for name, value in sent.items():
          self._known[name] = self._known.get(name, 0) + value
      try:
        known = self._told.increment(**sent)
      except Exception as error:  # Raised at the next increment.
        self._error = error
        return
      with self._lock:
        self._known = dict(known)
      time.sleep(self._period)

"""A cache of parameters for many readers."""

from collections.abc import Callable, Sequence
import threading
import time

import acme
import numpy as np

_REST = 9.0  # A copy is used for so many times the length of its pull.
_OLDEST = 0.5  # Seconds; a pull that was slow by chance is not to count long.


class ParameterCache(acme.VariableSource):
  """A variable source that caches another one.

  A copy is used for nine times as long as it took to get, but for half a second
  at most. So where a pull takes less than 50 ms a cache keeps its source busy
  for a tenth of the time at most, however many readers it has. A node that
  serves ten readers or more needs longer than that to serve each of them once:
  the copy is no older than what they would get by turns.
  """

  def __init__(
    self,
    source: acme.VariableSource,
    clock: Callable[[], float] = time.monotonic,
  ) -> None:
    """Pulls at the first request.

    Args:
      source: has the parameters.
      clock: seconds now.
    """
    self._source, self._clock = source, clock
    self._copies = {}  # Names to (variables, when they get too old).
    self._lock = threading.Lock()

  def get_variables(self, names: Sequence[str]) -> list[list[np.ndarray]]:
    """The source's variables, slightly stale; thread-safe."""
    names = tuple(names)
    with self._lock:  # Those who come during a pull share it.
      began = self._clock()
      variables, too_old = self._copies.get(names, (None, began))
      if began >= too_old:
        variables = self._source.get_variables(list(names))
        now = self._clock()
        too_old = now + min(_REST * (now - began), _OLDEST)
        self._copies[names] = variables, too_old
    return variables

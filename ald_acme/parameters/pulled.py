"""Parameters pulled from a variable source, and a cache for many readers."""

from collections.abc import Callable, Sequence
import threading
import time

import acme
from acme.tf import variable_utils
import numpy as np

from ald_acme import activity

_REST = 9.0  # A copy is used for this multiple of its pull's duration.
_OLDEST = 0.5  # Seconds; bounds the effect of one slow pull.


class PulledParameters:
  """Copies of a source's parameters, and how many updates made them.

  Acme's `VariableClient` pulls. It assigns to `ParameterSlot`s instead of
  TensorFlow variables, which acting does not need.
  """

  def __init__(
    self, source: acme.VariableSource, name: str, count: int, period: int = 1
  ) -> None:
    """Pulls once.

    Args:
      source: serves the variables `name` and 'updates'.
      name: name of the parameters in the source.
      count: their number of arrays.
      period: calls of `update` between pulls.
    """
    self._places = [_ParameterSlot() for _ in range(count)]
    self._updates = _ParameterSlot()
    self._client = variable_utils.VariableClient(
      source, {name: self._places, 'updates': [self._updates]}, period
    )
    self.pull()

  @property
  def arrays(self) -> Sequence[np.ndarray]:
    """The newest parameters received, in the source's order."""
    return [place.value for place in self._places]

  @property
  def age(self) -> int:
    """Number of updates that the parameters have received."""
    return int(self._updates.value)

  def pull(self) -> None:
    """Pulls now, and waits."""
    with activity.waiting('waiting for parameters', True, 'pull'):
      self._client.update_and_wait()

  def update(self, wait: bool = False) -> bool:
    """Pulls when due; returns whether new parameters arrived.

    Args:
      wait: whether to wait for the pull; otherwise a later call receives it.
    """
    before = self._updates.assigned
    self._client.update(wait)
    return self._updates.assigned > before


class ParameterCache(acme.VariableSource):
  """A variable source that caches another one.

  A copy is used for nine times as long as its pull took, but for at most 0.5 s.
  So if a pull takes less than 50 ms, the cache uses at most a tenth of the
  source's time, for any number of readers. Ten readers without a cache would
  wait as long for their turns, so the copy is not more stale.
  """

  def __init__(
    self,
    source: acme.VariableSource,
    clock: Callable[[], float] = time.monotonic,
  ) -> None:
    """Pulls at the first request.

    Args:
      source: source of the parameters.
      clock: seconds now.
    """
    self._source, self._clock = source, clock
    # Names to (variables, expiry time).
    self._copies: dict[
      tuple[str, ...], tuple[list[list[np.ndarray]], float]
    ] = {}
    self._lock = threading.Lock()

  def get_variables(self, names: Sequence[str]) -> list[list[np.ndarray]]:
    """The source's variables, slightly stale; thread-safe."""
    key = tuple(names)
    with self._lock:  # Concurrent requests share one pull.
      began = self._clock()
      if key not in self._copies or began >= self._copies[key][1]:
        variables = self._source.get_variables(list(key))
        now = self._clock()
        too_old = now + min(_REST * (now - began), _OLDEST)
        self._copies[key] = variables, too_old
      return self._copies[key][0]


class _ParameterSlot:
  """Receives an array where `VariableClient` expects a `tf.Variable`."""

  def __init__(self) -> None:
    self.value = np.zeros(())  # Until the first assignment.
    self.assigned = 0  # Number of assignments.

  def assign(self, value: np.ndarray) -> None:
    self.value = value
    self.assigned += 1

"""Parameters pulled from a variable source, and a cache for many readers."""

from collections.abc import Callable, Sequence
import threading
import time

import acme
from acme.tf import variable_utils
import numpy as np

from ald_acme import activity

_REST = 9.0  # A copy is used for so many times the length of its pull.
_OLDEST = 0.5  # Seconds; a pull that was slow by chance is not to count long.


class PulledParameters:
  """Copies of a source's parameters as plain arrays, and their age.

  Acme's `VariableClient` does the pulling. It assigns to what it is given:
  here, to places for arrays, because no TensorFlow variable is needed to act.
  """

  def __init__(
    self, source: acme.VariableSource, name: str, count: int, period: int = 1
  ) -> None:
    """Pulls for the first time.

    Args:
      source: has the variables `name` and 'updates'.
      name: of the parameters.
      count: how many arrays they are.
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
    """The newest parameters that arrived, in the source's order."""
    return [place.value for place in self._places]

  @property
  def age(self) -> int:
    """Number of updates behind them."""
    return int(self._updates.value)

  def pull(self) -> None:
    """Pulls now."""
    with activity.waiting('waiting for parameters', True, 'pull'):
      self._client.update_and_wait()

  def update(self, wait: bool = False) -> bool:
    """Pulls when due; returns whether new parameters arrived.

    Args:
      wait: whether to wait for them; else they arrive in a later call.
    """
    before = self._updates.assigned
    self._client.update(wait)
    return self._updates.assigned > before


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


class _ParameterSlot:
  """Receives an array where `VariableClient` expects a `tf.Variable`."""

  def __init__(self) -> None:
    self.value = None
    self.assigned = 0  # Times.

  def assign(self, value: np.ndarray) -> None:
    self.value = value
    self.assigned += 1

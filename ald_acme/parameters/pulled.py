"""Parameters pulled from a variable source, and a cache for many readers."""

from collections.abc import Callable, Sequence
import math
import threading
import time
from typing import Any

from absl import logging
import acme
from acme.tf import variable_utils
import numpy as np

from ald_acme import activity
from ald_acme.parameters import vectors

_REST = 9.0  # A copy is used for this multiple of its pull's duration.
_OLDEST = 0.5  # Seconds; bounds the effect of one slow pull.


class PulledParameters:
  """Copies of a source's parameters, and how many updates made them.

  A source that is a `vectors.VectorSource` sends one vector, and only if its
  parameters have changed. Any other `acme.VariableSource` sends its arrays.

  Acme's `VariableClient` pulls. It assigns to `ParameterSlot`s instead of
  TensorFlow variables, which acting does not need.
  """

  def __init__(
    self,
    source: acme.VariableSource,
    name: str,
    like: Sequence[Any],
    period: int = 1,
  ) -> None:
    """Pulls once.

    Args:
      source: serves the variables `name` and 'updates'.
      name: name of the parameters in the source.
      like: variables or arrays of the parameters' shapes, in order.
      period: calls of `update` between pulls.

    Raises:
      ValueError: if the source's parameters have other shapes.
    """
    self._layout = vectors.Layout([array.shape for array in like])
    self._vector, self._updates = _ParameterSlot(), _ParameterSlot()
    self._client = variable_utils.VariableClient(
      _AsVector(source, self._layout),
      {name: [self._vector], 'updates': [self._updates]},
      period,
    )
    self.pull()

  @property
  def vector(self) -> np.ndarray:
    """The newest parameters received, float32 `[P]`."""
    return self._vector.value

  @property
  def arrays(self) -> list[np.ndarray]:
    """The newest parameters received, in the source's order."""
    return self._layout.unpack(self.vector)

  @property
  def age(self) -> int:
    """Number of updates that the parameters have received."""
    return int(self._updates.value)

  def pull(self) -> bool:
    """Pulls now, and waits; returns whether new parameters arrived."""
    before = self._vector.changes
    with activity.waiting('waiting for parameters', True, 'pull'):
      self._client.update_and_wait()
    return self._vector.changes > before

  def update(self, wait: bool = False) -> bool:
    """Pulls when due; returns whether new parameters arrived.

    Args:
      wait: whether to wait for the pull; otherwise a later call receives it.
    """
    before = self._vector.changes
    self._client.update(wait)
    return self._vector.changes > before


class _AsVector(acme.VariableSource):
  """Serves a source's parameters as one vector, the same one if unchanged."""

  def __init__(
    self, source: acme.VariableSource, layout: vectors.Layout
  ) -> None:
    self._source, self._layout = source, layout
    self._serves_vectors: bool | None = None  # None before it was tried.
    self._held: tuple[int | None, np.ndarray] = (None, np.zeros(0, np.float32))

  def get_variables(self, names: Sequence[str]) -> list[list[np.ndarray]]:
    """The vector and the number of its updates.

    The first request also pulls arrays: only they tell the parameters' shapes.
    """
    if self._serves_vectors:
      return self._get_vector(names[0])
    arrays, updates = self._source.get_variables(list(names))
    vector = self._layout.pack(arrays)
    if self._serves_vectors is None:
      try:
        return self._get_vector(names[0])
      except Exception as error:  # A remote source raises Courier's own.
        logging.info('Parameters come as arrays: %s', error)
        self._serves_vectors = False
    return [[vector], updates]

  def _get_vector(self, name: str) -> list[list[np.ndarray]]:
    version, held = self._held
    version, updates, vector = self._source.get_vector(name, version)
    if vector is None:
      vector = held
    else:
      self._layout.check(vector)
    self._serves_vectors = True
    self._held = version, vector
    return [[vector], [np.int64(updates)]]


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
    # Requests to (answer, expiry time).
    self._copies: dict[Any, tuple[Any, float]] = {}
    self._lock = threading.Lock()

  def get_variables(self, names: Sequence[str]) -> list[list[np.ndarray]]:
    """The source's variables, slightly stale; thread-safe."""
    return self._newest(
      tuple(names), lambda _: self._source.get_variables(list(names))
    )

  def get_vector(self, name: str, version: int | None) -> vectors.Answer:
    """As `vectors.VectorSource`, if the source is one; thread-safe."""

    def pull(copy: vectors.Answer | None) -> vectors.Answer:
      held, _, vector = copy or (None, 0, None)
      newest, updates, sent = self._source.get_vector(name, held)
      return newest, updates, vector if sent is None else sent

    newest, updates, vector = self._newest(name, pull)
    return newest, updates, None if newest == version else vector

  def _newest(self, key: Any, pull: Callable[[Any], Any]) -> Any:
    """The copy of a request's answer, pulled again if it is too old.

    Args:
      key: identifies the request.
      pull: returns the answer, given the last copy or None.
    """
    with self._lock:  # Concurrent requests share one pull.
      began = self._clock()
      copy, expiry = self._copies.get(key, (None, -math.inf))
      if began >= expiry:
        copy = pull(copy)
        now = self._clock()
        too_old = now + min(_REST * (now - began), _OLDEST)
        self._copies[key] = copy, too_old
      return copy


class _ParameterSlot:
  """Receives an array where `VariableClient` expects a `tf.Variable`."""

  def __init__(self) -> None:
    self.value = np.zeros(())  # Until the first assignment.
    self.changes = 0  # Number of assignments of another array.

  def assign(self, value: np.ndarray) -> None:
    self.changes += value is not self.value
    self.value = value

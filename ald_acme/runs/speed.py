"""The speed of a run in frames per second."""

import collections
import time

_RECENT = 30.0  # Window of the recent speed, in seconds.


class Speed:
  """Measures the speed since acting started, and in the last 30 seconds."""

  def __init__(self) -> None:
    """Starts with no frames counted."""
    self._frames = 0
    self._first: tuple[float, int] | None = None  # (time, frames)
    self._recent: collections.deque[tuple[float, int]] = collections.deque()

  def count(self, frames: int) -> None:
    """Records the newest count of frames."""
    now = time.time()
    self._frames = frames
    if self._first is None or frames == self._first[1]:
      self._first = (now, frames)
      self._recent.clear()
    self._recent.append((now, frames))
    while self._recent[0][0] < now - _RECENT:
      self._recent.popleft()

  @property
  def has_begun(self) -> bool:
    """Whether frames were counted after the first count."""
    return self._first is not None and self._frames > self._first[1]

  @property
  def overall(self) -> float:
    """Frames per second since the first frame of this launch."""
    return 0.0 if self._first is None else self._since(*self._first)

  @property
  def recent(self) -> float:
    """Frames per second in the last 30 seconds."""
    return self._since(*self._recent[0]) if self._recent else 0.0

  def _since(self, since: float, frames: int) -> float:
    seconds = time.time() - since
    return (self._frames - frames) / seconds if seconds >= 1.0 else 0.0

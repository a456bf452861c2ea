"""Policy of restarting a failed node or giving up."""

STEADY = 300.0  # Seconds after which a node counts as running.
TRIES = 8  # Consecutive failed starts before giving up.
PAUSE = 1.0  # Seconds before the first restart; doubles each time.


class Restarts:
  """Counts the ends of a node.

  A node that fails soon after each start is given up.
  """

  def __init__(self) -> None:
    """Starts without any restart."""
    self._pause, self._ends = PAUSE, 0

  def after(self, lived: float) -> float | None:
    """Seconds to wait before the next restart; None to give up.

    Args:
      lived: seconds from the last start to the end.
    """
    if lived >= STEADY:
      self._pause, self._ends = PAUSE, 0
    self._ends += 1
    if self._ends == TRIES:
      return None
    pause, self._pause = self._pause, 2 * self._pause
    return pause

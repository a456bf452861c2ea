"""The counts of a program, which also end acting."""

from acme.utils import counting

STOP_ACTING = 'stop_acting'  # Counts how often actors were told to stop.


class RunCounter(counting.Counter):
  """A counter whose result tells actors to stop at `max_frames`.

  So at most the unrolls that are under way are more than `max_frames`.
  """

  def __init__(self, max_frames: int = 0):
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

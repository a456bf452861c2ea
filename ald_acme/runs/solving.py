"""Detects when a run has solved its task."""

from collections.abc import Mapping
import math
from typing import Any

import numpy as np

_IN_A_ROW = 3  # Consecutive evaluations at `solved_return`.
_FRAMES, _SECONDS = 'solved_at_frames', 'solved_at_seconds'
_STREAK = 'solved_streak'


class Solving:
  """Finds the first of three consecutive evaluations that solve the task."""

  def __init__(
    self, solved_return: float | None, earlier: Mapping[str, Any]
  ) -> None:
    """Continues from an earlier launch.

    Args:
      solved_return: evaluation return that solves the task; None if unknown.
      earlier: `saved` of the earlier launch; may be empty.
    """
    self._solved_return = solved_return
    self._at = {
      name: float(earlier.get(name, math.nan)) for name in (_FRAMES, _SECONDS)
    }
    # Frames and seconds of the evaluations in a row, and of the last one.
    streak = np.reshape(earlier.get(_STREAK, ()), (-1, 2))
    self._in_a_row = [(float(x), float(y)) for x, y in streak]
    self._last: tuple[float, float] | None = None

  def take(self, row: Mapping[str, float], at_target: bool) -> None:
    """Records an evaluation; ignored if it is the last one recorded.

    The last evaluation of a run arrives twice: in the evaluator's log, and as
    its answer.

    Args:
      row: the evaluator's row.
      at_target: whether the run ends at its target return. Then two evaluations
        suffice; the second has the final parameters.
    """
    if self._solved_return is None or not math.isnan(self._at[_FRAMES]):
      return
    at = (row['frames'], row['wall_seconds'])
    if at == self._last:
      return
    self._last = at
    if row['actor_return'] >= self._solved_return:
      self._in_a_row.append(at)
    else:
      self._in_a_row = []
    if len(self._in_a_row) >= (2 if at_target else _IN_A_ROW):
      self._at = dict(zip((_FRAMES, _SECONDS), self._in_a_row[0]))

  @property
  def saved(self) -> dict[str, Any]:
    """The state for a checkpoint; frames and seconds are NaN if not solved."""
    streak = np.reshape(self._in_a_row, (-1, 2)).astype(np.float64)
    return {**self._at, _STREAK: streak}

  @property
  def summary(self) -> dict[str, float | None]:
    """The fields of the summary: None if not solved, empty if unknown."""
    if self._solved_return is None:
      return {}
    return {k: None if math.isnan(x) else x for k, x in self._at.items()}

"""When a task counts as solved."""

from collections.abc import Mapping
import math
from typing import Any

_IN_A_ROW = 3  # Evaluations at `solved_return` that make a task solved.
_FRAMES, _SECONDS = 'solved_at_frames', 'solved_at_seconds'


class Solving:
  """Finds the first of three evaluations in a row that reach a return."""

  def __init__(
    self, solved_return: float | None, earlier: Mapping[str, Any]
  ) -> None:
    """Goes on from an earlier launch.

    Args:
      solved_return: of an evaluation; None where nothing says what solves the
        task.
      earlier: what `saved` gave then; it may be empty.
    """
    self._solved_return = solved_return
    self._at = {
      name: float(earlier.get(name, math.nan)) for name in (_FRAMES, _SECONDS)
    }
    self._in_a_row: list[tuple[float, float]] = []  # (frames, seconds)

  def take(self, row: Mapping[str, float], at_target: bool) -> None:
    """Takes an evaluation.

    Args:
      row: of the evaluator.
      at_target: whether the run ends because its target return was reached. It
        then ends early, so two evaluations are enough; the second is of the
        final parameters.
    """
    if self._solved_return is None or not math.isnan(self._at[_FRAMES]):
      return
    if row['actor_return'] >= self._solved_return:
      self._in_a_row.append((row['frames'], row['wall_seconds']))
    else:
      self._in_a_row = []
    if len(self._in_a_row) >= (2 if at_target else _IN_A_ROW):
      self._at = dict(zip((_FRAMES, _SECONDS), self._in_a_row[0]))

  @property
  def saved(self) -> dict[str, float]:
    """For a checkpoint; nan where the task is not solved."""
    return self._at

  @property
  def summary(self) -> dict[str, float | None]:
    """For the summary: None where it is not solved, empty if nothing says."""
    if self._solved_return is None:
      return {}
    return {k: None if math.isnan(x) else x for k, x in self._at.items()}

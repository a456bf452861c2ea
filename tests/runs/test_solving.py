"""When a task is solved, evaluation by evaluation."""

import math

import pytest

from ald_acme.runs import solving


def _take(of, *returns, at_target=False):
  for i, value in enumerate(returns):
    row = {'actor_return': value, 'frames': i, 'wall_seconds': 2.0 * i}
    of.take(row, at_target)


@pytest.mark.parametrize(
  'returns, at_target, at',
  [
    ([0.9, 0.9], False, None),
    ([0.9, 0.8, 0.9, 0.9], False, None),
    ([0.1, 0.9, 0.9, 1.0, 0.0, 0.9, 0.9, 0.9], False, 1),
    ([0.1, 0.9, 0.9], True, 1),
  ],
)
def test_three_in_a_row_or_two_at_the_target(returns, at_target, at):
  part = solving.Solving(0.9, {})
  _take(part, *returns, at_target=at_target)
  seconds = None if at is None else 2.0 * at
  assert part.summary == {
    'solved_at_frames': at,
    'solved_at_seconds': seconds,
  }
  again = solving.Solving(0.9, part.saved)  # What was solved stays solved.
  _take(again, *[1.0] * (3 if at is not None else 0))
  assert again.summary == part.summary


def test_a_resumed_run_continues_its_streak():
  part = solving.Solving(0.9, {})
  _take(part, 0.1, 0.9, 0.9)
  again = solving.Solving(0.9, part.saved)
  again.take({'actor_return': 0.9, 'frames': 3, 'wall_seconds': 6.0}, False)
  assert again.summary == {'solved_at_frames': 1, 'solved_at_seconds': 2.0}


def test_unknown_solved_return():
  part = solving.Solving(None, {})
  _take(part, 1.0, 1.0, 1.0)
  assert part.summary == {}
  assert math.isnan(part.saved['solved_at_frames'])
  assert part.saved['solved_streak'].shape == (0, 2)

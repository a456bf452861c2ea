"""Knight's tour: legal moves, masks and illegal moves."""

from absl.testing import absltest
import dm_env
from dm_env import test_utils
import numpy as np
import pytest

from ald_acme.environments import registry
from ald_acme.environments import testing
from ald_acme.environments.interface import base
from ald_acme.environments.interface import masks
from ald_acme.environments.tasks import knights_tour

FIRST, MID, LAST = (int(step_type) for step_type in dm_env.StepType)
# A tour of the 5x5 board from a corner, cell by cell: found by hand, to check
# the rules with.
TOUR = [
  *(0, 7, 4, 13, 24, 17, 20, 11, 2, 9, 18, 21, 10, 1, 8, 19, 22, 15, 6, 3),
  *(14, 23, 16, 5, 12),
]


def _make(batch_size=1, **kwargs):
  return knights_tour.BatchedKnightsTour(batch_size, **kwargs)


class KnightsTourTest(test_utils.EnvironmentTestMixin, absltest.TestCase):
  """The contract of `dm_env`."""

  def make_object_under_test(self):
    return base.Single(_make())


class TestMasked(testing.ConformanceTestMixin):
  def make_object_under_test(self):
    return _make(3)


class TestUnmasked(testing.ConformanceTestMixin):
  def make_object_under_test(self):
    return _make(3, masked=False)


def _started(cell, **kwargs):
  """A board whose knight starts on a cell."""
  for seed in range(200):
    board = _make(seed=seed, **kwargs)
    step = board.reset()
    if step.observation['knight'][0, cell]:
      return board, step
  raise AssertionError('It starts there with no seed.')


def test_a_complete_tour_has_reward_one():
  board, step = _started(TOUR[0])
  total, visited = 0.0, [TOUR[0]]
  for cell in TOUR[1:]:
    assert step.step_type == (MID if len(visited) > 1 else FIRST)
    assert step.observation['legal'][0, cell]
    step = board.step(np.array([cell]))
    total += step.reward[0]
    visited.append(cell)
    seen = np.flatnonzero(step.observation['visited'][0])
    assert seen.tolist() == sorted(visited)
    assert np.flatnonzero(step.observation['knight'][0]).tolist() == [cell]
  assert step.step_type == LAST and step.discount == 0
  assert total == pytest.approx(1.0)
  assert board.metrics() == {'illegal_moves': 0}
  assert board.step(np.array([0])).step_type == FIRST


def test_legal_are_new_cells_at_a_knights_move():
  boards = _make(50, size=6)
  spec, step = boards.observation_spec(), boards.reset()
  for _ in range(60):
    rows, columns = np.divmod(step.observation['knight'].argmax(-1), 6)
    for i in range(50):
      expected = {
        6 * r + c
        for r in range(6)
        for c in range(6)
        if abs(r - rows[i]) * abs(c - columns[i]) == 2
        and not step.observation['visited'][i, 6 * r + c]
      }
      legal = np.flatnonzero(step.observation['legal'][i])
      assert set(legal.tolist()) == expected
      assert bool(expected) or step.step_type[i] == LAST
    step = boards.step(
      masks.lowest(boards.action_spec(), spec, step.observation)
    )


def test_an_illegal_move_has_no_effect_and_is_counted():
  board, first = _started(12, masked=False)
  assert 'legal' not in first.observation
  for count, cell in enumerate((12, 13, 0), 1):  # Itself, beside, far away.
    step = board.step(np.array([cell]))
    assert (step.step_type, step.reward) == (MID, 0)
    for key in ('visited', 'knight'):
      np.testing.assert_array_equal(
        step.observation[key], first.observation[key]
      )
    assert board.metrics() == {'illegal_moves': count}
  for _ in range(46):
    assert board.step(np.array([12])).step_type == MID
  assert board.step(np.array([12])).step_type == LAST  # The 50th.


def test_starts():
  starts = _make(500).reset().observation['knight'].argmax(-1)
  assert set(starts) == set(range(0, 25, 2))  # The cells with a tour.
  starts = _make(500, size=6).reset().observation['knight'].argmax(-1)
  assert set(starts) == set(range(36))
  # A board's starts do not depend on the batch.
  few, many = (_make(n, seed=3).reset().observation['knight'] for n in (2, 9))
  np.testing.assert_array_equal(few, many[:2])


def test_names_and_pictures():
  board, _ = _started(0)
  names = board.action_names()
  assert (names[0], names[4], names[20]) == ('a5', 'e5', 'a1')
  picture = board.render()
  assert picture.shape == (60, 60, 3) and picture.dtype == np.uint8
  assert picture[0, 0].tolist() != picture[0, 24].tolist()


@pytest.mark.parametrize(
  'kwargs, message',
  [
    ({'size': 4}, 'size must be a number of at least 5'),
    ({'masked': 1}, 'masked must be True or False'),
  ],
)
def test_wrong_arguments_are_refused(kwargs, message):
  with pytest.raises(ValueError, match=message):
    registry.make('knights_tour', kwargs, 1, seed=0)

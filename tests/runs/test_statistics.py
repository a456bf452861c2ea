"""Statistics against values by hand and by plain loops."""

import itertools

import numpy as np
import pytest

from ald_acme.runs import statistics

NAN = float('nan')


def test_carry_forward_by_hand():
  np.testing.assert_array_equal(
    statistics.carry_forward(
      [10, 20, 30, 40], [1.0, NAN, 3.0, 4.0], [0, 10, 15, 20, 29, 30, 99]
    ),
    [NAN, 1, 1, 1, 1, 3, 4],
  )


def test_of_two_values_at_one_point_the_later_counts():
  assert statistics.carry_forward([5, 5], [1.0, 2.0], [5]) == [2.0]


def test_nothing_to_carry():
  carried = statistics.carry_forward([], [], [0, 1])
  np.testing.assert_array_equal(carried, [NAN, NAN])


def test_carry_forward_by_brute_force():
  rng = np.random.default_rng(1)
  xs = np.sort(rng.integers(0, 50, 30))
  ys = np.where(rng.random(30) < 0.2, NAN, rng.random(30))
  grid = np.arange(-1, 55)
  expected = []
  for point in grid:
    last = NAN
    for x, y in zip(xs, ys):
      if x <= point and not np.isnan(y):
        last = y
    expected.append(last)
  np.testing.assert_array_equal(
    statistics.carry_forward(xs, ys, grid), expected
  )


@pytest.mark.parametrize(
  'function, arguments',
  [
    (statistics.carry_forward, ([2, 1], [0.0, 0.0], [1])),
    (statistics.area, ([2, 1], [0.0, 0.0], 3)),
    (statistics.rate, ([1, 2], [2, 1])),
  ],
)
def test_descending_rows_are_refused(function, arguments):
  with pytest.raises(ValueError, match=r'must ascend, but received 2 .*undone'):
    function(*arguments)


@pytest.mark.parametrize(
  'xs, kept',
  [
    ([], []),
    ([0, 1, 1, 2], [1, 1, 1, 1]),
    ([0, 10, 20, 30, 15, 25], [1, 1, 0, 0, 1, 1]),
    ([0, 10, 20, 0, 5], [1, 0, 0, 1, 1]),  # Begun anew.
    ([0, 10, NAN, 5, NAN], [1, 0, 0, 1, 0]),
  ],
)
def test_rows_undone_by_a_resume(xs, kept):
  np.testing.assert_array_equal(
    statistics.not_undone(np.float64(xs)), np.bool_(kept)
  )


@pytest.mark.parametrize(
  'xs, ys, end, expected',
  [
    # 0 over 10 wide, 1 over 30 wide, 0.5 over 60 wide.
    ([0, 10, 40], [0.0, 1.0, 0.5], 100, 0.6),
    ([0, 10, 40], [0.0, 1.0, 0.5], 40, 0.75),  # A value at the end is late.
    ([50, 75], [1.0, 0.0], 100, 0.5),  # From the first value on.
    ([0, 10, 40], [0.0, NAN, 0.5], 100, 0.3),
    ([0], [0.7], 100, 0.7),
    ([100], [1.0], 100, NAN),
    ([], [], 100, NAN),
  ],
)
def test_area(xs, ys, end, expected):
  np.testing.assert_allclose(statistics.area(xs, ys, end), expected)


@pytest.mark.parametrize(
  'counts, seconds, expected',
  [
    ([0, 0, 10, 30, 50], [1, 2, 3, 4, 5], 20.0),  # Start-up is left out.
    ([5, NAN, 15], [0, 1, 4], 2.5),
    ([5, 15], [NAN, 4], NAN),
    ([0, 7], [0, 1], NAN),
    ([7, 7], [1, 1], NAN),
    ([], [], NAN),
  ],
)
def test_rate(counts, seconds, expected):
  np.testing.assert_allclose(statistics.rate(counts, seconds), expected)


def test_the_mean():
  mean = statistics.estimate([[1.0, NAN, NAN], [3.0, 5.0, NAN]]).mean
  np.testing.assert_array_equal(mean, [2.0, 5.0, NAN])


def test_interval_against_every_resample():
  values = np.array([0.0, 0.3, 0.5, 1.0])
  # All 4^4 resamples, each as likely: the distribution that is sampled.
  means = [
    np.mean(drawn) for drawn in itertools.product(values, repeat=len(values))
  ]
  _, low, high = statistics.estimate(values)
  exact = np.percentile(means, [2.5, 97.5])
  np.testing.assert_allclose([low, high], exact, atol=0.05)
  _, low, high = statistics.estimate(values, level=0.5)
  exact = np.percentile(means, [25, 75])
  np.testing.assert_allclose([low, high], exact, atol=0.05)


def test_intervals_cover_the_truth():
  """With ten values, somewhat fewer than 95% of intervals contain the mean."""
  rng = np.random.default_rng(2)
  _, low, high = statistics.estimate(rng.normal(3.0, 2.0, size=(10, 400)))
  covered = np.mean((low < 3.0) & (3.0 < high))
  assert 0.85 < covered < 0.97


def test_points_of_a_curve_are_drawn_together():
  """Twice a curve has twice its interval, point by point."""
  curve = np.random.default_rng(3).random(5)
  _, low, high = statistics.estimate(np.stack([curve, 2 * curve], axis=1))
  np.testing.assert_allclose([low[1], high[1]], [2 * low[0], 2 * high[0]])


def test_equal_values_have_an_empty_interval():
  _, low, high = statistics.estimate(np.full([3, 2], 0.25))
  np.testing.assert_array_equal([low, high], np.full([2, 2], 0.25))


def test_deterministic():
  values = np.random.default_rng(4).random((5, 3))
  np.testing.assert_array_equal(
    statistics.estimate(values), statistics.estimate(values)
  )


def test_one_seed_has_no_interval():
  mean, low, high = statistics.estimate([[0.5, 0.75]])
  np.testing.assert_array_equal(mean, [0.5, 0.75])
  np.testing.assert_array_equal([low, high], np.full([2, 2], NAN))


def test_no_seed_has_no_mean():
  assert np.isnan(statistics.estimate([])).all()
  assert np.isnan(statistics.estimate(np.zeros([0, 4]))).all()


def test_missing_values_do_not_spread():
  full = np.array([0.1, 0.4, 0.7])
  values = np.stack([full, [NAN, NAN, 0.7], [0.1, NAN, 0.7]], axis=1)
  mean, low, high = statistics.estimate(values)
  np.testing.assert_allclose(mean, [0.4, 0.7, 0.4])
  np.testing.assert_array_equal(low[:1], statistics.estimate(full).low)
  assert np.isnan([low[1], high[1]]).all()  # Of one seed.
  assert low[2] == 0.1 and high[2] == 0.7

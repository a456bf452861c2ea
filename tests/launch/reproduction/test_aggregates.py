"""Statistics over runs of many tasks."""

import itertools

import numpy as np
import pytest

from launch.reproduction import aggregates

SCORES = [np.array([0.0, 0.2, 0.9]), np.array([1.0]), np.array([0.5, 0.4])]


@pytest.mark.parametrize(
  'values, expected',
  [
    ([0.3], 0.3),
    ([0.9, 0.1, 0.5], 0.5),  # Fewer than four: nothing is cut.
    ([9.0, 0.1, 0.5, -9.0], 0.3),
    ([4.0, 0.0, 2.0, 1.0, 3.0], 2.0),
    ([7, 0, 6, 1, 5, 2, 4, 99], (2 + 4 + 5 + 6) / 4),
  ],
)
def test_interquartile_mean(values, expected):
  scores = np.array_split(np.array(values, float), min(2, len(values)))
  assert aggregates.interquartile_mean(scores) == pytest.approx(expected)


def test_improvement():
  """By hand: of six pairs three are won, and one is a tie."""
  ours, theirs = np.array([0.1, 0.5, 0.7]), np.array([0.5, 0.2])
  assert aggregates.improvement([ours], [theirs]) == pytest.approx(3.5 / 6)
  assert aggregates.improvement(
    [ours, np.ones(2)], [theirs, np.ones(3)]
  ) == pytest.approx((3.5 / 6 + 0.5) / 2)
  with pytest.raises(ValueError):
    aggregates.improvement([ours], [theirs, theirs])


def test_profile():
  levels = np.array([0.0, 0.2, 0.95, 1.0])
  expected = [(2 / 3 + 1 + 1) / 3, (1 / 3 + 1 + 1) / 3, 1 / 3, 0.0]
  np.testing.assert_allclose(aggregates.profile(SCORES, levels), expected)


def test_intervals_are_of_runs_within_each_task():
  """Against all resamples: only the first task's mean varies."""
  scores = [np.array([0.0, 1.0, 0.4]), np.array([7.0])]

  def mean(of_tasks):
    return float(np.mean([np.mean(runs) for runs in of_tasks]))

  every = [
    (np.mean(drawn) + 7.0) / 2
    for drawn in itertools.product(scores[0], repeat=3)
  ]
  middle, low, high = aggregates.estimate(mean, scores)
  assert middle == pytest.approx((1.4 / 3 + 7.0) / 2)
  # The extremes have probabilities of 1/27, more than the tails of 2.5%.
  assert (low, high) == pytest.approx((min(every), max(every)))
  _, low, high = aggregates.estimate(mean, [np.ones(1), np.zeros(1)])
  assert np.isnan(low) and np.isnan(high)

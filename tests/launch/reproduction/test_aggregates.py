"""Statistics over runs of many tasks."""

import itertools

import numpy as np
import pytest
from scipy import stats

from launch.reproduction import aggregates

SCORES = [np.array([0.0, 0.2, 0.9]), np.array([1.0]), np.array([0.5, 0.4])]


@pytest.mark.parametrize('count', range(1, 10))
def test_interquartile_mean(count):
  values = np.random.default_rng(count).random(count)
  scores = np.array_split(values, min(3, count))
  assert aggregates.interquartile_mean(scores) == pytest.approx(
    stats.trim_mean(values, 0.25)
  )


def test_improvement():
  """Against the U statistic, and by hand with ties."""
  ours, theirs = np.array([0.1, 0.5, 0.7]), np.array([0.5, 0.2])
  wins = stats.mannwhitneyu(ours, theirs).statistic
  assert aggregates.improvement([ours], [theirs]) == pytest.approx(wins / 6)
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

"""Random numbers that depend only on their coordinates."""

import numpy as np
import pytest

from ald_acme.environments.tasks import streams


@pytest.mark.parametrize('seed', [0, 7, 2**40, np.int64(7)])
def test_same_point_same_number(seed):
  whole = streams.uniform(seed, np.arange(5)[:, np.newaxis], np.arange(4), 2)
  assert whole.shape == (5, 4)
  assert whole.dtype == np.float64
  for i, j in np.ndindex(5, 4):
    assert np.squeeze(streams.uniform(seed, i, j, 2)) == whole[i, j]


@pytest.mark.parametrize(
  'coordinates, shape',
  [((), ()), ((3,), ()), ((3, 1), ()), ((np.arange(2),), (2,))],
)
def test_shape_is_the_coordinates(coordinates, shape):
  assert streams.uniform(0, *coordinates).shape == shape
  assert streams.integers(0, 9, *coordinates).shape == shape


def test_numbers_are_uniform():
  x = streams.uniform(1, np.arange(300)[:, np.newaxis], np.arange(300))
  assert x.min() >= 0
  assert x.max() < 1
  counts, _ = np.histogram(x, bins=20, range=(0, 1))
  np.testing.assert_allclose(counts / x.size, 1 / 20, atol=0.004)


def test_neighbours_are_independent():
  seed, maze, episode = np.arange(3), np.arange(100), np.arange(300)
  x = np.stack([streams.uniform(s, maze[:, np.newaxis], episode) for s in seed])
  for axis in range(3):
    here, there = np.delete(x, -1, axis), np.delete(x, 0, axis)
    correlation = np.corrcoef(here.ravel(), there.ravel())[0, 1]
    assert abs(correlation) < 0.02


def test_points_do_not_share_numbers():
  # Seeds included: actors have seeds 0, 1, ... and mazes 0, 1, ... each.
  a, b = np.arange(12)[:, np.newaxis], np.arange(12)
  x = np.stack([streams.uniform(seed, a, b) for seed in range(12)])
  assert len(np.unique(x)) == x.size


def test_order_of_coordinates_matters():
  assert streams.uniform(0, 1, 2) != streams.uniform(0, 2, 1)
  assert streams.uniform(0, 1) != streams.uniform(0, 1, 0)


@pytest.mark.parametrize('high', [1, 2, 6])
def test_integers_are_uniform(high):
  x = streams.integers(3, high, np.arange(30_000))
  assert x.dtype == np.int64
  counts = np.bincount(x, minlength=high)
  assert len(counts) == high
  np.testing.assert_allclose(counts / x.size, 1 / high, atol=0.015)

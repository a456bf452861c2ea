"""Reused batches: how often, which, and in what order."""

import collections

import numpy as np
import pytest

from ald_acme.replay import reader


def _take(number, ratio, size=4, new=10_000, seed=0):
  batches = reader.Reuse(iter([i] for i in range(new)), ratio, size, seed)
  return [next(batches)[0] for _ in range(number)]


@pytest.mark.parametrize('ratio', [1.0, 1.5, 2.0, 3.0, 3.25])
def test_the_ratio_is_kept(ratio):
  taken = _take(1_000, ratio)
  new = len(set(taken))
  assert abs(len(taken) / new - ratio) < 0.02
  assert list(dict.fromkeys(taken)) == list(range(new))  # In order, none left.


def test_without_reuse_each_batch_comes_once():
  assert _take(50, 1.0) == list(range(50))


def test_old_batches_are_recent_ones():
  taken, newest = _take(3_000, 3.0, size=4), -1
  ages = collections.Counter()
  for batch in taken:
    if batch > newest:
      newest = batch
    else:
      ages[newest - batch] += 1
  assert set(ages) == {0, 1, 2, 3}
  shares = np.array(list(ages.values())) / sum(ages.values())
  np.testing.assert_allclose(shares, 0.25, atol=0.04)


def test_due_repeats_come_before_the_next_new_batch():
  batches = reader.Reuse(iter([[0]]), 3.0, 4, 0)
  assert [next(batches) for _ in range(3)] == [[0]] * 3
  with pytest.raises(StopIteration):
    next(batches)


def test_a_timeout_changes_nothing():
  class Later:
    ready = False

    def __next__(self):
      if not self.ready:
        raise StopIteration
      return [7]

  later = Later()
  batches = reader.Reuse(later, 2.0, 4, 0)
  with pytest.raises(StopIteration):
    next(batches)
  later.ready = True
  assert [next(batches), next(batches)] == [[7], [7]]


def test_a_seed_gives_the_same_batches():
  assert _take(100, 3.0, seed=1) == _take(100, 3.0, seed=1)
  assert _take(100, 3.0, seed=1) != _take(100, 3.0, seed=2)

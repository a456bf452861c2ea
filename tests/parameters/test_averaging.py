"""The moving average of parameters."""

import numpy as np
import pytest

from ald_acme.parameters import averaging


def _by_hand(vectors, decay):
  average = vectors[0].astype(np.float64)
  for n, vector in enumerate(vectors[1:], start=1):
    kept = min(decay, n / (n + 9))
    average = kept * average + (1 - kept) * vector
  return average


@pytest.fixture
def vectors():
  rng = np.random.default_rng(0)
  return rng.normal(size=[40, 3]).astype(np.float32)


@pytest.mark.parametrize('decay', [0.5, 0.9, 0.99])
def test_equals_the_recurrence(vectors, decay):
  average = averaging.MovingAverage(vectors[0], decay)
  for vector in vectors[1:]:
    average.update(vector)
  np.testing.assert_allclose(
    average.value, _by_hand(vectors, decay), rtol=1e-5, atol=1e-6
  )


def test_without_decay_it_is_the_newest(vectors):
  average = averaging.MovingAverage(vectors[0], 0.0)
  for vector in vectors[1:]:
    average.update(vector)
    np.testing.assert_array_equal(average.value, vector)


def test_constant_parameters_are_their_average():
  vector = np.array([1e-3, -7.0, 1e3], np.float32)
  average = averaging.MovingAverage(vector, 0.95)
  for _ in range(100):
    average.update(vector)
  np.testing.assert_array_equal(average.value, vector)


def test_continues_after_a_restore(vectors):
  whole = averaging.MovingAverage(vectors[0], 0.9)
  for vector in vectors[1:20]:
    whole.update(vector)
  rest = averaging.MovingAverage(vectors[-1], 0.9)
  rest.restore(whole.value.numpy(), 19)
  for vector in vectors[20:]:
    whole.update(vector)
    rest.update(vector)
  np.testing.assert_array_equal(whole.value, rest.value)


def test_a_restored_array_does_not_change(vectors):
  average = averaging.MovingAverage(vectors[0], 0.9)
  for given in np.array(vectors[:20]):  # Some share TensorFlow's alignment.
    kept = given.copy()
    average.restore(given, 10)
    average.update(vectors[-1])
    np.testing.assert_array_equal(given, kept)

"""Distillation of features: their standardisation, and its state."""

import numpy as np
import pytest
import tensorflow as tf
import tree

from agents.ald import features

A, F, P = 3, 4, 10


@pytest.fixture
def make():
  def make(actor_features=A):
    return features.FeatureDistillation(actor_features, F, P, 1e-3, 1.0)

  return make


def _observe(distillation, values, mask):
  """Standardises, and makes a step that changes the moments alone."""
  found, moments = distillation.standardise(values, mask)
  distillation.step(tf.zeros([P]), tf.zeros([(A + 1) * F]), moments)
  return found.numpy()


def _batch(seed, shape=(5, 2), units=1.0):
  rng = np.random.RandomState(seed)
  values = units * rng.randn(*shape, F).astype(np.float32) + units
  return tf.constant(values), tf.constant(rng.rand(*shape) < 0.7)


def test_moments_are_weighted_means(make):
  """The newest batch counts most; by hand in float64."""
  distillation = make()
  total, mean, squares = 0.0, 0.0, 0.0
  for seed in range(5):
    values, mask = _batch(seed, units=1.0 + seed)
    found = _observe(distillation, values, mask)
    kept = np.float64(values.numpy()[mask.numpy()])
    total = 0.99 * total + 0.01
    mean = 0.99 * mean + 0.01 * kept.mean(0)
    squares = 0.99 * squares + 0.01 * (kept**2).mean(0)
    variance = squares / total - (mean / total) ** 2
    expected = (values.numpy() - mean / total) / np.sqrt(variance + 1e-6)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)


def test_a_feature_that_is_constant_within_batches_is_kept(make):
  """With one environment, a remembered bit is constant within a batch."""
  distillation = make()
  mask = tf.ones([5, 1], tf.bool)
  for i in range(200):
    bit = 1.0 if i % 2 else -1.0
    found = _observe(distillation, tf.fill([5, 1, F], bit), mask)
  np.testing.assert_allclose(found, 1.0, atol=0.05)


def test_a_feature_that_never_changes_is_zero(make):
  mask = tf.ones([5, 1], tf.bool)
  found = _observe(make(), tf.fill([5, 1, F], 7.0), mask)
  np.testing.assert_allclose(found, 0.0, atol=1e-3)


def test_a_small_variance_around_a_large_mean(make):
  distillation, rng = make(), np.random.RandomState(0)
  mask = tf.ones([5, 2], tf.bool)
  for _ in range(300):
    values = 100.0 + 0.01 * rng.randn(5, 2, F).astype(np.float32)
    found = _observe(distillation, tf.constant(values, tf.float32), mask)
  assert 0.5 < found.std() < 1.5


def test_masked_steps_do_not_count(make):
  one, other = make(), make()
  values, mask = _batch(0)
  _observe(one, values, mask)
  _observe(one, values, tf.zeros_like(mask))
  _observe(other, tf.where(mask[..., tf.newaxis], values, np.nan), mask)
  moments = [x.save()['moments'] for x in (one, other)]
  np.testing.assert_array_equal(*moments)
  assert moments[0].all()


def test_two_are_alike_and_one_is_restored(make):
  one, other = make(), make()
  tree.map_structure(np.testing.assert_array_equal, one.save(), other.save())
  values, mask = _batch(0)
  _, moments = one.standardise(values, mask)
  one.step(tf.ones([P]), tf.ones([(A + 1) * F]), moments)
  other.restore(one.save())
  tree.map_structure(np.testing.assert_array_equal, one.save(), other.save())
  with pytest.raises(ValueError):
    make(A + 1).restore(one.save())

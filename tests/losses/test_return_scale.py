"""The spread of returns against numpy's."""

import numpy as np
import pytest
import tensorflow as tf

from ald_acme.losses import return_scale

ALL = tf.ones([50, 40], tf.bool)


def _returns(seed, mean, deviation):
  rng = np.random.RandomState(seed)
  return (mean + deviation * rng.randn(50, 40)).astype(np.float32)


@pytest.mark.parametrize(
  'mean, deviation', [(0, 3), (-20, 3), (5, 100), (1e4, 2), (-1e5, 5)]
)
def test_the_first_scale_is_the_deviation(mean, deviation):
  returns = _returns(0, mean, deviation)
  scale = return_scale.ReturnScale().update(returns, ALL)
  np.testing.assert_allclose(scale, returns.std(), rtol=1e-3)


@pytest.mark.parametrize(
  'mean, deviation', [(0, 0.5), (100, 0), (1e4, 0.5), (1e5, 0), (0, 0)]
)
def test_small_spreads_count_as_one(mean, deviation):
  scale = return_scale.ReturnScale()
  for seed in range(300):
    assert scale.update(_returns(seed, mean, deviation), ALL) == 1


def test_moments_decay():
  scale, moments = return_scale.ReturnScale(), []
  for i in range(30):
    returns = _returns(i, i, 2 + i)
    moments.append([returns.mean(), np.square(returns).mean()])
    weights = 0.99 ** np.arange(len(moments))[::-1]
    mean, square = np.average(moments, axis=0, weights=weights)
    np.testing.assert_allclose(
      scale.update(returns, ALL), np.sqrt(square - mean**2), rtol=1e-3
    )


def test_masked_steps_do_not_count():
  returns = _returns(0, 0, 5)
  mask = np.random.RandomState(1).rand(50, 40) < 0.5
  one = return_scale.ReturnScale().update(returns, mask)
  other = return_scale.ReturnScale().update(np.where(mask, returns, 1e6), mask)
  assert one == other
  np.testing.assert_allclose(one, returns[mask].std(), rtol=1e-3)


def test_nothing_that_counts():
  none = tf.zeros_like(ALL)
  assert return_scale.ReturnScale().update(_returns(0, 0, 5), none) == 1


@pytest.mark.parametrize('value', [np.nan, np.inf])
def test_what_is_not_finite_changes_nothing(value):
  scale = return_scale.ReturnScale()
  scale.update(_returns(0, 0, 5), ALL)
  before = scale.save()
  returns = _returns(1, 0, 5)
  returns[3, 4] = value
  scale.update(returns, ALL)
  np.testing.assert_array_equal(scale.save(), before)


def test_no_gradient():
  returns = tf.constant(_returns(0, 0, 5))
  with tf.GradientTape() as tape:
    tape.watch(returns)
    scale = return_scale.ReturnScale().update(returns, ALL)
  assert tape.gradient(scale, returns) is None


def test_it_goes_on():
  one, other = return_scale.ReturnScale(), return_scale.ReturnScale()
  one.update(_returns(0, 0, 5), ALL)
  other.restore(one.save())
  returns = _returns(1, 0, 50)
  assert one.update(returns, ALL) == other.update(returns, ALL)

"""PopArt's statistics against numpy's, and its invariants."""

import numpy as np
import pytest
import tensorflow as tf

from ald_acme.losses import popart

SHAPE = (50, 40)
ALL = tf.ones(SHAPE, tf.bool)


class Head:
  """A normalised value `n = slope x + offset` that PopArt may rescale."""

  def __init__(self):
    self.slope, self.offset = tf.Variable(1.0), tf.Variable(0.0)

  def rescale(self, factor, offset):
    self.slope.assign(factor * self.slope)
    self.offset.assign(factor * self.offset + offset)

  def __call__(self, x):
    return self.slope * x + self.offset


def _returns(seed, mean, deviation):
  rng = np.random.RandomState(seed)
  return (mean + deviation * rng.randn(*SHAPE)).astype(np.float32)


def _update(statistics, returns, rewards=None, mask=ALL, head=None):
  rewards = np.zeros(SHAPE, np.float32) if rewards is None else rewards
  statistics.observe(returns, rewards, mask)
  statistics.commit((head or Head()).rescale)
  return statistics.normalisation


@pytest.mark.parametrize(
  'mean, deviation',
  [(0, 3), (-20, 0.01), (5, 100), (1e4, 2), (-1e5, 5), (0, 1e-4)],
)
def test_the_first_batch_gives_the_statistics(mean, deviation):
  returns = _returns(0, mean, deviation)
  normalisation = _update(popart.PopArt(), returns)
  np.testing.assert_allclose(normalisation.scale, returns.std(), rtol=1e-3)
  np.testing.assert_allclose(
    normalisation.mean, returns.mean(), rtol=1e-5, atol=1e-5
  )


def test_moments_decay():
  statistics, moments = popart.PopArt(), []
  for i in range(30):
    returns = _returns(i, i, 2 + i)
    moments.append([returns.mean(), np.square(returns).mean()])
    weights = 0.99 ** np.arange(len(moments))[::-1]
    mean, square = np.average(moments, axis=0, weights=weights)
    normalisation = _update(statistics, returns)
    np.testing.assert_allclose(
      normalisation.scale, np.sqrt(square - mean**2), rtol=1e-3
    )
    np.testing.assert_allclose(normalisation.mean, mean, rtol=1e-3, atol=0.1)


def test_the_unnormalised_value_is_preserved():
  statistics, head = popart.PopArt(), Head()
  x = tf.linspace(-3.0, 3.0, 7)
  for i in range(20):
    before = statistics.normalisation.denormalise(head(x))
    after = _update(statistics, _returns(i, 10 * i, 1 + i), head=head)
    np.testing.assert_allclose(
      after.denormalise(head(x)), before, rtol=1e-4, atol=1e-3
    )


@pytest.mark.parametrize('factor', [1e-3, 1.0, 1e3])
def test_normalised_values_do_not_depend_on_the_reward_scale(factor):
  def last(c):
    statistics = popart.PopArt()
    for i in range(5):
      returns = c * _returns(i, i, 2)
      normalisation = _update(statistics, returns, c * _returns(9 + i, 0, 1))
    return normalisation.normalise(returns)

  np.testing.assert_allclose(last(factor), last(1.0), rtol=1e-3, atol=1e-3)


def test_equal_returns_are_in_units_of_the_rewards():
  returns = np.full(SHAPE, -100, np.float32)
  normalisation = _update(
    popart.PopArt(), returns, np.full(SHAPE, -2, np.float32)
  )
  np.testing.assert_allclose(normalisation.scale, 2.0)


def test_batches_without_rewards_are_not_informative():
  statistics = popart.PopArt()
  assert statistics.normalisation.scale == 1
  # Bootstrapped values vary, though nothing was paid.
  assert _update(statistics, _returns(0, 0, 1e-3)).informative == 0
  rewards = np.zeros(SHAPE, np.float32)
  rewards[3, 4] = 1e-3
  assert _update(statistics, _returns(1, 0, 1e-3), rewards).informative == 1


def test_masked_steps_do_not_count():
  returns, rewards = _returns(0, 0, 5), _returns(1, 0, 1)
  mask = np.random.RandomState(1).rand(*SHAPE) < 0.5
  one = _update(popart.PopArt(), returns, rewards, tf.constant(mask))
  other = _update(
    popart.PopArt(),
    np.where(mask, returns, 1e6).astype(np.float32),
    np.where(mask, rewards, 1e6).astype(np.float32),
    tf.constant(mask),
  )
  assert one.scale == other.scale and one.mean == other.mean
  np.testing.assert_allclose(one.scale, returns[mask].std(), rtol=1e-3)


@pytest.mark.parametrize(
  'change',
  [
    lambda returns: (returns, tf.zeros(SHAPE, tf.bool)),
    lambda returns: (np.where(returns > 9, np.nan, returns), ALL),
    lambda returns: (np.where(returns > 9, np.inf, returns), ALL),
  ],
  ids=['no step counts', 'nan', 'infinite'],
)
def test_an_empty_or_infinite_batch_changes_nothing(change):
  statistics = popart.PopArt()
  _update(statistics, _returns(0, 0, 5))
  before = statistics.save()
  returns, mask = change(_returns(1, 0, 5))
  _update(statistics, returns, mask=mask)
  np.testing.assert_array_equal(statistics.save(), before)


def test_save_and_restore():
  one, other = popart.PopArt(), popart.PopArt()
  _update(one, _returns(0, 0, 5))
  other.restore(one.save())
  returns = _returns(1, 0, 50)
  assert _update(one, returns).scale == _update(other, returns).scale
  with pytest.raises(ValueError, match='another version'):
    other.restore(np.zeros(3))


def test_the_scale_of_advantages():
  scale, squares = popart.AdvantageScale(), []
  for i in range(5):
    advantages = _returns(i, 0, 0.2 + i)
    squares.append(np.square(advantages).mean())
    weights = 0.99 ** np.arange(len(squares))[::-1]
    np.testing.assert_allclose(
      scale.update(advantages, ALL),
      np.sqrt(np.average(squares, weights=weights)),
      rtol=1e-4,
    )
  small = popart.AdvantageScale()
  np.testing.assert_allclose(small.update(_returns(0, 0, 0.01), ALL), 0.1)


def _correct(head, offset, x, targets):
  """One update of the offset; the targets of the loss."""
  centred, _ = offset.centre(targets, head(x), ALL)
  offset.commit(head.rescale)
  return centred


@pytest.mark.parametrize('rate', [0.1, 0.5])
@pytest.mark.parametrize('shared', [7.0, -0.01])
def test_the_offset_follows_an_error_that_all_values_share(rate, shared):
  head, offset = Head(), popart.ValueOffset(rate)
  x = tf.constant(_returns(0, 0, 1))
  for i in range(6):
    left = shared * (1 - rate) ** i
    np.testing.assert_allclose(head(x), x + shared - left, atol=1e-5)
    centred = _correct(head, offset, x, x + shared)
    np.testing.assert_allclose(centred, x + shared - left, atol=1e-5)
  assert head.slope == 1.0


def test_the_offset_follows_the_mean_of_random_errors():
  rng = np.random.RandomState(0)
  errors = (0.3 + rng.randn(*SHAPE)).astype(np.float32)
  head, offset = Head(), popart.ValueOffset(0.1)
  mask = rng.rand(*SHAPE) < 0.5
  wrong = np.where(mask, errors, 1e6).astype(np.float32)  # Masked.
  centred, bias = offset.centre(wrong, np.zeros(SHAPE, np.float32), mask)
  offset.commit(head.rescale)
  mean = errors[mask].mean()
  np.testing.assert_allclose(bias, -mean, rtol=1e-4)
  np.testing.assert_allclose((errors - centred)[mask], mean, rtol=1e-3)
  np.testing.assert_allclose(head.offset, 0.1 * mean, rtol=1e-4)


def test_with_a_rate_of_0_neither_value_nor_targets_change():
  head, offset = Head(), popart.ValueOffset(0.0)
  x = tf.constant(_returns(0, 0, 1))
  for _ in range(3):
    np.testing.assert_array_equal(_correct(head, offset, x, x + 7), x + 7)
  np.testing.assert_array_equal(head(x), x)


@pytest.mark.parametrize(
  'targets, mask',
  [
    (np.full(SHAPE, np.nan, np.float32), ALL),
    (np.full(SHAPE, np.inf, np.float32), ALL),
    (np.ones(SHAPE, np.float32), tf.zeros(SHAPE, tf.bool)),
    (np.zeros(SHAPE, np.float32), ALL),
  ],
  ids=['nan', 'infinite', 'no step counts', 'no error'],
)
def test_the_offset_stays_without_a_finite_error(targets, mask):
  head, offset = Head(), popart.ValueOffset(0.1)
  offset.centre(targets, np.zeros(SHAPE, np.float32), mask)
  offset.commit(head.rescale)
  assert head.offset == 0.0


def test_the_loss_excludes_an_error_that_all_values_share():
  """It does not change the gradient of the other layers."""
  x = tf.constant(_returns(0, 0, 1))

  def gradient(offset, shared):
    slope = tf.Variable(1.0)
    with tf.GradientTape() as tape:
      values = slope * x + 0.1 * tf.square(x)
      centred, _ = offset.centre(values + shared, values, ALL)
      loss = tf.reduce_mean(tf.square(centred - values))
    return tape.gradient(loss, slope)

  np.testing.assert_allclose(
    gradient(popart.ValueOffset(0.1), 9.0), 0, atol=1e-4
  )
  assert abs(gradient(popart.ValueOffset(0.0), 9.0)) > 0.1

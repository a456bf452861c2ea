"""The clipped surrogate by hand, and where its gradient is 0."""

import numpy as np
import pytest
import tensorflow as tf

from ald_acme.losses import surrogate

EPSILON = 0.2


def _loss(ratios, advantages, mask):
  """The loss and its gradient with respect to the ratios' logarithms."""
  log_ratios = tf.math.log(tf.constant(ratios, tf.float32))
  with tf.GradientTape() as tape:
    tape.watch(log_ratios)
    loss = surrogate.clipped_surrogate_loss(
      log_ratios, tf.constant(advantages), tf.constant(mask), EPSILON
    )
  return loss, tape.gradient(loss, log_ratios)


@pytest.mark.parametrize(
  'ratio, advantage, loss, gradient',
  [
    (1.0, 2.0, -2.0, -2.0),
    (1.1, 2.0, -2.2, -2.2),
    (1.5, 2.0, -2.4, 0.0),  # It has moved far enough to where it pays.
    (0.5, 2.0, -1.0, -1.0),  # It has moved the wrong way: it may come back.
    (0.5, -2.0, 1.6, 0.0),
    (1.5, -2.0, 3.0, 3.0),
  ],
)
def test_by_hand(ratio, advantage, loss, gradient):
  answer, slope = _loss([[ratio]], [[advantage]], [[True]])
  np.testing.assert_allclose(answer, loss, rtol=1e-6)
  np.testing.assert_allclose(slope, [[gradient]], rtol=1e-6)


def test_masked_steps_do_not_count():
  answer, slope = _loss([[1.0, 1.0]], [[3.0, np.nan]], [[True, False]])
  np.testing.assert_allclose(answer, -3.0)
  np.testing.assert_allclose(slope, [[-3.0, 0.0]])


@pytest.mark.parametrize('advantage', [-1.0, 0.0, 1.0])
def test_huge_ratios_stay_finite(advantage):
  answer, slope = _loss([[3e38]], [[advantage]], [[True]])
  assert np.isfinite(answer) and np.isfinite(slope).all()


def test_shapes_must_agree():
  with pytest.raises(ValueError, match='same shape'):
    _loss([[1.0, 1.0]], [[3.0]], [[True, True]])

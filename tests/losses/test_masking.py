"""Masked means."""

import numpy as np
import pytest
import tensorflow as tf

from ald_acme.losses import masking


@pytest.mark.parametrize(
  'mask, mean, gradient',
  [
    ([[True, False], [True, True]], 3.0, [[1 / 3, 0], [1 / 3, 1 / 3]]),
    ([[False, True], [False, False]], 100.0, [[0, 1], [0, 0]]),
    ([[False, False], [False, False]], 0.0, [[0, 0], [0, 0]]),
  ],
)
def test_masked_mean(mask, mean, gradient):
  x = tf.constant([[1.0, 100.0], [3.0, 5.0]])
  with tf.GradientTape() as tape:
    tape.watch(x)
    answer = masking.masked_mean(x, tf.constant(mask))
  assert answer.shape == ()
  np.testing.assert_allclose(answer, mean)
  np.testing.assert_allclose(tape.gradient(answer, x), gradient)


@pytest.mark.parametrize('content', [1e38, np.inf, np.nan])
def test_steps_outside_the_mask_may_hold_anything(content):
  x = tf.constant([[1.0, content]])
  with tf.GradientTape() as tape:
    tape.watch(x)
    answer = masking.masked_mean(x, tf.constant([[True, False]]))
  np.testing.assert_array_equal(answer, 1)
  np.testing.assert_array_equal(tape.gradient(answer, x), [[1, 0]])


def test_shapes_are_compared():
  masking.assert_same_shape(a=tf.zeros([2, 3]), b=tf.ones([2, 3], tf.bool))
  with pytest.raises(ValueError, match=r"'b': \(3, 2\)"):
    masking.assert_same_shape(a=tf.zeros([2, 3]), b=tf.zeros([3, 2]))

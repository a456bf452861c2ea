"""Gradients written out, against automatic differentiation."""

import numpy as np
import pytest
import tensorflow as tf

from ald_acme.networks import blocks

D, H, B, T, S, SIZE = 6, 2, 3, 4, 9, 5


def _normalise(x):
  mean, variance = tf.nn.moments(x, [-1], keepdims=True)
  return (x - mean) / tf.sqrt(variance + 1e-5)


def _gate(x, y, of_y, of_x, of_reset, bias):
  y_r, y_z, y_h = tf.split(y @ of_y, 3, -1)
  x_r, x_z = tf.split(x @ of_x, 2, -1)
  r, z = tf.sigmoid(y_r + x_r), tf.sigmoid(y_z + x_z - bias)
  return (1 - z) * x + z * tf.tanh(y_h + (r * x) @ of_reset)


def _attend(query, of_distance, key, value, position, bias):
  # Distance S - T + t - s, or any number where that is below 0: masked.
  rows = np.arange(T)[:, np.newaxis] + S - T - np.arange(S)
  places = np.maximum(S - T - rows, 0) % (S - T + 1)
  by_place = tf.einsum('hbtd,hpd->hbtp', of_distance, position)
  by_distance = tf.gather(by_place, np.tile(places, [H, B, 1, 1]), batch_dims=3)
  by_content = tf.einsum('hbtd,hbsd->hbts', query, key)
  odds = tf.nn.softmax(by_content + by_distance + bias)
  return tf.einsum('hbts,hbsd->hbtd', odds, value)


def _bias(rng):
  distance = np.arange(T)[:, np.newaxis] + S - T - np.arange(S)
  seen = (distance >= 0) & (distance <= S - T)
  seen = seen & ((rng.rand(B, T, S) < 0.7) | (distance == 0))
  return tf.constant(np.where(seen, 0.0, blocks.MASKED))


CASES = {
  'normalise': (blocks.normalise, _normalise, [(7, D)]),
  'gate': (
    blocks.gate,
    _gate,
    [(7, D), (7, D), (D, 3 * D), (D, 2 * D), (D, D), (D,)],
  ),
  'attend': (
    blocks.attend,
    _attend,
    [
      (H, B, T, SIZE),
      (H, B, T, SIZE),
      (H, B, S, SIZE),
      (H, B, S, SIZE),
      (H, S + 1, SIZE),
    ],
  ),
}


@pytest.mark.parametrize('name', CASES)
def test_gradients_match_automatic_differentiation(name):
  block, reference, shapes = CASES[name]
  rng = np.random.RandomState(0)
  arguments = [tf.constant(rng.randn(*shape)) for shape in shapes]
  rest = [_bias(rng)] if name == 'attend' else []

  @tf.function(autograph=False)
  def both(function):
    with tf.GradientTape() as tape:
      tape.watch(arguments)
      output = function(*arguments, *rest)
      loss = tf.reduce_sum(tf.cast(weight, output.dtype) * output)
    return output, tape.gradient(loss, arguments)

  weight = rng.randn(*reference(*arguments, *rest).shape)
  expected, of_expected = both(reference)
  output, gradients = both(block)
  np.testing.assert_allclose(output, expected, rtol=1e-9, atol=1e-11)
  for gradient, of_one in zip(gradients, of_expected, strict=True):
    assert np.abs(of_one).max() > 1e-3
    np.testing.assert_allclose(gradient, of_one, rtol=1e-8, atol=1e-10)

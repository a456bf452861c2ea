"""The core without a memory."""

import numpy as np
import tensorflow as tf
import tree

from ald_acme.networks import feedforward


def test_steps_are_independent(randomise):
  core = feedforward.Feedforward(7)
  inputs = tf.random.stateless_normal([6, 3, 5], [0, 1])
  reset = tf.zeros([6, 3], tf.bool)
  state = core.initial_state(3)
  core.unroll(inputs, reset, state)
  randomise(core)
  outputs, last = core.unroll(inputs, reset, state)
  assert outputs.shape == (6, 3, core.output_size) == (6, 3, 7)
  assert not tree.flatten(state) and not tree.flatten(last)
  backwards, _ = core.unroll(inputs[::-1], ~reset, state)
  np.testing.assert_allclose(outputs, backwards[::-1], atol=1e-6)
  assert not np.allclose(outputs[0], outputs[1])

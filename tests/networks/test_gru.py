"""Gated recurrent units, step by step in numpy."""

import numpy as np
import pytest
import tensorflow as tf

from ald_acme.networks import gru


def _sigmoid(x):
  return 1 / (1 + np.exp(-x))


@pytest.mark.parametrize('length', [1, 2, 5, 8, 20])
def test_min_gru_matches_its_recurrence(randomise, length):
  rng = np.random.default_rng(length)
  inputs = rng.normal(size=[length, 3, 5]).astype(np.float32)
  reset = rng.random([length, 3]) < 0.2
  core = gru.MinGRU(4)
  sequence = tf.constant(inputs), tf.constant(reset)
  core.unroll(*sequence, core.initial_state(3))
  randomise(core)
  start = tuple(rng.normal(size=[3, 4]).astype(np.float32) for _ in range(2))
  outputs, last = core.unroll(*sequence, tuple(map(tf.constant, start)))

  biases = core.trainable_variables[::2]
  weights = core.trainable_variables[1::2]
  states = list(start)
  for t in range(length):
    x = inputs[t]
    for layer in range(2):
      gate, candidate = np.split(
        x @ weights[layer].numpy() + biases[layer].numpy(), 2, axis=-1
      )
      gate = _sigmoid(gate)
      before = np.where(reset[t][:, None], 0.0, states[layer])
      states[layer] = (1 - gate) * before + gate * candidate
      x = states[layer] + (x if layer else 0.0)
    np.testing.assert_allclose(outputs[t], x, rtol=1e-4, atol=1e-5)
  for ours, expected in zip(last, states):
    np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-5)

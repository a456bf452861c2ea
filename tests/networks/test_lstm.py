"""The LSTM core against `snt.LSTM`."""

import numpy as np
import pytest
import sonnet as snt
import tensorflow as tf

from ald_acme.networks import lstm


@pytest.fixture(params=[128, 2], ids=['written out', 'loop'], autouse=True)
def written_out(request, monkeypatch):
  """Steps that are written out: more than in these tests, or fewer."""
  monkeypatch.setattr(lstm, '_MAX_UNROLLED', request.param)


@pytest.mark.parametrize('input_size, hidden_size', [(5, 7), (4, 4), (1, 3)])
def test_matches_sonnet(randomise, input_size, hidden_size):
  inputs = tf.random.stateless_normal([6, 3, input_size], [0, 1])
  core = lstm.LSTM(hidden_size)
  state = core.initial_state(3)
  assert isinstance(state, snt.LSTMState)
  assert state.hidden.shape == state.cell.shape == (3, hidden_size)
  core(inputs[0], state)
  randomise(core)

  outputs, last = core.unroll(inputs, tf.zeros([6, 3], tf.bool), state)
  for x, output in zip(inputs, outputs):
    expected, state = core.cell(x, state)
    np.testing.assert_allclose(output, expected, atol=1e-6)
  np.testing.assert_allclose(last.hidden, state.hidden, atol=1e-6)
  np.testing.assert_allclose(last.cell, state.cell, atol=1e-6)


def test_gradients_match_sonnet(randomise):
  inputs = tf.random.stateless_normal([6, 3, 5], [0, 1])
  core = lstm.LSTM(4)
  start = core.initial_state(3)
  core(inputs[0], start)
  randomise(core)

  def mine():
    return core.unroll(inputs, tf.zeros([6, 3], tf.bool), start)[0]

  def sonnets():
    state, outputs = start, []
    for x in inputs:
      output, state = core.cell(x, state)
      outputs.append(output)
    return tf.stack(outputs)

  gradients = []
  for unroll in (mine, sonnets):
    with tf.GradientTape() as tape:
      loss = tf.reduce_sum(unroll() ** 2)
    gradients.append(tape.gradient(loss, core.trainable_variables))
  for one, other in zip(*gradients):
    np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_long_sequences_make_a_small_graph(written_out):
  core = lstm.LSTM(4)
  inputs = tf.zeros([2_000, 2, 3])
  core(inputs[0], core.initial_state(2))

  def differentiate(x):
    with tf.GradientTape() as tape:
      reset = tf.zeros([2_000, 2], tf.bool)
      outputs, _ = core.unroll(x, reset, core.initial_state(2))
      loss = tf.reduce_sum(outputs)
    return tape.gradient(loss, core.trainable_variables)

  function = tf.function(differentiate, autograph=False)
  graph = function.get_concrete_function(inputs).graph
  assert len(graph.as_graph_def().node) < 500

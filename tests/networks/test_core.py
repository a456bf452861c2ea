"""Our cores pass the conformance tests, and faulty cores do not."""

import pytest
import sonnet as snt
import tensorflow as tf

from ald_acme.networks import core
from ald_acme.networks import feedforward
from ald_acme.networks import gru
from ald_acme.networks import gtrxl
from ald_acme.networks import lstm
from ald_acme.networks import testing


class TestLSTM(testing.CoreTestMixin):
  def make_object_under_test(self):
    return lstm.LSTM(8)


class TestGRU(testing.CoreTestMixin):
  def make_object_under_test(self):
    return gru.GRU(8)


class TestMinGRU(testing.CoreTestMixin):
  def make_object_under_test(self):
    return gru.MinGRU(8)


class TestGTrXL(testing.CoreTestMixin):
  def make_object_under_test(self):
    sizes = {'num_layers': 2, 'num_heads': 2, 'mlp_size': 12}
    return gtrxl.GTrXL(8, memory_size=4, **sizes)


class TestFeedforward(testing.CoreTestMixin):
  def make_object_under_test(self):
    return feedforward.Feedforward(7)


class _Wrong(core.UnrollableCore):
  """A GRU with one mistake."""

  output_size = 8

  def __init__(self, mistake):
    super().__init__()
    self._cell, self._mistake = snt.GRU(8), mistake
    self._kept = tf.Variable(tf.zeros([3, 8]), trainable=False)

  def initial_state(self, batch_size, **kwargs):
    return self._cell.initial_state(batch_size, **kwargs)

  def unroll(self, inputs, reset, state):
    outputs = []
    for x, forgets in zip(tf.unstack(inputs), tf.unstack(reset)):
      if self._mistake == 'never resets':
        forgets &= False
      if self._mistake == 'mixes environments':
        x += tf.reduce_mean(x, axis=0, keepdims=True)
      if self._mistake == 'reads ahead':
        x += inputs[-1]
      state = tf.where(forgets[:, None], 0.0, state)
      output, state = self._cell(x, state)
      outputs.append(output)
    if self._mistake == 'loses its state':
      state = tf.zeros_like(state)
    if self._mistake == 'stops gradients':
      outputs = list(map(tf.stop_gradient, outputs))
    return tf.stack(outputs), state


@pytest.mark.parametrize(
  'mistake, found_by',
  [
    ('never resets', 'a_reset_forgets_what_was_before'),
    ('never resets', 'no_gradient_passes_a_reset'),
    ('never resets', 'a_reset_gives_the_initial_state'),
    ('mixes environments', 'environments_do_not_mix'),
    ('reads ahead', 'steps_are_an_unroll'),
    ('loses its state', 'parts_are_the_whole'),
    ('stops gradients', 'every_variable_learns'),
  ],
)
def test_mistakes_are_found(mistake, found_by):
  class Case(testing.CoreTestMixin):
    def make_object_under_test(self):
      return _Wrong(mistake)

  with pytest.raises((AssertionError, TypeError, AttributeError)):
    getattr(Case(), f'test_{found_by}')()

"""The actor's memory: an LSTM that is cheap to step on a CPU."""

import sonnet as snt
import tensorflow as tf

from ald_acme.networks import core


class LSTM(core.UnrollableCore):
  """Long short-term memory (Hochreiter & Schmidhuber, 1997) with resets.

  The cell is `snt.LSTM`. Over a sequence the input projection is one product
  for all steps, and the loop is unrolled in the graph: on a CPU this is twice
  as fast as a `tf.while_loop`, and it takes resets, which the fused kernels
  do not.

  Attributes:
    cell: the `snt.LSTM` that holds the variables.
  """

  small_step = True

  def __init__(self, hidden_size: int, name: str | None = None):
    super().__init__(name=name)
    self.cell = snt.LSTM(hidden_size)
    self._hidden_size = hidden_size

  @property
  def output_size(self) -> int:
    return self._hidden_size

  def initial_state(self, batch_size, **kwargs) -> snt.LSTMState:
    """Zeros, `[B, hidden_size]` each."""
    return self.cell.initial_state(batch_size)

  def unroll(self, inputs, reset, state):
    self.cell(inputs[0], state)  # Creates the variables, once.
    projected = tf.unstack(tf.tensordot(inputs, self.cell.input_to_hidden, 1))
    keep = tf.unstack(tf.cast(~reset, inputs.dtype)[..., tf.newaxis])
    hidden, memory = state
    outputs = []
    for gates, kept in zip(projected, keep):
      hidden, memory = kept * hidden, kept * memory
      gates += tf.matmul(hidden, self.cell.hidden_to_hidden) + self.cell.b
      i, f, g, o = tf.split(gates, 4, axis=-1)
      memory = tf.sigmoid(f) * memory + tf.sigmoid(i) * tf.tanh(g)
      hidden = tf.sigmoid(o) * tf.tanh(memory)
      outputs.append(hidden)
    return tf.stack(outputs), snt.LSTMState(hidden, memory)

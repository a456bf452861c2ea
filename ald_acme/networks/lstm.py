"""The actor's memory: an LSTM that is cheap to step on a CPU."""

import sonnet as snt
import tensorflow as tf

from ald_acme.networks import core


class LSTM(core.UnrollableCore):
  """Long short-term memory (Hochreiter & Schmidhuber, 1997) with resets.

  The cell is `snt.LSTM`. Sequences go through TensorFlow's fused kernel of one
  step, which leaves room for resets between steps, and the gradients of the
  weights are products over all steps at once: a fourth of the operations that
  automatic differentiation of the written out equations takes. On a CPU these
  are so small that their number is what they cost.

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
    keep = tf.cast(~reset, inputs.dtype)[..., tf.newaxis]
    if inputs.shape[0] == 1:
      # Of plain operations, which XLA and TensorFlow Lite know.
      outputs, state = self.cell(
        inputs[0], snt.LSTMState(keep[0] * state.hidden, keep[0] * state.cell)
      )
      return outputs[tf.newaxis], state
    cell = self.cell
    weights = tf.concat([cell.input_to_hidden, cell.hidden_to_hidden], axis=0)
    outputs, memory = _unroll(
      inputs, keep, *state, _reorder(weights), _reorder(cell.b)
    )
    return outputs, snt.LSTMState(outputs[-1], memory)


def _reorder(x: tf.Tensor) -> tf.Tensor:
  """From Sonnet's order of the gates, i f g o, to the kernel's, i g f o."""
  i, f, g, o = tf.split(x, 4, axis=-1)
  return tf.concat([i, g, f, o], axis=-1)


@tf.custom_gradient
def _unroll(inputs, keep, hidden, memory, weights, bias):
  """Reads a sequence.

  Args:
    inputs: `[T, B, D]`.
    keep: `[T, B, 1]`, 0 where the state is reset before the step, else 1.
    hidden: `[B, H]`, the output before the first step.
    memory: `[B, H]`, the cell before the first step.
    weights: `[D + H, 4 H]`, of the inputs and of the hidden state.
    bias: `[4 H]`.

  Returns:
    The outputs `[T, B, H]` and the cell after them `[B, H]`.
  """
  size, kept = inputs.shape[-1], tf.unstack(keep)
  none = tf.zeros_like(bias[: hidden.shape[-1]])  # There are no peepholes.
  shared = dict.fromkeys(('wci', 'wcf', 'wco'), none)
  shared |= {'w': weights, 'b': bias, 'use_peephole': False}
  steps = []
  for x, k in zip(tf.unstack(inputs), kept):
    read = {'x': x, 'h_prev': k * hidden, 'cs_prev': k * memory}
    answered = tf.raw_ops.LSTMBlockCell(
      **read, **shared, forget_bias=0.0, cell_clip=-1.0
    )
    hidden, memory = answered.h, answered.cs
    steps.append((read, answered))

  def gradient(of_outputs, of_memory):
    of_hidden, of_gates = tf.zeros_like(of_memory), []
    for of_output, k, (read, answered) in zip(
      tf.unstack(of_outputs)[::-1], kept[::-1], steps[::-1]
    ):
      step = tf.raw_ops.LSTMBlockCellGrad(
        **read,
        **shared,
        **{name: getattr(answered, name) for name in _KEPT},
        cs_grad=of_memory,
        h_grad=of_output + of_hidden,
      )
      of_memory = k * step.cs_prev_grad
      of_hidden = k * tf.matmul(step.dicfo, weights[size:], transpose_b=True)
      of_gates.append(step.dicfo)
    of_gates = tf.stack(of_gates[::-1])
    seen = tf.concat(
      [inputs, tf.stack([read['h_prev'] for read, _ in steps])], axis=-1
    )
    return (
      tf.tensordot(of_gates, weights[:size], [[2], [1]]),
      None,
      of_hidden,
      of_memory,
      tf.tensordot(seen, of_gates, [[0, 1], [0, 1]]),
      tf.reduce_sum(of_gates, axis=[0, 1]),
    )

  return (tf.stack([answered.h for _, answered in steps]), memory), gradient


_KEPT = ('i', 'cs', 'f', 'o', 'ci', 'co')  # What the kernel's gradient reads.

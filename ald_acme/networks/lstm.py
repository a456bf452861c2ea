"""An LSTM that is cheap to step on a CPU, the default core of actors."""

from collections.abc import Callable, Sequence
from typing import Any

import sonnet as snt
import tensorflow as tf

from ald_acme.networks import core

_State = tuple[tf.Tensor, tf.Tensor]  # Output and cell.
_Sequence = Any  # A tensor `[T, ...]`, or a list of T tensors.


class LSTM(core.UnrollableCore):
  """Long short-term memory (Hochreiter & Schmidhuber, 1997) with resets.

  The cell is `snt.LSTM`. Sequences use TensorFlow's fused kernel of one step,
  which permits resets between steps, and weight gradients are products over all
  steps: a quarter of the operations of automatic differentiation. On a CPU
  their number dominates the run time.

  Attributes:
    cell: the `snt.LSTM` that holds the variables.
  """

  prefers_tflite = True

  def __init__(self, hidden_size: int, name: str | None = None) -> None:
    super().__init__(name=name)
    self.cell = snt.LSTM(hidden_size)
    self._hidden_size = hidden_size

  @property
  def output_size(self) -> int:
    return self._hidden_size

  def initial_state(self, batch_size: int, **kwargs: Any) -> snt.LSTMState:
    """Zeros, `[B, hidden_size]` each."""
    return self.cell.initial_state(batch_size)

  def unroll(
    self, inputs: tf.Tensor, reset: tf.Tensor, state: snt.LSTMState
  ) -> tuple[tf.Tensor, snt.LSTMState]:
    self.cell(inputs[0], state)  # Creates the variables, once.
    keep = tf.cast(~reset, inputs.dtype)[..., tf.newaxis]
    if inputs.shape[0] == 1:
      # Plain operations, which XLA and TensorFlow Lite support.
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
def _unroll(
  inputs: tf.Tensor,
  keep: tf.Tensor,
  hidden: tf.Tensor,
  memory: tf.Tensor,
  weights: tf.Tensor,
  bias: tf.Tensor,
) -> tuple[tuple[tf.Tensor, tf.Tensor], Callable[..., tuple]]:
  """Reads a sequence.

  Args:
    inputs: `[T, B, D]`.
    keep: `[T, B, 1]`, 0 where the state is reset before the step, otherwise 1.
    hidden: `[B, H]`, the output before the first step.
    memory: `[B, H]`, the cell before the first step.
    weights: `[D + H, 4 H]`, of the inputs and of the hidden state.
    bias: `[4 H]`.

  Returns:
    The outputs `[T, B, H]` and the cell after them `[B, H]`.
  """
  size, length = inputs.shape[-1], inputs.shape[0]
  none = tf.zeros_like(bias[: hidden.shape[-1]])  # No peepholes.
  shared = dict.fromkeys(('wci', 'wcf', 'wco'), none)
  shared |= {'w': weights, 'b': bias, 'use_peephole': False}

  def split(
    x: tf.Tensor,
  ) -> _Sequence:  # Unrolled in the graph, or looped over.
    return tf.unstack(x) if length <= _MAX_UNROLLED else x

  def step(
    state: _State, x: tf.Tensor, k: tf.Tensor
  ) -> tuple[_State, tuple[tf.Tensor, ...]]:
    read = (k * state[0], k * state[1])
    answered = tf.raw_ops.LSTMBlockCell(
      x=x,
      h_prev=read[0],
      cs_prev=read[1],
      **shared,
      forget_bias=0.0,
      cell_clip=-1.0,
    )
    kept = [getattr(answered, name) for name in _KEPT]
    return (answered.h, answered.cs), (*read, answered.h, *kept)

  of_state = tf.zeros_like(hidden)
  xs, ks = split(inputs), split(keep)
  (_, last_memory), (h_prev, cs_prev, outputs, *kept) = _scan(
    step, (hidden, memory), (xs, ks), (of_state,) * (3 + len(_KEPT))
  )

  def gradient(
    of_outputs: tf.Tensor, of_memory: tf.Tensor
  ) -> tuple[tf.Tensor | None, ...]:
    def step_back(
      of_state: _State,
      x: tf.Tensor,
      k: tf.Tensor,
      h: tf.Tensor,
      cs: tf.Tensor,
      of_output: tf.Tensor,
      *kept: tf.Tensor,
    ) -> tuple[_State, tuple[tf.Tensor, ...]]:
      back = tf.raw_ops.LSTMBlockCellGrad(
        x=x,
        h_prev=h,
        cs_prev=cs,
        **shared,
        **dict(zip(_KEPT, kept)),
        cs_grad=of_state[1],
        h_grad=of_output + of_state[0],
      )
      of_hidden = k * tf.matmul(back.dicfo, weights[size:], transpose_b=True)
      return (of_hidden, k * back.cs_prev_grad), (back.dicfo,)

    of_gates = tf.zeros([tf.shape(hidden)[0], bias.shape[0]])
    (of_hidden, of_memory), (of_gates,) = _scan(
      step_back,
      (tf.zeros_like(of_memory), of_memory),
      (xs, ks, h_prev, cs_prev, split(of_outputs), *kept),
      (of_gates,),
      backwards=True,
    )
    of_gates = tf.stack(of_gates)
    seen = tf.concat([inputs, tf.stack(h_prev)], axis=-1)
    return (
      tf.tensordot(of_gates, weights[:size], [[2], [1]]),
      None,
      of_hidden,
      of_memory,
      tf.tensordot(seen, of_gates, [[0, 1], [0, 1]]),
      tf.reduce_sum(of_gates, axis=[0, 1]),
    )

  return (tf.stack(outputs), last_memory), gradient


def _scan(
  step: Callable[..., tuple[_State, tuple[tf.Tensor, ...]]],
  state: _State,
  sequences: Sequence[_Sequence],
  like: tuple[tf.Tensor, ...],
  backwards: bool = False,
) -> tuple[_State, Sequence[_Sequence]]:
  """Carries a state along sequences.

  Args:
    step: maps a state and a tensor of each sequence to the next state and a
      tuple of tensors.
    state: a tuple of tensors.
    sequences: each a list of T tensors, to unroll the steps in the graph, or a
      tensor `[T, ...]`, for a loop in the graph.
    like: zeros in the shapes of a step's tensors.
    backwards: whether the last step comes first.

  Returns:
    The final state, and the steps' tensors in the order of the sequences:
    lists, or tensors `[T, ...]`, as the sequences.
  """
  if isinstance(sequences[0], list):
    steps = range(len(sequences[0]))
    rows = []
    for t in reversed(steps) if backwards else steps:
      state, row = step(state, *(x[t] for x in sequences))
      rows.append(row)
    in_order = rows[::-1] if backwards else rows
    return state, [list(x) for x in zip(*in_order)]
  states, made = tf.scan(
    lambda carried, xs: step(carried[0], *xs),
    sequences,
    (state, like),
    reverse=backwards,
  )
  end = 0 if backwards else -1
  return tuple(x[end] for x in states), made


_KEPT = ('i', 'cs', 'f', 'o', 'ci', 'co')  # What the kernel's gradient reads.
_MAX_UNROLLED = 128  # Steps; longer graphs take minutes to trace.

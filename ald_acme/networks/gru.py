"""Gated recurrent units: Cho et al.'s, and one that trains in parallel."""

from typing import Any

import sonnet as snt
import tensorflow as tf

from ald_acme.networks import core


class GRU(core.UnrollableCore):
  """`snt.GRU` (Cho et al., 2014) with resets; its state is its output."""

  prefers_tflite = True

  def __init__(self, hidden_size: int, name: str | None = None) -> None:
    super().__init__(name=name)
    self._cell = snt.GRU(hidden_size)
    self._hidden_size = hidden_size

  @property
  def output_size(self) -> int:
    return self._hidden_size

  def initial_state(self, batch_size: int, **kwargs: Any) -> tf.Tensor:
    """Zeros, `[B, hidden_size]`."""
    return self._cell.initial_state(batch_size)

  def unroll(
    self, inputs: tf.Tensor, reset: tf.Tensor, state: tf.Tensor
  ) -> tuple[tf.Tensor, tf.Tensor]:
    keep = tf.cast(~reset, inputs.dtype)[..., tf.newaxis]
    outputs = []
    for x, kept in zip(tf.unstack(inputs), tf.unstack(keep)):
      output, state = self._cell(x, kept * state)
      outputs.append(output)
    return tf.stack(outputs), state


class MinGRU(core.UnrollableCore):
  """Layers of minGRU (Feng et al., 2024, "Were RNNs All We Needed?").

  The gate and the candidate of a layer depend on its input alone, not on its
  state:

    h_t = (1 - z_t) h_{t-1} + z_t c_t,  z_t = sigmoid(W x_t),  c_t = V x_t

  so a sequence takes log2(T) parallel rounds instead of T steps. Layers after
  the first have a residual connection.
  """

  prefers_tflite = True

  def __init__(
    self, hidden_size: int, num_layers: int = 2, name: str | None = None
  ) -> None:
    """Creates the projections.

    Args:
      hidden_size: size of each layer's state.
      num_layers: number of layers, at least 1; with a single layer, a state
        cannot select its inputs by what it remembers.
      name: name of the module.
    """
    super().__init__(name=name)
    self._hidden_size = hidden_size
    self._projections = [
      snt.Linear(2 * hidden_size, name='gate_and_candidate')
      for _ in range(num_layers)
    ]

  @property
  def output_size(self) -> int:
    return self._hidden_size

  def initial_state(
    self, batch_size: int, **kwargs: Any
  ) -> tuple[tf.Tensor, ...]:
    """Zeros, `[B, hidden_size]` for each layer."""
    return tuple(
      tf.zeros([batch_size, self._hidden_size]) for _ in self._projections
    )

  def unroll(
    self, inputs: tf.Tensor, reset: tf.Tensor, state: tuple[tf.Tensor, ...]
  ) -> tuple[tf.Tensor, tuple[tf.Tensor, ...]]:
    keep = tf.cast(~reset, inputs.dtype)[..., tf.newaxis]
    x, states = inputs, []
    for layer, (project, start) in enumerate(zip(self._projections, state)):
      gate, candidate = tf.split(snt.BatchApply(project)(x), 2, axis=-1)
      gate = tf.sigmoid(gate)
      hidden = _linear_recurrence(keep * (1 - gate), gate * candidate, start)
      x = x + hidden if layer else hidden
      states.append(hidden[-1])
    return x, tuple(states)


def _linear_recurrence(
  decay: tf.Tensor, added: tf.Tensor, start: tf.Tensor
) -> tf.Tensor:
  """h_t = decay_t h_{t-1} + added_t, by recursive doubling.

  Args:
    decay: `[T, B, H]`.
    added: `[T, B, H]`.
    start: `[B, H]`, the state before the first step.

  Returns:
    The states after each step, `[T, B, H]`.
  """
  added = tf.concat([added[:1] + decay[:1] * start, added[1:]], axis=0)
  length, reach = added.shape[0], 1
  while reach < length:  # Row t has the effect of the last `reach` steps.
    added = tf.concat(
      [added[:reach], added[reach:] + decay[reach:] * added[:-reach]], axis=0
    )
    decay = tf.concat([decay[:reach], decay[reach:] * decay[:-reach]], axis=0)
    reach *= 2
  return added

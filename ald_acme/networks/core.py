"""The interface of recurrent cores."""

import abc
from typing import Any

import sonnet as snt
import tensorflow as tf

State = Any


class UnrollableCore(snt.RNNCore, abc.ABC):
  """A recurrent core that also unrolls sequences with resets.

  A step and an unroll give the same outputs: a step is an unroll of length one.
  States are nests of tensors with the batch as first dimension.

  Attributes:
    prefers_tflite: whether dispatch overhead dominates a step, so that TFLite
      beats XLA.
  """

  prefers_tflite = False

  @abc.abstractmethod
  def unroll(
    self, inputs: tf.Tensor, reset: tf.Tensor, state: State
  ) -> tuple[tf.Tensor, State]:
    """Reads a sequence.

    Args:
      inputs: float32 `[T, B, D]`.
      reset: bool `[T, B]`; where true, the state is reset before the step.
      state: the state before the first step, leaves `[B, ...]`.

    Returns:
      The outputs, float32 `[T, B, output_size]`, and the state after them.
    """

  def acting_state(self, state: State) -> State:
    """The state of `act`: the recurrent state, with cached projections of it.

    A core may cache what it computes from its state at every step with
    unchanged parameters. The cache is valid for the current parameters: after a
    change of them, recreate the acting state from `recurrent_state`.
    """
    return state

  def recurrent_state(self, acting_state: State) -> State:
    """The state within an acting state."""
    return acting_state

  def act(
    self, inputs: tf.Tensor, reset: tf.Tensor, acting_state: State
  ) -> tuple[tf.Tensor, State]:
    """One step with a reset, without gradients.

    Args:
      inputs: float32 `[B, D]`.
      reset: bool `[B]`.
      acting_state: from `acting_state` or the previous step.

    Returns:
      The outputs, float32 `[B, output_size]`, and the acting state after them.
    """
    outputs, state = self.unroll(
      inputs[tf.newaxis], reset[tf.newaxis], acting_state
    )
    return outputs[0], state

  @property
  @abc.abstractmethod
  def output_size(self) -> int:
    """Size of the last dimension of the outputs."""

  def __call__(
    self, inputs: tf.Tensor, state: State
  ) -> tuple[tf.Tensor, State]:
    """One step without a reset: `[B, D]` to `[B, output_size]`."""
    reset = tf.zeros([1, tf.shape(inputs)[0]], tf.bool)
    outputs, state = self.unroll(inputs[tf.newaxis], reset, state)
    return outputs[0], state

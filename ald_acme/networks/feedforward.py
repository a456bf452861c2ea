"""Memoryless core, a lower-bound baseline."""

import sonnet as snt
import tensorflow as tf

from ald_acme.networks import core


class Feedforward(core.UnrollableCore):
  """A dense layer; its recurrent state is empty."""

  prefers_tflite = True

  def __init__(self, size: int, name: str | None = None):
    super().__init__(name=name)
    self._layer = snt.Linear(size)
    self._size = size

  @property
  def output_size(self) -> int:
    return self._size

  def initial_state(self, batch_size, **kwargs) -> tuple:
    return ()

  def unroll(self, inputs, reset, state):
    return tf.nn.relu(snt.BatchApply(self._layer)(inputs)), state

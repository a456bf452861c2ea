"""Memoryless core, a lower-bound baseline."""

from typing import Any

import sonnet as snt
import tensorflow as tf

from ald_acme.networks import core


class Feedforward(core.UnrollableCore):
  """A dense layer; its recurrent state is empty."""

  prefers_tflite = True

  def __init__(self, size: int, name: str | None = None) -> None:
    super().__init__(name=name)
    self._layer = snt.Linear(size)
    self._size = size

  @property
  def output_size(self) -> int:
    return self._size

  def initial_state(self, batch_size: int, **kwargs: Any) -> tuple:
    return ()

  def unroll(
    self, inputs: tf.Tensor, reset: tf.Tensor, state: core.State
  ) -> tuple[tf.Tensor, core.State]:
    return tf.nn.relu(snt.BatchApply(self._layer)(inputs)), state

"""No memory at all: what a task pays to who forgets everything."""

import sonnet as snt
import tensorflow as tf

from ald_acme.networks import core


class Feedforward(core.UnrollableCore):
  """A layer that reads each step by itself; its state is empty."""

  small_step = True

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

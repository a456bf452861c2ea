"""All variables of a network at once."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from ald_acme import optimizers
from ald_acme.parameters import vectors


class Variables:
  """Reads and assigns many variables in one compiled call.

  Each operation that Python starts costs TensorFlow tens of microseconds, and a
  transformer has a hundred variables: one by one they cost more than its step.
  """

  def __init__(self, variables: Sequence[tf.Variable]):
    self._layout = vectors.Layout([v.shape for v in variables])

    def assign(vector):
      for variable, part in zip(
        variables, optimizers.unflatten(vector, variables)
      ):
        variable.assign(part)

    self._read = tf.function(
      lambda: optimizers.flatten(variables), autograph=False
    )
    self._assign = tf.function(assign, autograph=False)

  def __len__(self) -> int:
    return len(self._layout.shapes)

  def read(self) -> list[np.ndarray]:
    """Their values, in order."""
    return self._layout.unpack(self._read().numpy())

  def assign(self, values: Sequence[np.ndarray]):
    """Replaces their values.

    Raises:
      ValueError: if the shapes differ.
    """
    self._assign(tf.constant(self._layout.pack(values)))

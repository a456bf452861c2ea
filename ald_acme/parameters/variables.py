"""Reads and assigns all variables of a network at once."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from ald_acme import graphs
from ald_acme import optimizers
from ald_acme.parameters import vectors


def check_trainable(network: Any) -> None:
  """Checks that all variables of a network are trainable.

  Gradients, pulls, checkpoints and exports cover only trainable variables, so
  they would miss others, such as BatchNorm's statistics.

  Args:
    network: a `snt.Module` whose variables exist.

  Raises:
    ValueError: if some are not.
  """
  trainable = {v.ref() for v in network.trainable_variables}
  others = [v.name for v in network.variables if v.ref() not in trainable]
  if others:
    raise ValueError(
      f'{network.name} has variables that are not trainable: '
      f'{", ".join(others)}. They would be neither trained nor saved; build '
      'the network without them, for example with LayerNorm instead of '
      'BatchNorm.'
    )


class Variables:
  """Reads and assigns many variables in one compiled call.

  Each eager operation costs tens of microseconds and a transformer has a
  hundred variables: one by one they would cost more than its step.
  """

  def __init__(self, variables: Sequence[tf.Variable]) -> None:
    self._layout = vectors.Layout([v.shape for v in variables])
    self._variables = list(variables)
    self._read = graphs.function(lambda: optimizers.flatten(variables))
    self._assign = graphs.function(self.assign_in_graph)

  @property
  def size(self) -> int:
    """P, the number of parameters."""
    return self._layout.size

  def read(self) -> list[np.ndarray]:
    """Their values, in order."""
    return self._layout.unpack(self.read_flat())

  def read_flat(self) -> np.ndarray:
    """Their values as one vector, float32 `[P]`."""
    return self._read().numpy()

  def assign(self, values: Sequence[np.ndarray]) -> None:
    """Replaces their values.

    Raises:
      ValueError: if the shapes differ.
    """
    self.assign_flat(self._layout.pack(values))

  def assign_in_graph(self, vector: tf.Tensor) -> None:
    """Replaces their values, within a graph.

    Args:
      vector: float32 `[P]`.
    """
    parts = optimizers.unflatten(vector, self._variables)
    for variable, part in zip(self._variables, parts):
      variable.assign(part)

  def assign_flat(self, vector: np.ndarray) -> None:
    """Replaces their values by a vector from `read_flat`, float32 `[P]`.

    Raises:
      ValueError: if the vector has another size.
    """
    self._layout.check(vector)
    # TensorFlow may share the array's memory, and writes in place.
    self._assign(tf.constant(np.array(vector, np.float32)))

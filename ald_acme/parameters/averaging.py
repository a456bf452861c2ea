"""A moving average of parameters over updates."""

import numpy as np
import tensorflow as tf

from ald_acme import types


class MovingAverage:
  """An exponential moving average of one vector of parameters.

  The average of the iterates varies less than the newest (Polyak & Juditsky,
  1992). A policy that imitates it has a steadier target (Tarvainen & Valpola,
  2017, "Mean teachers"); and as a proximal policy it keeps the steps small
  (Hilton et al., 2022, "Batch size-invariance for policy optimization").

  The n-th vector after the initial one has the weight
  `1 - min(decay, n / (n + 9))`, so that the average soon forgets the initial
  parameters.
  """

  def __init__(self, initial: types.Array, decay: float) -> None:
    """Starts at the initial parameters.

    Args:
      initial: float32 `[P]`.
      decay: share of the average that is kept at each update, in [0, 1); with 0
        the average is the newest vector.
    """
    self._decay = decay
    self._average = tf.Variable(initial, trainable=False)
    self._updates = tf.Variable(0, dtype=tf.int64, trainable=False)

  def update(self, newest: tf.Tensor) -> None:
    """Adds a vector, float32 `[P]`; may be called in a graph."""
    count = tf.cast(self._updates.assign_add(1), tf.float32)
    if not self._decay:  # Exactly the newest.
      self._average.assign(newest)
      return
    weight = 1.0 - tf.minimum(self._decay, count / (count + 9.0))
    self._average.assign(self._average + weight * (newest - self._average))

  @property
  def decay(self) -> float:
    """Share of the average that is kept at each update."""
    return self._decay

  @property
  def value(self) -> tf.Tensor:
    """The average, float32 `[P]`."""
    return self._average.read_value()

  def restore(self, average: np.ndarray, updates: int) -> None:
    """Continues from an average after a number of updates.

    Raises:
      ValueError: if its size differs.
    """
    # TensorFlow may share the array's memory, and writes in place.
    self._average.assign(np.array(average, np.float32))
    self._updates.assign(updates)

"""How far returns spread, as learning goes."""

import numpy as np
import tensorflow as tf

from ald_acme.losses import masking

_DECAY = 0.99  # Of the running moments, per update.


class ReturnScale:
  """The running standard deviation of returns, and never less than 1.

  Losses of values grow with the square of the returns, policy gradients with
  the returns, entropies and divergences not at all. In units of this scale
  their costs mean the same whatever a task pays (return-based scaling, Schaul
  et al., 2021, https://arxiv.org/abs/2105.05347). Small returns are not scaled
  up, because what is near nothing may be noise.
  """

  def __init__(self):
    """Has seen nothing: the scale is 1."""
    # Sums with decaying weights: of 1, of returns and of their squares.
    self._sums = tf.Variable(tf.zeros([3]), trainable=False)

  def update(self, returns: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """Takes returns in; gives the scale with them, a scalar.

    What is not finite changes nothing.

    Args:
      returns: float32 `[T, B]`; no gradient flows through them.
      mask: bool `[T, B]`, the steps that count.
    """
    returns = tf.stop_gradient(returns)
    seen = [tf.ones_like(returns), returns, tf.square(returns)]
    moments = tf.stack([masking.masked_mean(x, mask) for x in seen])
    sums = _DECAY * self._sums + (1 - _DECAY) * moments
    finite = tf.reduce_all(tf.math.is_finite(sums))
    weight, first, second = tf.unstack(
      self._sums.assign(tf.where(finite, sums, self._sums))
    )
    mean = tf.math.divide_no_nan(first, weight)
    variance = tf.math.divide_no_nan(second, weight) - tf.square(mean)
    return tf.sqrt(tf.maximum(variance, 1.0))

  def save(self) -> np.ndarray:
    """What `restore` takes."""
    return self._sums.numpy()

  def restore(self, state: np.ndarray):
    """Goes on from what `save` gave."""
    self._sums.assign(state)

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
    # The sum of decaying weights; the mean; the weighted sum of squares about
    # it, which unlike that of squares holds what spread there is about a large
    # mean (Chan et al., 1979).
    self._moments = tf.Variable(tf.zeros([3]), trainable=False)

  def update(self, returns: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """Takes returns in; gives the scale with them, a scalar.

    What is not finite changes nothing.

    Args:
      returns: float32 `[T, B]`; no gradient flows through them.
      mask: bool `[T, B]`, the steps that count.
    """
    returns = tf.stop_gradient(returns)
    counts = masking.masked_mean(tf.ones_like(returns), mask)  # 0 if none does.
    mean = masking.masked_mean(returns, mask)
    spread = masking.masked_mean(tf.square(returns - mean), mask)

    weight, old_mean, old_sum = tf.unstack(self._moments)
    old, new = _DECAY * weight, (1 - _DECAY) * counts
    part = tf.math.divide_no_nan(new, old + new)
    difference = mean - old_mean
    squares = new * spread + old * part * tf.square(difference)
    moments = tf.stack(
      [old + new, old_mean + part * difference, _DECAY * old_sum + squares]
    )
    finite = tf.reduce_all(tf.math.is_finite(moments))
    weight, _, total = tf.unstack(
      self._moments.assign(tf.where(finite, moments, self._moments))
    )
    variance = tf.math.divide_no_nan(total, weight)
    return tf.sqrt(tf.maximum(variance, 1.0))

  def save(self) -> np.ndarray:
    """What `restore` takes."""
    return self._moments.numpy()

  def restore(self, state: np.ndarray):
    """Goes on from what `save` gave."""
    self._moments.assign(state)

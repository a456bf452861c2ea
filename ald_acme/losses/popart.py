"""PopArt: values normalised by running statistics of the returns.

Van Hasselt et al., 2016, "Learning values across many orders of magnitude"
(https://arxiv.org/abs/1602.07714). The network predicts the normalised value
`n`, and the value is `V = scale * n + mean`.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from ald_acme.losses import masking

_RATE = 0.01  # Weight of a batch in the running moments.
# Rewards, not returns, show whether there is anything to learn: bootstrapped
# values of an untrained network vary too.
_MOMENTS = ('weight', 'mean', 'squares', 'squared_rewards')


class Normalisation(NamedTuple):
  """An affine map between returns and normalised values; all scalars.

  Attributes:
    mean: mean of the returns.
    scale: the returns' standard deviation or the rewards' root mean square,
      whichever is larger; 1 before the first batch.
    informative: 1 after the first non-zero reward, else 0. Advantages are
      multiplied by it: without rewards they are noise of the untrained value.
  """

  mean: tf.Tensor
  scale: tf.Tensor
  informative: tf.Tensor

  def normalise(self, returns: tf.Tensor) -> tf.Tensor:
    """Maps returns to normalised values, any shape."""
    return (returns - self.mean) / self.scale

  def denormalise(self, values: tf.Tensor) -> tf.Tensor:
    """Maps normalised values to returns, any shape."""
    return self.scale * values + self.mean


class _Decay(NamedTuple):
  """Weights in exponential moving averages; all scalars.

  Attributes:
    new: weight of the batch; 0 if all its steps are masked.
    kept: weight of the past; 1 if all steps are masked.
  """

  new: tf.Tensor
  kept: tf.Tensor

  @classmethod
  def of(cls, mask: tf.Tensor) -> '_Decay':
    """The weights of a batch, from its mask `[T, B]`."""
    counts = masking.masked_mean(tf.ones_like(mask, tf.float32), mask)
    return cls(_RATE * counts, 1.0 - _RATE * counts)

  def mean(self, total: tf.Tensor, value: tf.Tensor) -> tf.Tensor:
    """Adds a batch's mean to a decaying sum."""
    return self.kept * total + self.new * value


def _if_finite(moments: tf.Tensor, before: tf.Tensor) -> tf.Tensor:
  """The new moments, or the old ones if a batch was not finite."""
  finite = tf.reduce_all(tf.math.is_finite(moments))
  return tf.where(finite, moments, before)


class PopArt:
  """Running statistics of returns; updating them leaves the value unchanged.

  Normalised values, targets and advantages do not change when all rewards are
  multiplied by a positive constant, so entropy and KL costs and the learning
  rate need no tuning to a task's reward scale.
  """

  def __init__(self) -> None:
    # The sum of weights; the mean; squared deviations from it, which stay
    # precise for a large mean (Chan et al., 1979); squared rewards.
    self._moments = tf.Variable(tf.zeros([len(_MOMENTS)]), trainable=False)
    self._observed = tf.Variable(tf.zeros([len(_MOMENTS)]), trainable=False)

  @property
  def normalisation(self) -> Normalisation:
    """The current map."""
    weight, mean, squares, rewards = tf.unstack(self._moments)
    deviation = tf.sqrt(tf.math.divide_no_nan(squares, weight))
    reward = tf.sqrt(tf.math.divide_no_nan(rewards, weight))
    scale = tf.maximum(deviation, reward)
    return Normalisation(
      mean=mean,
      scale=tf.where(scale > 0.0, scale, tf.ones_like(scale)),
      informative=tf.cast(reward > 0.0, tf.float32),
    )

  def observe(
    self, returns: tf.Tensor, rewards: tf.Tensor, mask: tf.Tensor
  ) -> None:
    """Updates the statistics; `normalisation` changes at `commit`.

    A batch with NaN or infinite values is ignored.

    Args:
      returns: float32 `[T, B]`, value targets in the task's units.
      rewards: float32 `[T, B]`.
      mask: bool `[T, B]`, the steps that count.
    """
    decay = _Decay.of(mask)
    mean = masking.masked_mean(returns, mask)
    spread = masking.masked_mean(tf.square(returns - mean), mask)
    squared_reward = masking.masked_mean(tf.square(rewards), mask)

    weight, old_mean, squares, old_rewards = tf.unstack(self._moments)
    old = decay.kept * weight
    part = tf.math.divide_no_nan(decay.new, old + decay.new)
    difference = mean - old_mean
    squares = decay.mean(squares, spread)
    squares += old * part * tf.square(difference)
    moments = tf.stack(
      [
        old + decay.new,
        old_mean + part * difference,
        squares,
        decay.mean(old_rewards, squared_reward),
      ]
    )
    self._observed.assign(_if_finite(moments, self._moments))

  def commit(self, rescale: Callable[[tf.Tensor, tf.Tensor], None]) -> None:
    """Switches to the observed statistics without changing `V`.

    Args:
      rescale: called with scalars `a` and `b`; must change the network's last
        layer so that its output `n` becomes `a n + b`.
    """
    before = self.normalisation
    self._moments.assign(self._observed)
    after = self.normalisation
    rescale(
      before.scale / after.scale, (before.mean - after.mean) / after.scale
    )

  def save(self) -> np.ndarray:
    """The moments, float32 `[4]`."""
    return self._moments.numpy()

  def restore(self, state: np.ndarray) -> None:
    """Restores a state returned by `save`.

    Raises:
      ValueError: if its shape differs.
    """
    if np.shape(state) != (len(_MOMENTS),):
      raise ValueError(
        f'return moments must have shape ({len(_MOMENTS)},), but received '
        f'{np.shape(state)}; the checkpoint is of another version of ald_acme; '
        'use that version.'
      )
    self._moments.assign(state)
    self._observed.assign(state)


class AdvantageScale:
  """Running root mean square of normalised advantages, at least `_LEAST`.

  Dividing by it keeps the size of policy gradients constant as the value
  improves. The lower bound avoids amplifying the noise of a converged value.
  """

  _LEAST = 0.1

  def __init__(self) -> None:
    self._moments = tf.Variable(tf.zeros([2]), trainable=False)

  def update(self, advantages: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """Updates the statistics and returns the new scale, a scalar.

    Args:
      advantages: float32 `[T, B]`, normalised; no gradient flows through them.
      mask: bool `[T, B]`, the steps that count.
    """
    weight, squares = tf.unstack(self._moments)
    decay = _Decay.of(mask)
    square = masking.masked_mean(tf.square(tf.stop_gradient(advantages)), mask)
    moments = tf.stack(
      [decay.mean(weight, tf.ones_like(weight)), decay.mean(squares, square)]
    )
    weight, squares = tf.unstack(
      self._moments.assign(_if_finite(moments, self._moments))
    )
    return tf.maximum(
      tf.sqrt(tf.math.divide_no_nan(squares, weight)), self._LEAST
    )

  def save(self) -> np.ndarray:
    """The moments, float32 `[2]`."""
    return self._moments.numpy()

  def restore(self, state: np.ndarray) -> None:
    """Restores a state returned by `save`."""
    self._moments.assign(state)


class ValueOffset:
  """Corrects the value's mean error by the offset of the last layer.

  While returns change, for instance because the policy improves, most of the
  value's error is the same in all states. An optimiser such as Adam moves the
  offset by about its learning rate per update, however large the error is.
  Meanwhile the error's gradient reaches all layers, larger than the gradients
  that distinguish states. So the offset follows the mean error of each batch at
  a rate of its own, and the value loss excludes it.
  """

  def __init__(self, rate: float) -> None:
    """Stores the rate.

    Args:
      rate: share of the mean error that an update adds to the offset, in
        [0, 1]; with 0 the offset and the value loss are left alone.
    """
    self._rate = rate
    self._error = tf.Variable(0.0, trainable=False)

  def centre(
    self, targets: tf.Tensor, values: tf.Tensor, mask: tf.Tensor
  ) -> tuple[tf.Tensor, tf.Tensor]:
    """Subtracts the mean error from the targets; `commit` corrects it.

    Args:
      targets: float32 `[T, B]`, targets of the normalised value.
      values: float32 `[T, B]`, normalised values.
      mask: bool `[T, B]`, the steps that count.

    Returns:
      The targets of the loss, float32 `[T, B]`, and the mean of value less
      target, a scalar; no gradient flows through them.
    """
    targets = tf.stop_gradient(targets)
    bias = masking.masked_mean(tf.stop_gradient(values) - targets, mask)
    if self._rate:
      self._error.assign(_if_finite(-bias, tf.zeros_like(bias)))
      targets += bias
    return targets, bias

  def commit(self, rescale: Callable[[tf.Tensor, tf.Tensor], None]) -> None:
    """Adds the rate's share of the last batch's mean error to the value.

    Args:
      rescale: as for `PopArt.commit`.
    """
    if self._rate:
      rescale(tf.constant(1.0), self._rate * self._error)

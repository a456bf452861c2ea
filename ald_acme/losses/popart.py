"""PopArt: values normalised by the running statistics of the returns.

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
# Rewards, not returns, say whether a task pays at all: bootstrapped values of
# an untrained network vary too.
_MOMENTS = ('weight', 'mean', 'squares', 'squared_rewards')


class Normalisation(NamedTuple):
  """An affine map between returns and normalised values; all scalars.

  Attributes:
    mean: of the returns.
    scale: their standard deviation, or the root mean square of the rewards
      where that is more; 1 before the first batch.
    informative: 1 once a reward other than 0 was seen, else 0. Advantages are
      multiplied by it: before, they are noise of the untrained value.
  """

  mean: tf.Tensor
  scale: tf.Tensor
  informative: tf.Tensor

  def normalise(self, returns: tf.Tensor) -> tf.Tensor:
    """Returns to normalised values, any shape."""
    return (returns - self.mean) / self.scale

  def denormalise(self, values: tf.Tensor) -> tf.Tensor:
    """Normalised values to returns, any shape."""
    return self.scale * values + self.mean


class _Decay(NamedTuple):
  """Weights of a batch in decaying sums; all scalars.

  Attributes:
    new: of the batch, 0 where none of its steps counts.
    kept: what is left of the sums; all of them where no step counts.
  """

  new: tf.Tensor
  kept: tf.Tensor

  @classmethod
  def of(cls, mask: tf.Tensor) -> '_Decay':
    """The weights of a batch whose steps count where `mask` is true."""
    counts = masking.masked_mean(tf.ones_like(mask, tf.float32), mask)
    return cls(_RATE * counts, 1.0 - _RATE * counts)

  def mean(self, total: tf.Tensor, value: tf.Tensor) -> tf.Tensor:
    """A decaying sum with a batch's mean taken in."""
    return self.kept * total + self.new * value


def _if_finite(moments: tf.Tensor, before: tf.Tensor) -> tf.Tensor:
  """The moments, or those before where a batch was not finite."""
  finite = tf.reduce_all(tf.math.is_finite(moments))
  return tf.where(finite, moments, before)


class PopArt:
  """Running statistics of returns that keep the value as they change.

  With all rewards multiplied by any positive constant, normalised values,
  their targets and normalised advantages stay the same, so costs of entropy
  and divergence and the learning rate mean the same whatever a task pays.
  """

  def __init__(self) -> None:
    # Decaying sums: of weights; the mean; squares about the mean, which keep
    # the spread about a large mean (Chan et al., 1979); squared rewards.
    self._moments = tf.Variable(tf.zeros([len(_MOMENTS)]), trainable=False)
    self._observed = tf.Variable(tf.zeros([len(_MOMENTS)]), trainable=False)

  @property
  def normalisation(self) -> Normalisation:
    """The map as it is now."""
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

    A batch that is not finite changes nothing.

    Args:
      returns: float32 `[T, B]`, targets of the value in the task's own units.
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
        layer so that its normalised value `n` becomes `a n + b`.
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
      ValueError: if it is of another shape.
    """
    if np.shape(state) != (len(_MOMENTS),):
      raise ValueError(
        f'return moments must have shape ({len(_MOMENTS)},), but received '
        f'{np.shape(state)}; the checkpoint is of another version of ald_acme.'
      )
    self._moments.assign(state)
    self._observed.assign(state)


class AdvantageScale:
  """Running root mean square of normalised advantages, at least `_LEAST`.

  Policy gradients in units of it have one size as the value gets better. The
  bound keeps the noise of a value that has nothing left to explain small.
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

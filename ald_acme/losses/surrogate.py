"""The clipped surrogate objective of PPO.

Schulman et al., 2017, "Proximal policy optimization"
(https://arxiv.org/abs/1707.06347), eq. (7).
"""

import tensorflow as tf

from ald_acme.losses import masking

_LARGEST = 20.0  # Bound of log ratios; keeps the ratios finite.


def clipped_surrogate_loss(
  log_ratios: tf.Tensor,
  advantages: tf.Tensor,
  mask: tf.Tensor,
  epsilon: float,
) -> tf.Tensor:
  """-E[min(ratio A, clip(ratio, 1 - epsilon, 1 + epsilon) A)], a scalar.

  A step whose ratio has moved by more than epsilon in the direction of its
  advantage has no gradient, so data can be reused.

  Args:
    log_ratios: float32 `[T, B]`, log pi(a_t | x_t) - log mu(a_t | x_t), with mu
      the behaviour policy; the gradient flows through them.
    advantages: float32 `[T, B]`; no gradient flows through them.
    mask: bool `[T, B]`, the steps that count.
    epsilon: clipping range of the ratio.

  Raises:
    ValueError: if the shapes do not agree.
  """
  masking.assert_same_shape(
    log_ratios=log_ratios, advantages=advantages, mask=mask
  )
  # Mask before any product: 0 times infinity is NaN.
  advantages = tf.stop_gradient(tf.where(mask, advantages, 0.0))
  log_ratios = tf.minimum(tf.where(mask, log_ratios, 0.0), _LARGEST)
  ratios = tf.exp(log_ratios)
  clipped = tf.clip_by_value(ratios, 1.0 - epsilon, 1.0 + epsilon)
  return -masking.masked_mean(
    tf.minimum(ratios * advantages, clipped * advantages), mask
  )

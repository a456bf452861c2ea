"""Means over unmasked steps."""

import tensorflow as tf


def masked_mean(x: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
  """Mean of `x` where `mask` is true; 0 if it is false everywhere.

  Args:
    x: float32 `[T, B]`.
    mask: bool `[T, B]`.

  Returns:
    A scalar. Masked steps have no gradient, even where they are NaN.
  """
  kept = tf.where(mask, x, tf.zeros_like(x))
  count = tf.reduce_sum(tf.cast(mask, x.dtype))
  return tf.math.divide_no_nan(tf.reduce_sum(kept), count)


def assert_same_shape(**tensors: tf.Tensor) -> None:
  """Raises ValueError unless all static shapes agree."""
  shapes = {name: tuple(x.shape) for name, x in tensors.items()}
  if len(set(shapes.values())) > 1:
    raise ValueError(
      f'Tensors must have the same shape, but received {shapes}.'
    )

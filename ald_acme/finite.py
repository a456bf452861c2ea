"""Aborts training when a metric is NaN or infinite."""

from collections.abc import Callable, Mapping
import math

import tensorflow as tf


def check(terms: Mapping[str, float], where: str) -> None:
  """Raises FloatingPointError if a term is nan or infinite.

  Args:
    terms: scalars by name.
    where: the update that gave them, for the error message.
  """
  bad = {name: x for name, x in terms.items() if not math.isfinite(x)}
  if bad:
    raise FloatingPointError(
      f'NaN or infinite metrics at {where}: {bad}. Look for infinite rewards '
      'or observations, or lower the learning rate.'
    )


def step_if(
  terms: Mapping[str, tf.Tensor],
  step: Callable[[], tf.Tensor],
  otherwise: tf.Tensor,
) -> tf.Tensor:
  """Runs a step in a graph unless a metric is NaN or infinite.

  This keeps the gradient and the step in one call.

  Args:
    terms: scalars by name.
    step: updates variables and returns a tensor.
    otherwise: returned when the step is skipped.
  """
  fine = tf.reduce_all(
    [tf.math.is_finite(tf.cast(x, tf.float32)) for x in terms.values()]
  )
  return tf.cond(fine, step, lambda: otherwise)

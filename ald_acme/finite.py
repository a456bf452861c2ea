"""Aborts training when a metric is NaN or infinite."""

from collections.abc import Callable, Mapping
import math

import tensorflow as tf


def check(terms: Mapping[str, float], where: str) -> None:
  """Raises FloatingPointError if a term is nan or infinite.

  Args:
    terms: scalars by name.
    where: the update, for the message.
  """
  bad = {name: x for name, x in terms.items() if not math.isfinite(x)}
  if bad:
    raise FloatingPointError(
      f'At {where} these are not finite: {bad}. Look for infinite rewards or '
      'observations, or lower the learning rate.'
    )


def step_if(
  terms: Mapping[str, tf.Tensor],
  step: Callable[[], tf.Tensor],
  otherwise: tf.Tensor,
) -> tf.Tensor:
  """Runs a step in a graph unless a metric is NaN or infinite.

  So that gradient and step are one call.

  Args:
    terms: scalars by name.
    step: changes variables, and gives a tensor.
    otherwise: given where it is left out.
  """
  fine = tf.reduce_all(
    [tf.math.is_finite(tf.cast(x, tf.float32)) for x in terms.values()]
  )
  return tf.cond(fine, step, lambda: otherwise)

"""Optimisers of a flat vector of parameters."""

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import tensorflow as tf


def flatten(tensors: Sequence[tf.Tensor]) -> tf.Tensor:
  """Joins tensors into one vector `[P]`, in order."""
  return tf.concat([tf.reshape(tensor, [-1]) for tensor in tensors], axis=0)


def unflatten(
  vector: tf.Tensor, like: Sequence[tf.Variable]
) -> list[tf.Tensor]:
  """Splits a vector `[P]` into tensors of the variables' shapes."""
  parts = tf.split(vector, [variable.shape.num_elements() for variable in like])
  return [tf.reshape(part, v.shape) for part, v in zip(parts, like)]


def add(difference: tf.Tensor, variables: Sequence[tf.Variable]) -> None:
  """Adds a vector `[P]` to variables, in order."""
  for variable, part in zip(variables, unflatten(difference, variables)):
    variable.assign_add(part)


def check_gradients(
  gradients: Sequence[tf.Tensor | None], variables: Sequence[tf.Variable]
) -> None:
  """Checks that the loss depends on every variable.

  Raises:
    ValueError: if it does not.
  """
  without = [v.name for v, g in zip(variables, gradients) if g is None]
  if without:
    raise ValueError(
      f'the loss has no gradient for {", ".join(without)}: the network does '
      'not use these variables, or stops their gradient; use them or remove '
      'them.'
    )


class Optimizer(Protocol):
  """Computes steps to add to a flat vector from its gradients."""

  def step(self, gradient: tf.Tensor) -> tf.Tensor:
    """The step, float32 `[P]`, for a gradient `[P]`; runs in a graph."""

  def save(self) -> dict[str, np.ndarray]:
    """The state, as arrays by name."""

  def restore(self, state: dict[str, np.ndarray]) -> None:
    """Restores a state returned by `save`."""


# Learning rate at a step, a float32 scalar that counts from 1.
Schedule = Callable[[tf.Tensor], tf.Tensor]


def linear_decay(first: float, steps: int, last: float = 0.0) -> Schedule:
  """A learning rate that decays linearly and then stays constant.

  Args:
    first: the rate at the first step.
    steps: number of steps until the rate is `last`.
    last: the rate from then on.
  """

  def rate(step: tf.Tensor) -> tf.Tensor:
    share = tf.clip_by_value((step - 1) / steps, 0.0, 1.0)
    return first + (last - first) * share

  return rate


class FlatAdam:
  """Adam (Kingma & Ba, 2015) with gradients clipped to a global norm.

  On one vector an update takes a dozen operations instead of a dozen for each
  of sixty variables; and a HOGWILD worker needs its update as a vector.
  """

  def __init__(
    self,
    size: int,
    learning_rate: float | Schedule,
    max_norm: float | None = None,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-5,
  ) -> None:
    """Creates zero moments.

    Args:
      size: P, the number of parameters.
      learning_rate: step size, or its schedule.
      max_norm: bound of the gradient's norm; None for no clipping.
      beta_1: decay of the first moment.
      beta_2: decay of the second moment.
      epsilon: added to the root of the second moment.
    """
    self._learning_rate, self._max_norm = learning_rate, max_norm
    self._beta_1, self._beta_2, self._epsilon = beta_1, beta_2, epsilon
    self._step = tf.Variable(0, dtype=tf.int64, trainable=False)
    self._first = tf.Variable(tf.zeros([size]), trainable=False)
    self._second = tf.Variable(tf.zeros([size]), trainable=False)

  def step(self, gradient: tf.Tensor) -> tf.Tensor:
    """Computes the step and updates the moments, not the parameters.

    Args:
      gradient: float32 `[P]`.

    Returns:
      The step to add to the parameters, float32 `[P]`.
    """
    norm = tf.norm(gradient)
    if self._max_norm is not None:
      gradient *= self._max_norm / tf.maximum(norm, self._max_norm)
    step = tf.cast(self._step.assign_add(1), tf.float32)
    first = self._first.assign(
      self._beta_1 * self._first + (1 - self._beta_1) * gradient
    )
    second = self._second.assign(
      self._beta_2 * self._second + (1 - self._beta_2) * gradient**2
    )
    mean = first / (1 - self._beta_1**step)
    root = tf.sqrt(second / (1 - self._beta_2**step))
    rate = self._learning_rate
    if callable(rate):
      rate = rate(step)
    return -rate * mean / (root + self._epsilon)

  def save(self) -> dict[str, np.ndarray]:
    """The moments and the number of steps."""
    return {
      'step': self._step.numpy(),
      'first': self._first.numpy(),
      'second': self._second.numpy(),
    }

  def restore(self, state: dict[str, np.ndarray]) -> None:
    """Restores the state of `save`; ValueError if its size differs."""
    self._step.assign(state['step'])
    self._first.assign(state['first'])
    self._second.assign(state['second'])

"""Distillation of the learner's features into the actor's."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from ald_acme import optimizers
from ald_acme.losses import distillation

_RATE = 0.01  # Weight of a batch in the running moments.
_LEAST_VARIANCE = 1e-6


class FeatureDistillation:
  """Trains the actor's features to predict the learner's linearly.

  The learner's features are standardised by their running mean and variance,
  so that each counts as much as another. The losses on policies and on features
  have an Adam each, because their scales differ by orders of magnitude, and a
  common one would follow only the larger. The linear map belongs to the
  distiller; actors have no use for it.

  Attributes:
    variables: the linear map's variables.
  """

  def __init__(
    self,
    actor_features: int,
    learner_features: int,
    num_parameters: int,
    learning_rate: float,
    max_norm: float,
  ) -> None:
    """Initialises the linear map and the optimisers.

    Args:
      actor_features: A, size of the actor's features.
      learner_features: F, size of the learner's features.
      num_parameters: P, number of parameters of the actor's network.
      learning_rate: learning rate of both optimisers.
      max_norm: maximum norm of the gradient by the network's parameters.
    """
    # The same in all distillers, which then pull in the same direction.
    weights = tf.random.stateless_normal(
      [actor_features, learner_features], seed=[0, 0]
    )
    self._weights = tf.Variable(weights / np.sqrt(actor_features))
    self._bias = tf.Variable(tf.zeros([learner_features]))
    self.variables: Sequence[tf.Variable] = [self._weights, self._bias]
    # The sum of weights; means; means of squares. Their difference would lose
    # a small variance around a large mean in float32.
    self._moments = tf.Variable(
      tf.zeros([1 + 2 * learner_features], tf.float64), trainable=False
    )
    self._of_network = optimizers.FlatAdam(
      num_parameters, learning_rate, max_norm
    )
    size = (actor_features + 1) * learner_features
    self._of_map = optimizers.FlatAdam(size, learning_rate)

  @property
  def size(self) -> int:
    """F, size of the learner's features."""
    return self._bias.shape[0]

  def standardise(
    self, features: tf.Tensor, mask: tf.Tensor
  ) -> tuple[tf.Tensor, tf.Tensor]:
    """Standardises the learner's features, the batch included.

    Args:
      features: float32 `[T, B, F]`.
      mask: bool `[T, B]`, the steps that count.

    Returns:
      The standardised features, float32 `[T, B, F]`, 0 where a feature never
      changes; and the new moments, float64, for `step`.
    """
    features = tf.cast(features, tf.float64)
    kept = tf.where(mask[..., tf.newaxis], features, tf.zeros_like(features))
    count = tf.reduce_sum(tf.cast(mask, tf.float64))
    means = [
      tf.math.divide_no_nan(tf.reduce_sum(x, axis=[0, 1]), count)
      for x in (kept, tf.square(kept))
    ]
    rate = _RATE * tf.cast(count > 0, tf.float64)
    moments = (1.0 - rate) * self._moments
    one = tf.ones([1], tf.float64)
    moments += rate * tf.concat([one, *means], axis=0)

    weight, mean, squares = tf.split(moments, [1, self.size, self.size])
    mean = tf.math.divide_no_nan(mean, weight)
    variance = tf.math.divide_no_nan(squares, weight) - tf.square(mean)
    scale = tf.math.rsqrt(tf.nn.relu(variance) + _LEAST_VARIANCE)
    return tf.cast(scale * (features - mean), tf.float32), moments

  def loss(
    self, actor: tf.Tensor, targets: tf.Tensor, mask: tf.Tensor
  ) -> tf.Tensor:
    """The loss, a scalar.

    Args:
      actor: float32 `[T, B, A]`, features of the actor.
      targets: float32 `[T, B, F]`, of `standardise`.
      mask: bool `[T, B]`, the steps that count.
    """
    predicted = tf.tensordot(actor, self._weights, axes=1) + self._bias
    return distillation.feature_distillation_loss(predicted, targets, mask)

  def step(
    self, of_network: tf.Tensor, of_map: tf.Tensor, moments: tf.Tensor
  ) -> tf.Tensor:
    """Updates the map and the moments, and computes a step of the network.

    Args:
      of_network: gradient by the network's parameters, float32 `[P]`.
      of_map: gradient by `variables`, flat.
      moments: of `standardise`.

    Returns:
      The step to add to the network's parameters, float32 `[P]`.
    """
    self._moments.assign(moments)
    optimizers.add(self._of_map.step(of_map), self.variables)
    return self._of_network.step(of_network)

  def save(self) -> dict[str, Any]:
    """The map, the moments and the state of the optimisers."""
    return {
      'weights': self._weights.numpy(),
      'bias': self._bias.numpy(),
      'moments': self._moments.numpy(),
      'of_map': self._of_map.save(),
      'of_network': self._of_network.save(),
    }

  def restore(self, state: dict[str, Any]) -> None:
    """Restores a state returned by `save`.

    Raises:
      ValueError: if it belongs to networks of other sizes.
    """
    self._of_network.restore(state['of_network'])
    self._of_map.restore(state['of_map'])
    self._weights.assign(state['weights'])
    self._bias.assign(state['bias'])
    self._moments.assign(state['moments'])

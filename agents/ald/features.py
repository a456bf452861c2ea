"""Distillation of the learner's features into the actor's."""

from collections.abc import Sequence
from typing import Any

import sonnet as snt
import tensorflow as tf

from ald_acme import optimizers
from ald_acme.losses import distillation


class FeatureDistillation:
  """Trains the actor's features to predict the learner's linearly.

  The losses on policies and features have an Adam each, because their scales
  differ by orders of magnitude, and a common one would follow only the larger.
  The linear map belongs to the distiller; actors have no use for it.

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
      actor_features: size of the actor's features.
      learner_features: size of the learner's features.
      num_parameters: P, number of parameters of the actor's network.
      learning_rate: learning rate of both optimisers.
      max_norm: maximum norm of the gradients.
    """
    self._map = snt.Linear(learner_features)
    self._map(tf.zeros([1, actor_features]))
    self.variables: Sequence[tf.Variable] = self._map.trainable_variables
    own = sum(v.shape.num_elements() for v in self.variables)
    self._of_network = optimizers.FlatAdam(
      num_parameters, learning_rate, max_norm
    )
    self._of_map = optimizers.FlatAdam(own, learning_rate)

  def loss(
    self, actor: tf.Tensor, learner: tf.Tensor, mask: tf.Tensor
  ) -> tf.Tensor:
    """The loss, a scalar.

    Args:
      actor: float32 `[T, B, A]`, features of the actor.
      learner: float32 `[T, B, F]`, features of the learner.
      mask: bool `[T, B]`, the steps that count.
    """
    predicted = snt.BatchApply(self._map)(actor)
    return distillation.feature_distillation_loss(predicted, learner, mask)

  def step(self, of_network: tf.Tensor, of_map: tf.Tensor) -> tf.Tensor:
    """Updates the map, and computes a step of the network.

    Args:
      of_network: gradient by the network's parameters, float32 `[P]`.
      of_map: gradient by `variables`, flat.

    Returns:
      The step to add to the network's parameters, float32 `[P]`.
    """
    difference = self._of_map.step(of_map)
    parts = optimizers.unflatten(difference, self.variables)
    for variable, part in zip(self.variables, parts):
      variable.assign_add(part)
    return self._of_network.step(of_network)

  def save(self) -> dict[str, Any]:
    """The map and the state of the optimisers."""
    return {
      'map': optimizers.flatten(self.variables).numpy(),
      'of_map': self._of_map.save(),
      'of_network': self._of_network.save(),
    }

  def restore(self, state: dict[str, Any]) -> None:
    """Restores a state returned by `save`."""
    parts = optimizers.unflatten(state['map'], self.variables)
    for variable, value in zip(self.variables, parts):
      variable.assign(value)
    self._of_map.restore(state['of_map'])
    self._of_network.restore(state['of_network'])

"""Distillation losses, and the learner's regulariser towards the actor.

Parisotto & Salakhutdinov, 2021, "Actor-Learner Distillation"
(https://arxiv.org/abs/2104.01655).
"""

import tensorflow as tf

from ald_acme import distributions
from ald_acme.losses import masking

REVERSE, FORWARD = 'reverse', 'forward'
DIRECTIONS = (REVERSE, FORWARD)


def policy_distillation_loss(
  distribution: distributions.Distribution,
  actor_policy: tf.Tensor,
  learner_policy: tf.Tensor,
  mask: tf.Tensor,
  direction: str = REVERSE,
) -> tf.Tensor:
  """Mean KL between the policies, with gradient to the actor alone.

  Args:
    distribution: distribution of the actions.
    actor_policy: float32 `[T, B, P]`.
    learner_policy: float32 `[T, B, P]`; no gradient flows through them.
    mask: bool `[T, B]`, the steps that count.
    direction: 'reverse' for KL(actor || learner), 'forward' for
      KL(learner || actor).

  Returns:
    A scalar in nats.

  Raises:
    ValueError: if the direction is neither.
  """
  learner_policy = tf.stop_gradient(learner_policy)
  if direction == REVERSE:
    divergence = distribution.kl(actor_policy, learner_policy)
  elif direction == FORWARD:
    divergence = distribution.kl(learner_policy, actor_policy)
  else:
    raise ValueError(
      f'direction must be one of {DIRECTIONS}, but received {direction!r}.'
    )
  return masking.masked_mean(divergence, mask)


def value_distillation_loss(
  actor_value: tf.Tensor, learner_value: tf.Tensor, mask: tf.Tensor
) -> tf.Tensor:
  """E[1/2 (V_L - V_A)^2], gradient to the actor alone; all `[T, B]`."""
  error = tf.stop_gradient(learner_value) - actor_value
  return masking.masked_mean(0.5 * tf.square(error), mask)


def feature_distillation_loss(
  predicted: tf.Tensor, learner_features: tf.Tensor, mask: tf.Tensor
) -> tf.Tensor:
  """E[1/2 |x - h_L|^2 / F], with gradient to the prediction alone.

  Two policies that differ only where a memory decides have no divergence
  before, so their KL teaches a long memory slowly. The learner's features
  depend on its memory at every step ("hints", Romero et al., 2015, "FitNets",
  https://arxiv.org/abs/1412.6550, equation 3).

  Args:
    predicted: x, float32 `[T, B, F]`, predicted from the actor's features.
    learner_features: h_L, float32 `[T, B, F]`, standardised; no gradient flows
      through them.
    mask: bool `[T, B]`, the steps that count.

  Returns:
    A scalar; 0 if no step counts.
  """
  masking.assert_same_shape(predicted=predicted, features=learner_features)
  error = predicted - tf.stop_gradient(learner_features)
  error = tf.where(mask[..., tf.newaxis], error, tf.zeros_like(error))
  squares = tf.reduce_mean(0.5 * tf.square(error), axis=-1)
  return masking.masked_mean(squares, mask)


def policy_regulariser(
  distribution: distributions.Distribution,
  learner_policy: tf.Tensor,
  actor_policy: tf.Tensor,
  mask: tf.Tensor,
) -> tf.Tensor:
  """E[KL(pi_A || pi_L)], with gradient to the learner alone.

  It keeps the learner near the policy that gathers its data.

  Args:
    distribution: distribution of the actions.
    learner_policy: float32 `[T, B, P]`.
    actor_policy: float32 `[T, B, P]`; no gradient flows through them.
    mask: bool `[T, B]`, the steps that count.

  Returns:
    A scalar in nats.
  """
  divergence = distribution.kl(tf.stop_gradient(actor_policy), learner_policy)
  return masking.masked_mean(divergence, mask)

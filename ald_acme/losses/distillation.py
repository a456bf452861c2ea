"""What the actor learns from the learner, and how it holds the learner near.

Parisotto & Salakhutdinov, 2021, "Actor-Learner Distillation"
(https://arxiv.org/abs/2104.01655).
"""

import tensorflow as tf

from ald_acme.losses import masking

REVERSE, FORWARD = 'reverse', 'forward'
DIRECTIONS = (REVERSE, FORWARD)


def kl_divergence(p_logits: tf.Tensor, q_logits: tf.Tensor) -> tf.Tensor:
  """KL(p || q) of categorical distributions in nats.

  Args:
    p_logits: float32 `[..., A]`.
    q_logits: float32 `[..., A]`.

  Returns:
    float32 `[...]`, at least 0.
  """
  log_p, log_q = tf.nn.log_softmax(p_logits), tf.nn.log_softmax(q_logits)
  return tf.reduce_sum(tf.exp(log_p) * (log_p - log_q), axis=-1)


def policy_distillation_loss(
  actor_logits: tf.Tensor,
  learner_logits: tf.Tensor,
  mask: tf.Tensor,
  direction: str = REVERSE,
) -> tf.Tensor:
  """Mean KL between the policies, with gradient to the actor alone.

  Args:
    actor_logits: float32 `[T, B, A]`.
    learner_logits: float32 `[T, B, A]`; no gradient flows through them.
    mask: bool `[T, B]`, the steps that count.
    direction: 'reverse' for KL(actor || learner), 'forward' for
      KL(learner || actor).

  Returns:
    A scalar in nats.

  Raises:
    ValueError: if the direction is neither.
  """
  learner_logits = tf.stop_gradient(learner_logits)
  if direction == REVERSE:
    divergence = kl_divergence(actor_logits, learner_logits)
  elif direction == FORWARD:
    divergence = kl_divergence(learner_logits, actor_logits)
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


def policy_regulariser(
  learner_logits: tf.Tensor, actor_logits: tf.Tensor, mask: tf.Tensor
) -> tf.Tensor:
  """E[KL(pi_A || pi_L)], with gradient to the learner alone.

  It keeps the learner near the policy that gathers its data.

  Args:
    learner_logits: float32 `[T, B, A]`.
    actor_logits: float32 `[T, B, A]`; no gradient flows through them.
    mask: bool `[T, B]`, the steps that count.

  Returns:
    A scalar in nats.
  """
  divergence = kl_divergence(tf.stop_gradient(actor_logits), learner_logits)
  return masking.masked_mean(divergence, mask)

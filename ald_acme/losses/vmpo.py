"""V-MPO: on-policy maximum a posteriori policy optimisation.

Song et al., 2020 (https://arxiv.org/abs/1909.12238), sec. 4.1.
"""

from typing import NamedTuple

import tensorflow as tf

from ald_acme.losses import distillation
from ald_acme.losses import masking
from ald_acme.losses import vtrace


class VMPO(NamedTuple):
  """Terms to be added up, each a scalar; `kl` is for the log.

  Attributes:
    policy: weighted maximum likelihood, gradient to the policy.
    temperature: dual of the E-step's bound, gradient to the temperature eta.
    trust_region: dual of the M-step's bound, gradient to alpha and the policy.
    kl: mean KL(target || online) in nats.
  """

  policy: tf.Tensor
  temperature: tf.Tensor
  trust_region: tf.Tensor
  kl: tf.Tensor


def vmpo_loss(
  logits: tf.Tensor,
  target_logits: tf.Tensor,
  action: tf.Tensor,
  advantages: tf.Tensor,
  mask: tf.Tensor,
  temperature: tf.Tensor,
  alpha: tf.Tensor,
  epsilon_temperature: float,
  epsilon_alpha: float,
) -> VMPO:
  """The policy's losses on the better half of the samples.

  Args:
    logits: float32 `[T, B, A]` of the online network.
    target_logits: float32 `[T, B, A]` of the target network; no gradient.
    action: int32 `[T, B]`.
    advantages: float32 `[T, B]`; no gradient flows through them.
    mask: bool `[T, B]`, the steps that count.
    temperature: eta > 0, a scalar.
    alpha: Lagrange multiplier > 0 of the trust region, a scalar.
    epsilon_temperature: bound of the E-step's KL.
    epsilon_alpha: bound of the M-step's KL.

  Returns:
    The terms.

  Raises:
    ValueError: if the shapes do not agree.
  """
  masking.assert_same_shape(action=action, advantages=advantages, mask=mask)
  masking.assert_same_shape(logits=logits, target_logits=target_logits)
  flat_mask = tf.reshape(mask, [-1])
  flat = tf.boolean_mask(tf.reshape(advantages, [-1]), flat_mask)
  log_pi = vtrace.log_probability(logits, action)
  log_pi = tf.boolean_mask(tf.reshape(log_pi, [-1]), flat_mask)
  # Where no step counts, a zero stands in: it is weighted, but moves nothing.
  none = tf.cast(tf.equal(tf.size(flat), 0), tf.int32)
  flat, log_pi = (tf.pad(x, [[0, none]]) for x in (flat, log_pi))
  half = tf.maximum(tf.size(flat) // 2, 1)
  best, indices = tf.math.top_k(tf.stop_gradient(flat), half, sorted=False)

  scaled = best / temperature
  weights = tf.stop_gradient(tf.nn.softmax(scaled))  # psi of eq. (4)
  policy = -tf.reduce_sum(weights * tf.gather(log_pi, indices))
  log_mean_exp = tf.reduce_logsumexp(scaled) - tf.math.log(
    tf.cast(half, scaled.dtype)
  )
  divergence = masking.masked_mean(
    distillation.kl_divergence(tf.stop_gradient(target_logits), logits), mask
  )
  return VMPO(
    policy=policy,
    temperature=temperature * (epsilon_temperature + log_mean_exp),
    trust_region=alpha * (epsilon_alpha - tf.stop_gradient(divergence))
    + tf.stop_gradient(alpha) * divergence,
    kl=divergence,
  )

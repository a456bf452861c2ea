"""V-MPO: on-policy maximum a posteriori policy optimisation.

Song et al., 2020 (https://arxiv.org/abs/1909.12238), sec. 4.1. For
continuous actions the M-step bounds the mean and the covariance separately.
"""

from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf

from ald_acme.losses import masking


class VMPO(NamedTuple):
  """Loss terms to add up, each a scalar; `kls` is for logging.

  Attributes:
    policy: weighted maximum likelihood; gradient to the policy.
    temperature: dual of the E-step's bound; gradient to the temperature eta.
    trust_region: duals of the M-step's bounds; gradient to the alphas and the
      policy.
    kls: mean KL(target || online) of each trust region in nats, `[R]`.
  """

  policy: tf.Tensor
  temperature: tf.Tensor
  trust_region: tf.Tensor
  kls: tf.Tensor


def vmpo_loss(
  log_pi: tf.Tensor,
  kls: Sequence[tf.Tensor],
  advantages: tf.Tensor,
  mask: tf.Tensor,
  temperature: tf.Tensor,
  alphas: tf.Tensor,
  epsilon_temperature: float,
  epsilon_alphas: Sequence[float],
) -> VMPO:
  """V-MPO's losses, on the half of the samples with the largest advantages.

  Args:
    log_pi: float32 `[T, B]`, the online network's log-probabilities of the
      actions taken.
    kls: R times float32 `[T, B]`, KL(target || online) of each trust region.
    advantages: float32 `[T, B]`; no gradient flows through them.
    mask: bool `[T, B]`, the steps that count.
    temperature: eta > 0, a scalar.
    alphas: Lagrange multipliers > 0 of the trust regions, `[R]`.
    epsilon_temperature: bound of the E-step's KL.
    epsilon_alphas: bounds of the M-step's KLs.

  Returns:
    The terms.

  Raises:
    ValueError: if the shapes do not agree.
  """
  masking.assert_same_shape(
    log_pi=log_pi,
    advantages=advantages,
    mask=mask,
    **{f'kls[{i}]': kl for i, kl in enumerate(kls)},
  )
  flat_mask = tf.reshape(mask, [-1])
  flat = tf.boolean_mask(tf.reshape(advantages, [-1]), flat_mask)
  log_pi = tf.boolean_mask(tf.reshape(log_pi, [-1]), flat_mask)
  # If all steps are masked, pad with a zero, which has no gradient.
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
  divergences = tf.stack([masking.masked_mean(kl, mask) for kl in kls])
  return VMPO(
    policy=policy,
    temperature=temperature * (epsilon_temperature + log_mean_exp),
    trust_region=tf.reduce_sum(
      alphas * (epsilon_alphas - tf.stop_gradient(divergences))
      + tf.stop_gradient(alphas) * divergences
    ),
    kls=divergences,
  )

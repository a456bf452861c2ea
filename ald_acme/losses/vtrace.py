"""V-trace targets and the actor-critic losses that use them.

Espeholt et al., 2018, "IMPALA" (https://arxiv.org/abs/1802.01561), eq. (1).
"""

from typing import NamedTuple

import tensorflow as tf

from ald_acme.losses import masking


class VTrace(NamedTuple):
  """Targets without gradient.

  Attributes:
    values: float32 `[T, B]`, v_s of eq. (1), targets of the value.
    errors: float32 `[T, B]`, r_s + gamma v_{s+1} - V(x_s): advantages before
      weighting with rho_s.

  With lambda < 1 both bootstrap from lambda v_{s+1} + (1 - lambda) V(x_{s+1})
  instead of v_{s+1}.
  """

  values: tf.Tensor
  errors: tf.Tensor


def vtrace(
  values: tf.Tensor,
  rewards: tf.Tensor,
  discounts: tf.Tensor,
  log_rhos: tf.Tensor,
  mask: tf.Tensor,
  clip_rho: float = 1.0,
  clip_c: float = 1.0,
  trace_decay: float = 1.0,
) -> VTrace:
  """Off-policy corrected targets of an unroll.

  Args:
    values: float32 `[T + 1, B]`, V(x_0) to V(x_T).
    rewards: float32 `[T, B]`, r_t of the transition from x_t to x_{t+1}.
    discounts: float32 `[T, B]`, gamma of that transition; 0 where x_{t+1} is
      terminal, gamma where the episode was truncated there.
    log_rhos: float32 `[T, B]`, log pi(a_t | x_t) - log mu(a_t | x_t).
    mask: bool `[T, B]`, false where x_t ends an episode: such a step is its own
      target, and stops the trace.
    clip_rho: bound of the importance weights of temporal differences.
    clip_c: bound of the importance weights of the trace.
    trace_decay: lambda of remark 2 of the paper, 0 to 1; below 1 it trades
      variance for bias, as in TD(lambda). Advantages bootstrap from the same
      mixture.

  Returns:
    The targets; no gradient flows through them.

  Raises:
    ValueError: if the shapes do not agree.
  """
  masking.assert_same_shape(
    values=values[1:],
    rewards=rewards,
    discounts=discounts,
    log_rhos=log_rhos,
    mask=mask,
  )
  weight = tf.cast(mask, values.dtype)
  rhos = tf.exp(log_rhos)
  clipped_rhos = weight * tf.minimum(clip_rho, rhos)
  deltas = clipped_rhos * (rewards + discounts * values[1:] - values[:-1])
  decays = weight * discounts * trace_decay * tf.minimum(clip_c, rhos)

  targets = values[:-1] + _backward_sums(deltas, decays)  # [T, B]
  mixed = trace_decay * targets[1:] + (1.0 - trace_decay) * values[1:-1]
  next_targets = tf.concat([mixed, values[-1:]], axis=0)
  errors = weight * (rewards + discounts * next_targets - values[:-1])
  return VTrace(
    values=tf.stop_gradient(targets),
    errors=tf.stop_gradient(errors),
  )


def _backward_sums(deltas: tf.Tensor, decays: tf.Tensor) -> tf.Tensor:
  """x_t = delta_t + decay_t x_{t+1} for all t at once, x_T = 0; all `[T, B]`.

  A parallel prefix sum (Blelloch, 1990, "Prefix Sums and Their Applications",
  sec. 1.4): each round doubles the span summed, so log2(T) rounds.
  """
  length, reach = deltas.shape[0], 1
  while reach < length:
    ahead = [[0, reach], [0, 0]]  # Zero past the end.
    deltas += decays * tf.pad(deltas[reach:], ahead)
    decays *= tf.pad(decays[reach:], ahead)
    reach *= 2
  return deltas


def value_loss(
  values: tf.Tensor, targets: tf.Tensor, mask: tf.Tensor
) -> tf.Tensor:
  """E[1/2 (target - V)^2], a scalar; all `[T, B]`."""
  error = tf.stop_gradient(targets) - values
  return masking.masked_mean(0.5 * tf.square(error), mask)


def explained_variance(
  values: tf.Tensor, targets: tf.Tensor, mask: tf.Tensor
) -> tf.Tensor:
  """1 - Var[target - V] / Var[target], a scalar; all `[T, B]`.

  1 for a perfect value, 0 for a constant one; also 0 if the targets are
  constant.
  """

  def variance(x: tf.Tensor) -> tf.Tensor:
    return masking.masked_mean(
      tf.square(x - masking.masked_mean(x, mask)), mask
    )

  share = tf.math.divide_no_nan(variance(targets - values), variance(targets))
  return tf.where(variance(targets) > 0.0, 1.0 - share, 0.0)

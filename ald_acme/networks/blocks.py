"""Building blocks of a transformer layer with hand-written gradients.

Automatic differentiation takes two to three times as many operations, and at
the sizes of `networks.sizes` their number dominates the run time.
"""

from collections.abc import Callable

import tensorflow as tf

# The gradients of the arguments, from that of the result.
Gradient = Callable[[tf.Tensor], tuple[tf.Tensor | None, ...]]
EPSILON = 1e-5  # Added to the variance, as `snt.LayerNorm` does.
MASKED = -1e9  # Added to the logits of masked keys.


@tf.custom_gradient
def normalise(
  x: tf.Tensor,
) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
  """Layer normalisation (Ba et al., 2016) without scale and offset.

  Args:
    x: `[N, D]`.

  Returns:
    `[N, D]`, each row with mean 0 and variance 1.
  """

  def mean(x: tf.Tensor) -> tf.Tensor:
    return tf.reduce_mean(x, -1, keepdims=True)

  centred = x - mean(x)
  scale = tf.math.rsqrt(mean(tf.square(centred)) + EPSILON)
  y = centred * scale

  def gradient(of_y: tf.Tensor) -> tf.Tensor:
    return scale * (of_y - mean(of_y) - y * mean(of_y * y))

  return y, gradient


@tf.custom_gradient
def gate(
  x: tf.Tensor,
  y: tf.Tensor,
  of_y: tf.Tensor,
  of_x: tf.Tensor,
  of_reset: tf.Tensor,
  bias: tf.Tensor,
) -> tuple[tf.Tensor, Gradient]:
  """GRU-type gating (Parisotto et al., 2019, eq. (5) to (8)).

  Args:
    x: `[N, D]`, the residual stream.
    y: `[N, D]`, the output of the gated submodule.
    of_y: `[D, 3 D]`, weights of `y` for reset, update and candidate.
    of_x: `[D, 2 D]`, weights of `x` for reset and update.
    of_reset: `[D, D]`, weights of the stream after the reset gate.
    bias: `[D]`, b_g.

  Returns:
    `[N, D]`.
  """
  size = x.shape[-1]
  to_gates, to_candidate = tf.split(tf.matmul(y, of_y), [2 * size, size], -1)
  moved = tf.nn.bias_add(
    tf.matmul(x, of_x), tf.concat([tf.zeros_like(bias), -bias], 0)
  )
  reset, update = tf.split(tf.sigmoid(to_gates + moved), 2, -1)
  kept = reset * x
  candidate = tf.tanh(to_candidate + tf.matmul(kept, of_reset))
  change = candidate - x

  def gradient(of_out: tf.Tensor) -> tuple[tf.Tensor | None, ...]:
    opened = of_out * update
    of_candidate = opened * (1 - tf.square(candidate))
    of_update = opened * change * (1 - update)
    of_kept = tf.matmul(of_candidate, of_reset, transpose_b=True)
    of_gates = tf.concat([of_kept * kept * (1 - reset), of_update], -1)
    of_sums = tf.concat([of_gates, of_candidate], -1)
    of_x_itself = of_out - opened + of_kept * reset
    return (
      of_x_itself + tf.matmul(of_gates, of_x, transpose_b=True),
      tf.matmul(of_sums, of_y, transpose_b=True),
      tf.matmul(y, of_sums, transpose_a=True),
      tf.matmul(x, of_gates, transpose_a=True),
      tf.matmul(kept, of_candidate, transpose_a=True),
      -tf.reduce_sum(of_update, 0),
    )

  return x + update * change, gradient


@tf.custom_gradient
def attend(
  query: tf.Tensor,
  of_distance: tf.Tensor,
  key: tf.Tensor,
  value: tf.Tensor,
  position: tf.Tensor,
  bias: tf.Tensor,
) -> tuple[tf.Tensor, Gradient]:
  """Relative attention, by content and distance (Dai et al., 2019, sec. 3.3).

  Args:
    query: `[H, B, T, d]`, scaled, with the content bias u.
    of_distance: `[H, B, T, d]`, scaled, with the distance bias v.
    key: `[H, B, S, d]`; the last T belong to the queries' own steps.
    value: `[H, B, S, d]`.
    position: `[H, S + 1, d]`, projected distances S - T, ..., 1, 0, then T rows
      of padding.
    bias: `[B, T, S]`, 0, or `MASKED` for masked keys, which must include all
      keys after the query or more than S - T steps before it.

  Returns:
    `[H, B, T, d]`. No gradient reaches the bias.
  """
  heads, length, size = query.shape[0], query.shape[2], query.shape[3]
  num_keys = key.shape[2]
  flat = tf.reshape(of_distance, [heads, -1, size])
  odds, total = _odds(
    tf.matmul(query, key, transpose_b=True),
    tf.matmul(flat, position, transpose_b=True),
    bias,
  )
  out = tf.matmul(odds, value) / total

  def gradient(of_out: tf.Tensor) -> tuple[tf.Tensor | None, ...]:
    of_out /= total
    of_logits, shifted = _of_odds(
      odds,
      tf.matmul(of_out, value, transpose_b=True),
      tf.reduce_sum(of_out * out, -1, keepdims=True),
    )
    shifted = tf.reshape(shifted, [heads, -1, num_keys + 1])
    return (
      tf.matmul(of_logits, key),
      tf.reshape(tf.matmul(shifted, position), tf.shape(of_distance)),
      tf.matmul(of_logits, query, transpose_a=True),
      tf.matmul(odds, of_out, transpose_a=True),
      tf.matmul(shifted, flat, transpose_a=True),
      None,
    )

  out.set_shape([heads, query.shape[1], length, size])
  return out, gradient


def _odds(
  by_content: tf.Tensor, by_distance: tf.Tensor, bias: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
  """The unnormalised softmax `[H, B, T, S]`, and its sums `[H, B, T, 1]`.

  Each row of logits by distance must be shifted by one more than the row before
  to align with the keys (Dai et al., appendix B). With one more column than
  keys, a reshape to rows that are shorter by one does that.
  """
  length, num_keys = by_content.shape[2:]
  rows = tf.reshape(by_distance, [-1, length * (num_keys + 1)])
  shape = [by_content.shape[0], -1, length, num_keys]
  by_distance = tf.reshape(rows[:, : length * num_keys], shape)
  logits = by_content + by_distance + bias
  odds = tf.exp(logits - tf.reduce_max(logits, -1, keepdims=True))
  return odds, tf.reduce_sum(odds, -1, keepdims=True)


def _of_odds(
  odds: tf.Tensor, of_odds: tf.Tensor, along: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
  """Gradients of the logits, by key and by distance."""
  length, num_keys = odds.shape[2:]
  of_logits = odds * (of_odds - along)
  rows = tf.reshape(of_logits, [-1, length * num_keys])
  return of_logits, tf.pad(rows, [[0, 0], [0, length]])

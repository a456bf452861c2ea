"""The learner's memory: the Gated Transformer-XL.

Parisotto et al., 2019, "Stabilizing Transformers for Reinforcement Learning"
(https://arxiv.org/abs/1910.06764), on the relative attention of Dai et al.,
2019, "Transformer-XL" (https://arxiv.org/abs/1901.02860).
"""

from typing import NamedTuple

import numpy as np
import sonnet as snt
import tensorflow as tf

from ald_acme.networks import core


class GTrXLState(NamedTuple):
  """The last M inputs of every layer.

  Attributes:
    memory: float32 `[B, layers, M, width]`, oldest first.
    valid: float32 `[B, M]`, 1 where the slot belongs to the current episode.
  """

  memory: tf.Tensor
  valid: tf.Tensor


class GTrXL(core.UnrollableCore):
  """TrXL-I layer order with GRU gates and a sliding memory of M steps.

  Each step attends to itself and to the M steps before it in its own episode.
  No gradient reaches the memory that an unroll starts from.
  """

  def __init__(
    self,
    width: int,
    num_layers: int,
    num_heads: int,
    mlp_size: int,
    memory_size: int,
    gate_bias: float = 2.0,
    name: str | None = None,
  ):
    """Builds the core.

    Args:
      width: size of inputs and outputs; a multiple of `num_heads`, and even.
      num_layers: number of transformer layers.
      num_heads: attention heads per layer.
      mlp_size: hidden units of each layer's position-wise network.
      memory_size: M, steps of the past kept per layer.
      gate_bias: b_g of eq. (8) of the paper; above 0, layers start near the
        identity.
      name: name of the module.

    Raises:
      ValueError: if the sizes do not fit each other.
    """
    super().__init__(name=name)
    if width % num_heads or width % 2:
      raise ValueError(
        f'GTrXL width must be even and a multiple of num_heads={num_heads}, '
        f'but received width={width}.'
      )
    if memory_size < 1 or num_layers < 1:
      raise ValueError(
        'GTrXL needs at least one layer and one step of memory, but received '
        f'num_layers={num_layers}, memory_size={memory_size}.'
      )
    self._width = width
    self._memory_size = memory_size
    self._layers = [
      _Layer(width, num_heads, mlp_size, gate_bias, name=f'layer_{i}')
      for i in range(num_layers)
    ]

  @property
  def output_size(self) -> int:
    return self._width

  def initial_state(self, batch_size, **kwargs) -> GTrXLState:
    """An empty memory."""
    shape = [batch_size, len(self._layers), self._memory_size, self._width]
    return GTrXLState(
      memory=tf.zeros(shape, **kwargs),
      valid=tf.zeros([batch_size, self._memory_size], **kwargs),
    )

  def unroll(self, inputs, reset, state):
    length, memory_size = inputs.shape[0], self._memory_size
    x = tf.transpose(inputs, [1, 0, 2])  # [B, T, D]
    episode = tf.cumsum(tf.cast(tf.transpose(reset), tf.int32), axis=1)  # [B,T]
    # A memory slot of an earlier episode has number -1, which no step has.
    of_memory = tf.cast(state.valid, tf.int32) - 1  # [B, M]
    of_keys = tf.concat([of_memory, episode], axis=1)  # [B, M + T]
    mask = tf.logical_and(
      _window(length, memory_size),
      tf.equal(episode[:, :, tf.newaxis], of_keys[:, tf.newaxis, :]),
    )
    bias = tf.where(mask[:, tf.newaxis], 0.0, -1e9)  # [B, 1, T, M + T]
    positions = _sinusoids(length + memory_size, self._width)

    memories = tf.unstack(state.memory, axis=1)
    seen = []
    for layer, memory in zip(self._layers, memories):
      keys = tf.concat([tf.stop_gradient(memory), x], axis=1)
      seen.append(_last(keys, memory_size, axis=1))
      x = layer(x, keys, bias, positions)
    next_state = GTrXLState(
      memory=tf.stop_gradient(tf.stack(seen, axis=1)),
      valid=tf.cast(
        tf.equal(of_keys[:, -memory_size:], episode[:, -1:]), tf.float32
      ),
    )
    return tf.transpose(x, [1, 0, 2]), next_state


class _Layer(snt.Module):
  """Relative attention and a position-wise network, each gated."""

  def __init__(self, width, num_heads, mlp_size, gate_bias, name):
    super().__init__(name=name)
    self._num_heads = num_heads
    self._attention_norm = _layer_norm('attention_norm')
    self._query = snt.Linear(width, name='query')
    self._key_value = snt.Linear(2 * width, name='key_value')
    self._position = snt.Linear(width, with_bias=False, name='position')
    self._attended = snt.Linear(width, name='attended')
    self._attention_gate = _Gate(width, gate_bias, name='attention_gate')
    self._mlp_norm = _layer_norm('mlp_norm')
    self._mlp = [
      snt.Linear(mlp_size, name='mlp_0'),
      snt.Linear(width, name='mlp_1'),
    ]
    self._mlp_gate = _Gate(width, gate_bias, name='mlp_gate')

  @snt.once
  def _initialize(self, width):
    shape = [self._num_heads, 1, width // self._num_heads]
    self._content_bias = tf.Variable(tf.zeros(shape), name='content_bias')
    self._position_bias = tf.Variable(tf.zeros(shape), name='position_bias')

  def __call__(self, x, keys, bias, positions):
    """One layer.

    Args:
      x: `[B, T, D]`.
      keys: `[B, S, D]`, the memory and then `x`.
      bias: `[B, 1, T, S]`, added to the attention's logits.
      positions: `[S, D]`, embeddings of the distances S - 1 down to 0.

    Returns:
      `[B, T, D]`.
    """
    self._initialize(x.shape[-1])
    length = x.shape[1]
    normed = self._attention_norm(keys)
    query = self._heads(_apply(self._query, _last(normed, length, axis=1)))
    key, value = tf.split(_apply(self._key_value, normed), 2, axis=-1)
    by_content = tf.matmul(
      query + self._content_bias, self._heads(key), transpose_b=True
    )
    position = self._heads(self._position(positions)[tf.newaxis])
    by_position = _shift(
      tf.matmul(query + self._position_bias, position, transpose_b=True)
    )
    logits = (by_content + by_position) / np.sqrt(query.shape[-1])
    heads = tf.matmul(tf.nn.softmax(logits + bias), self._heads(value))
    merged = tf.reshape(tf.transpose(heads, [0, 2, 1, 3]), tf.shape(x))
    x = self._attention_gate(x, tf.nn.relu(_apply(self._attended, merged)))

    y = self._mlp_norm(x)
    for linear in self._mlp:
      y = tf.nn.relu(_apply(linear, y))
    return self._mlp_gate(x, y)

  def _heads(self, x):  # [B, S, D] to [B, H, S, D / H].
    batch, length, width = x.shape[0] or tf.shape(x)[0], x.shape[1], x.shape[2]
    size = width // self._num_heads
    x = tf.reshape(x, [batch, length, self._num_heads, size])
    return tf.transpose(x, [0, 2, 1, 3])


class _Gate(snt.Module):
  """GRU-type gating in place of a residual sum (GTrXL paper, sec. 3.2)."""

  def __init__(self, width, bias, name):
    super().__init__(name=name)
    self._bias = tf.Variable(tf.fill([width], float(bias)), name='bias')
    # Products of the same input are made in one go.
    self._of_y = snt.Linear(3 * width, with_bias=False, name='of_y')
    self._of_x = snt.Linear(2 * width, with_bias=False, name='of_x')
    self._of_reset = snt.Linear(width, with_bias=False, name='of_reset')

  def __call__(self, x, y):
    """Gates the stream `x` by the submodule's output `y`, `[B, T, D]` both."""
    y_r, y_z, y_h = tf.split(_apply(self._of_y, y), 3, axis=-1)
    x_r, x_z = tf.split(_apply(self._of_x, x), 2, axis=-1)
    r = tf.sigmoid(y_r + x_r)
    z = tf.sigmoid(y_z + x_z - self._bias)
    h = tf.tanh(y_h + _apply(self._of_reset, r * x))
    return x + z * (h - x)


def _layer_norm(name):
  return snt.LayerNorm(-1, create_scale=True, create_offset=True, name=name)


def _apply(linear, x):
  """A linear map of the last dimension as one flat product."""
  flat = linear(tf.reshape(x, [-1, x.shape[-1]]))
  return tf.reshape(flat, tf.concat([tf.shape(x)[:-1], [flat.shape[-1]]], 0))


def _window(length: int, memory_size: int) -> np.ndarray:
  """Bool `[T, M + T]`: a step sees itself and the M steps before it."""
  step = np.arange(length)[:, np.newaxis] + memory_size
  key = np.arange(memory_size + length)
  return (key <= step) & (key >= step - memory_size)


def _sinusoids(length: int, width: int) -> np.ndarray:
  """Embeddings of the distances length - 1 down to 0, float32 `[S, D]`."""
  distance = np.arange(length - 1, -1, -1)[:, np.newaxis]
  angle = distance / 10_000 ** (np.arange(0, width, 2) / width)
  return np.concatenate([np.sin(angle), np.cos(angle)], -1).astype(np.float32)


def _shift(x: tf.Tensor) -> tf.Tensor:
  """Turns columns of distances to columns of keys (Dai et al., appendix B).

  Args:
    x: `[B, H, T, S]`; column c is the distance S - 1 - c.

  Returns:
    `[B, H, T, S]`; row t, column s holds the distance S - T + t - s. Where that
    is below 0 (the future, masked by the caller) the content means nothing.
  """
  shape = tf.shape(x)
  rows, columns = x.shape[2], x.shape[3]
  x = tf.pad(x, [[0, 0], [0, 0], [0, 0], [1, 0]])
  x = tf.reshape(x, [shape[0], shape[1], columns + 1, rows])
  return tf.reshape(_last(x, columns, axis=2), shape)


def _last(x: tf.Tensor, size: int, axis: int) -> tf.Tensor:
  """The end of a dimension.

  As a split: on a CPU the gradient of a strided slice takes ten times as long
  as the concatenation that a split's is.
  """
  return tf.split(x, [x.shape[axis] - size, size], axis)[1]

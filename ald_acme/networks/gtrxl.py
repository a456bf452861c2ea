"""The learner's memory: the Gated Transformer-XL.

Parisotto et al., 2019, "Stabilizing Transformers for Reinforcement Learning"
(https://arxiv.org/abs/1910.06764), on the relative attention of Dai et al.,
2019, "Transformer-XL" (https://arxiv.org/abs/1901.02860).
"""

from typing import NamedTuple

import numpy as np
import sonnet as snt
import tensorflow as tf

from ald_acme.networks import blocks
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
    length, batch, memory_size = (
      inputs.shape[0],
      inputs.shape[1],
      self._memory_size,
    )
    batch = batch or tf.shape(inputs)[1]
    episode = tf.cumsum(tf.cast(tf.transpose(reset), tf.int32), axis=1)  # [B,T]
    # A memory slot of an earlier episode has number -1, which no step has.
    of_memory = tf.cast(state.valid, tf.int32) - 1  # [B, M]
    of_keys = tf.concat([of_memory, episode], axis=1)  # [B, M + T]
    seen = tf.logical_and(
      _window(length, memory_size),
      tf.equal(episode[:, :, tf.newaxis], of_keys[:, tf.newaxis, :]),
    )
    bias = tf.where(seen, 0.0, blocks.MASKED)  # [B, T, M + T]
    positions = _positions(memory_size, length, self._width)

    memory = tf.stop_gradient(state.memory)
    rows = blocks.normalise(tf.reshape(memory, [-1, self._width]))
    rows = tf.reshape(rows, tf.shape(memory))
    x = tf.reshape(inputs, [length * batch, self._width])
    streams = []
    for layer, normed in zip(self._layers, tf.unstack(rows, axis=1)):
      streams.append(x)
      x = layer(x, normed, bias, positions)
    next_state = GTrXLState(
      memory=tf.stop_gradient(_slide(memory, tf.stack(streams), length)),
      valid=tf.cast(
        tf.equal(of_keys[:, -memory_size:], episode[:, -1:]), tf.float32
      ),
    )
    return tf.reshape(x, [length, batch, self._width]), next_state


class _Layer(snt.Module):
  """Relative attention and a position-wise network, each gated."""

  def __init__(self, width, num_heads, mlp_size, gate_bias, name):
    super().__init__(name=name)
    self._num_heads = num_heads
    self._attention_norm = _Norm(width, name='attention_norm')
    self._query = snt.Linear(width, name='query')
    self._key_value = snt.Linear(2 * width, name='key_value')
    self._position = snt.Linear(width, with_bias=False, name='position')
    self._attended = snt.Linear(width, name='attended')
    self._attention_gate = _Gate(width, gate_bias, name='attention_gate')
    self._mlp_norm = _Norm(width, name='mlp_norm')
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
    x = tf.zeros([1, width])
    for linear in (
      self._query,
      self._key_value,
      self._position,
      self._attended,
    ):
      linear(x)
    self._attention_gate.initialize(x)
    self._mlp[1](self._mlp[0](x))
    self._mlp_gate.initialize(x)

  def __call__(self, x, memory, bias, positions):
    """One layer.

    Args:
      x: `[T * B, D]`, time-major.
      memory: `[B, M, D]`, normalised without scale and offset.
      bias: `[B, T, M + T]`, as `blocks.attend` takes it.
      positions: `[M + T + 1, D]`, of `_positions`.

    Returns:
      `[T * B, D]`.
    """
    self._initialize(x.shape[-1])
    length, width = bias.shape[1], x.shape[-1]
    size = width // self._num_heads

    # Scale and offset are taken into the weights that follow.
    norm, query, key_value = self._attention_norm, self._query, self._key_value
    root = 1 / np.sqrt(size)
    content_bias = tf.reshape(self._content_bias, [width])
    weights = tf.concat([query.w * root, key_value.w], 1)
    offsets = tf.concat([(query.b + content_bias) * root, key_value.b], 0)
    weights, offsets = norm.fold(weights, offsets)

    projected = _linear(blocks.normalise(x), weights, offsets)
    query, *own = tf.unstack(self._heads(projected, [length, -1, 3]))
    projected = _linear(
      tf.reshape(memory, [-1, width]), weights[:, width:], offsets[width:]
    )
    past = tf.unstack(self._heads(projected, [-1, memory.shape[1], 2], False))
    key, value = (tf.concat(pair, 2) for pair in zip(past, own))
    to_distance = (self._position_bias - self._content_bias) * root
    position = tf.reshape(
      tf.matmul(positions, self._position.w), [-1, self._num_heads, size]
    )
    heads = blocks.attend(
      query,
      query + to_distance[:, tf.newaxis],
      key,
      value,
      tf.transpose(position, [1, 0, 2]),
      bias,
    )
    merged = tf.reshape(tf.transpose(heads, [2, 1, 0, 3]), [-1, width])
    attended = self._attended
    y = tf.nn.relu(_linear(merged, attended.w, attended.b))
    x = self._attention_gate(x, y)

    first, second = self._mlp
    y = _linear(blocks.normalise(x), *self._mlp_norm.fold(first.w, first.b))
    y = tf.nn.relu(_linear(tf.nn.relu(y), second.w, second.b))
    return self._mlp_gate(x, y)

  def _heads(self, rows, shape, time_major=True):
    """Rows `[T * B, n * D]` or `[B * T, n * D]` to `[n, H, B, T, D / H]`."""
    size = rows.shape[-1] // shape[-1] // self._num_heads
    split = tf.reshape(rows, [*shape, self._num_heads, size])
    return tf.transpose(split, [2, 3, *([1, 0] if time_major else [0, 1]), 4])


class _Norm(snt.Module):
  """Scale and offset of a layer normalisation."""

  def __init__(self, width, name):
    super().__init__(name=name)
    self._width = width
    self.scale = tf.Variable(tf.ones([width]), name='scale')
    self.offset = tf.Variable(tf.zeros([width]), name='offset')

  def fold(self, weights, bias):
    """The linear map of what is only normalised that equals one of this.

    Args:
      weights: `[D, N]`, of the scaled and moved vector.
      bias: `[N]`.
    """
    moved = tf.matmul(self.offset[tf.newaxis], weights)[0]
    return self.scale[:, tf.newaxis] * weights, bias + moved


class _Gate(snt.Module):
  """GRU-type gating in place of a residual sum (GTrXL paper, sec. 3.2)."""

  def __init__(self, width, bias, name):
    super().__init__(name=name)
    self._bias = tf.Variable(tf.fill([width], float(bias)), name='bias')
    # Products of the same input are made in one go.
    self._of_y = snt.Linear(3 * width, with_bias=False, name='of_y')
    self._of_x = snt.Linear(2 * width, with_bias=False, name='of_x')
    self._of_reset = snt.Linear(width, with_bias=False, name='of_reset')

  def initialize(self, x):
    """Makes the variables; `x` is any `[N, D]`."""
    for linear in (self._of_y, self._of_x, self._of_reset):
      linear(x)

  def __call__(self, x, y):
    """Gates the stream `x` by the submodule's output `y`, `[N, D]` both."""
    weights = self._of_y.w, self._of_x.w, self._of_reset.w
    return blocks.gate(x, y, *weights, self._bias)


def _linear(x, weights, bias):
  return tf.nn.bias_add(tf.matmul(x, weights), bias)


def _slide(memory, streams, length: int):
  """The last M inputs of every layer.

  Args:
    memory: `[B, layers, M, D]`, those before the unroll.
    streams: `[layers, T * B, D]`, those of the unroll.
    length: T.
  """
  num_layers, size, width = memory.shape[1:]
  streams = tf.reshape(streams, [num_layers, length, -1, width])
  new = tf.transpose(streams[:, -size:], [2, 0, 1, 3])
  return tf.concat([memory[:, :, length:], new], axis=2)


def _window(length: int, memory_size: int) -> np.ndarray:
  """Bool `[T, M + T]`: a step sees itself and the M steps before it."""
  step = np.arange(length)[:, np.newaxis] + memory_size
  key = np.arange(memory_size + length)
  return (key <= step) & (key >= step - memory_size)


def _positions(memory_size: int, length: int, width: int) -> np.ndarray:
  """Embeddings of the distances M to 0, then T rows of zeros; float32."""
  distance = np.arange(memory_size, -1, -1)[:, np.newaxis]
  angle = distance / 10_000 ** (np.arange(0, width, 2) / width)
  embedding = np.concatenate([np.sin(angle), np.cos(angle)], -1)
  return np.pad(embedding, [[0, length], [0, 0]]).astype(np.float32)

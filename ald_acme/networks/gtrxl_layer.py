"""One layer of the Gated Transformer-XL, for sequences and single steps."""

import numpy as np
import sonnet as snt
import tensorflow as tf

from ald_acme.networks import blocks


class Layer(snt.Module):
  """Relative attention and a position-wise network, each with a gate."""

  def __init__(
    self,
    width: int,
    num_heads: int,
    mlp_size: int,
    gate_bias: float,
    name: str,
  ) -> None:
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
  def _initialize(self, width: int) -> None:
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

  def __call__(
    self,
    x: tf.Tensor,
    memory: tf.Tensor,
    bias: tf.Tensor,
    distances: tf.Tensor,
  ) -> tf.Tensor:
    """One layer.

    Args:
      x: `[T * B, D]`, time-major.
      memory: `[B, M, D]`, normalised, without scale and offset.
      bias: `[B, T, M + T]`, as `blocks.attend` takes it.
      distances: `[M + T + 1, D]`, of `positions`.

    Returns:
      `[T * B, D]`.
    """
    self._initialize(x.shape[-1])
    length, width = bias.shape[1], x.shape[-1]
    size = width // self._num_heads

    # Fold scale and offset into the weights that follow.
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
      tf.matmul(distances, self._position.w), [-1, self._num_heads, size]
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

  def project(
    self, memory: tf.Tensor, memory_size: int
  ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Keys and values `[B, H, M, D / H]`, and distances, as `act` reads them.

    Args:
      memory: `[B, M, D]`, inputs of the layer.
      memory_size: M.
    """
    rows = self._attention_norm(memory)
    key, value = tf.split(self._split(_apply(self._key_value, rows)), 2, 1)
    distances = positions(memory_size, 0, memory.shape[-1])[tf.newaxis]
    position = self._split(_apply(self._position, distances))[0]
    return key, value, position

  def act(
    self,
    x: tf.Tensor,
    memory: tf.Tensor,
    key: tf.Tensor,
    value: tf.Tensor,
    position: tf.Tensor,
    bias: tf.Tensor,
    place: tf.Tensor,
    columns: tf.Tensor,
  ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
    """One step of the layer.

    Args:
      x: `[B, D]`.
      memory: `[B, M + 1, D]`, as of `GTrXLActingState`.
      key: `[B, H, M + 1, D / H]`.
      value: `[B, H, M + 1, D / H]`.
      position: `[H, M + 1, D / H]`.
      bias: `[B, 1, 1, M + 1]`, added to the attention's logits.
      place: int32 scalar, the slot of this step.
      columns: int32 `[M + 1]`, each slot's index among the distances.

    Returns:
      `[B, D]`, and memory, key and value with this step.
    """
    normed = self._attention_norm(x)[:, tf.newaxis]
    memory = _put(memory, x[:, tf.newaxis], place)
    query = self._split(_apply(self._query, normed))  # [B, H, 1, D / H]
    new = tf.split(self._split(_apply(self._key_value, normed)), 2, 1)
    key, value = (_put(old, x, place) for x, old in zip(new, (key, value)))

    by_content = tf.matmul(query + self._content_bias, key, transpose_b=True)
    of_distance = tf.transpose(
      (query + self._position_bias)[:, :, 0], [1, 0, 2]
    )
    by_distance = tf.matmul(of_distance, position, transpose_b=True)
    by_distance = tf.gather(
      tf.transpose(by_distance, [1, 0, 2]), columns, axis=2
    )
    logits = by_content + by_distance[:, :, tf.newaxis]
    odds = tf.nn.softmax(logits / np.sqrt(query.shape[-1]) + bias)
    merged = tf.reshape(tf.matmul(odds, value), tf.shape(x))
    x = self._attention_gate(x, tf.nn.relu(self._attended(merged)))
    y = self._mlp_norm(x)
    for linear in self._mlp:
      y = tf.nn.relu(linear(y))
    return self._mlp_gate(x, y), memory, key, value

  def _split(self, x: tf.Tensor) -> tf.Tensor:
    """Splits heads: `[B, S, n * D]` to `[B, n * H, S, D / H]`."""
    size = self._query.w.shape[-1] // self._num_heads
    x = tf.reshape(x, [-1, x.shape[1], x.shape[2] // size, size])
    return tf.transpose(x, [0, 2, 1, 3])

  def _heads(
    self, rows: tf.Tensor, shape: list[int], time_major: bool = True
  ) -> tf.Tensor:
    """Rows `[T * B, n * D]` or `[B * T, n * D]` to `[n, H, B, T, D / H]`."""
    size = rows.shape[-1] // shape[-1] // self._num_heads
    split = tf.reshape(rows, [*shape, self._num_heads, size])
    return tf.transpose(split, [2, 3, *([1, 0] if time_major else [0, 1]), 4])


class _Norm(snt.Module):
  """Scale and offset of a layer normalisation."""

  def __init__(self, width: int, name: str) -> None:
    super().__init__(name=name)
    self._width = width
    self.scale = tf.Variable(tf.ones([width]), name='scale')
    self.offset = tf.Variable(tf.zeros([width]), name='offset')

  def fold(
    self, weights: tf.Tensor, bias: tf.Tensor
  ) -> tuple[tf.Tensor, tf.Tensor]:
    """Folds scale and offset into the linear map that follows.

    Args:
      weights: `[D, N]`, of the scaled and shifted vector.
      bias: `[N]`.
    """
    moved = tf.matmul(self.offset[tf.newaxis], weights)[0]
    return self.scale[:, tf.newaxis] * weights, bias + moved

  def __call__(self, x: tf.Tensor) -> tf.Tensor:
    """Normalises the last dimension."""
    return blocks.normalise(x) * self.scale + self.offset


class _Gate(snt.Module):
  """GRU-type gating in place of a residual sum (GTrXL paper, sec. 3.2)."""

  def __init__(self, width: int, bias: float, name: str) -> None:
    super().__init__(name=name)
    self._bias = tf.Variable(tf.fill([width], float(bias)), name='bias')
    # One product for all gates of the same input.
    self._of_y = snt.Linear(3 * width, with_bias=False, name='of_y')
    self._of_x = snt.Linear(2 * width, with_bias=False, name='of_x')
    self._of_reset = snt.Linear(width, with_bias=False, name='of_reset')

  def initialize(self, x: tf.Tensor) -> None:
    """Creates the variables; `x` is any `[N, D]`."""
    for linear in (self._of_y, self._of_x, self._of_reset):
      linear(x)

  def __call__(self, x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
    """Gates the stream `x` by the submodule's output `y`, `[N, D]` both."""
    weights = self._of_y.w, self._of_x.w, self._of_reset.w
    return blocks.gate(x, y, *weights, self._bias)


def _apply(linear: snt.Linear, x: tf.Tensor) -> tf.Tensor:
  """Applies a linear map to `[B, S, D]` in one product."""
  flat = linear(tf.reshape(x, [-1, x.shape[-1]]))
  return tf.reshape(flat, [-1, x.shape[1], flat.shape[-1]])


def _put(ring: tf.Tensor, new: tf.Tensor, place: tf.Tensor) -> tf.Tensor:
  """Writes `[..., 1, D]` to one slot of `[..., M + 1, D]`.

  XLA updates a variable in place by a scatter, but copies all of it for a
  `tf.where`.
  """
  rows = tf.reshape(ring, [-1, *ring.shape[-2:]])
  count = tf.shape(rows)[0]
  index = tf.stack([tf.range(count), tf.fill([count], place)], 1)
  new = tf.reshape(new, [-1, ring.shape[-1]])
  rows = tf.tensor_scatter_nd_update(rows, index, new)
  return tf.reshape(rows, tf.shape(ring))


def _linear(x: tf.Tensor, weights: tf.Tensor, bias: tf.Tensor) -> tf.Tensor:
  return tf.nn.bias_add(tf.matmul(x, weights), bias)


def positions(memory_size: int, length: int, width: int) -> np.ndarray:
  """Embeddings of the distances M to 0, then T rows of zeros; float32."""
  distance = np.arange(memory_size, -1, -1)[:, np.newaxis]
  angle = distance / 10_000 ** (np.arange(0, width, 2) / width)
  embedding = np.concatenate([np.sin(angle), np.cos(angle)], -1)
  return np.pad(embedding, [[0, length], [0, 0]]).astype(np.float32)

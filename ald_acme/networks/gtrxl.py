"""The Gated Transformer-XL (GTrXL), the default core of learners.

Parisotto et al., 2019, "Stabilizing Transformers for Reinforcement Learning"
(https://arxiv.org/abs/1910.06764), on the relative attention of Dai et al.,
2019, "Transformer-XL" (https://arxiv.org/abs/1901.02860).
"""

from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from ald_acme.networks import blocks
from ald_acme.networks import core
from ald_acme.networks import gtrxl_layer


class GTrXLState(NamedTuple):
  """The last M inputs of every layer.

  Attributes:
    memory: float32 `[B, layers, M, width]`, oldest first.
    valid: float32 `[B, M]`, 1 where the slot belongs to the current episode.
  """

  memory: tf.Tensor
  valid: tf.Tensor


class GTrXLActingState(NamedTuple):
  """A recurrent state in ring buffers of M + 1 slots, with cached projections.

  A step overwrites the oldest slot, so nothing is shifted. Each layer has its
  own leaf, so that reading one copies nothing.

  Attributes:
    memory: `[B, M + 1, width]` per layer, its inputs.
    key: `[B, H, M + 1, width / H]` per layer, projected from its inputs.
    value: as `key`.
    position: `[H, M + 1, width / H]` per layer, the projected distances M to 0.
    valid: `[B, M + 1]`, 1 where the slot belongs to the current episode.
    place: int32 scalar, the slot of the next step.
  """

  memory: tuple[tf.Tensor, ...]
  key: tuple[tf.Tensor, ...]
  value: tuple[tf.Tensor, ...]
  position: tuple[tf.Tensor, ...]
  valid: tf.Tensor
  place: tf.Tensor


class GTrXL(core.UnrollableCore):
  """TrXL-I layer order with GRU gates and a sliding memory of M steps.

  Each step attends to itself and to the last M steps of its episode. No
  gradient flows into the memory that an unroll starts from.
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
  ) -> None:
    """Builds the core.

    Args:
      width: size of inputs and outputs; a multiple of `num_heads`, and even.
      num_layers: number of transformer layers.
      num_heads: attention heads per layer.
      mlp_size: hidden units of each layer's position-wise network.
      memory_size: M, past steps kept per layer.
      gate_bias: b_g of eq. (8) of the paper; with a positive bias, layers start
        near the identity.
      name: name of the module.

    Raises:
      ValueError: if the sizes are inconsistent.
    """
    super().__init__(name=name)
    if width % num_heads or width % 2:
      raise ValueError(
        f'GTrXL width must be even and a multiple of num_heads={num_heads}, '
        f'but received width={width}; try {2 * num_heads * 8}.'
      )
    if memory_size < 1 or num_layers < 1:
      raise ValueError(
        'GTrXL needs at least one layer and one step of memory, but received '
        f'num_layers={num_layers}, memory_size={memory_size}.'
      )
    self._width = width
    self._memory_size = memory_size
    self._layers = [
      gtrxl_layer.Layer(
        width, num_heads, mlp_size, gate_bias, name=f'layer_{i}'
      )
      for i in range(num_layers)
    ]

  @property
  def output_size(self) -> int:
    return self._width

  def initial_state(self, batch_size: int, **kwargs: Any) -> GTrXLState:
    """An empty memory."""
    shape = [batch_size, len(self._layers), self._memory_size, self._width]
    return GTrXLState(
      memory=tf.zeros(shape, **kwargs),
      valid=tf.zeros([batch_size, self._memory_size], **kwargs),
    )

  def unroll(
    self, inputs: tf.Tensor, reset: tf.Tensor, state: GTrXLState
  ) -> tuple[tf.Tensor, GTrXLState]:
    length, batch, memory_size = (
      inputs.shape[0],
      inputs.shape[1],
      self._memory_size,
    )
    batch = batch or tf.shape(inputs)[1]
    episode = tf.cumsum(tf.cast(tf.transpose(reset), tf.int32), axis=1)  # [B,T]
    # Memory slots of earlier episodes get number -1, which matches no step.
    of_memory = tf.cast(state.valid, tf.int32) - 1  # [B, M]
    of_keys = tf.concat([of_memory, episode], axis=1)  # [B, M + T]
    seen = tf.logical_and(
      _window(length, memory_size),
      tf.equal(episode[:, :, tf.newaxis], of_keys[:, tf.newaxis, :]),
    )
    bias = tf.where(seen, 0.0, blocks.MASKED)  # [B, T, M + T]
    distances = gtrxl_layer.positions(memory_size, length, self._width)

    memory = tf.stop_gradient(state.memory)
    rows = blocks.normalise(tf.reshape(memory, [-1, self._width]))
    rows = tf.reshape(rows, tf.shape(memory))
    x = tf.reshape(inputs, [length * batch, self._width])
    streams = []
    for layer, normed in zip(self._layers, tf.unstack(rows, axis=1)):
      streams.append(x)
      x = layer(x, normed, bias, distances)
    next_state = GTrXLState(
      memory=tf.stop_gradient(_slide(memory, tf.stack(streams), length)),
      valid=tf.cast(
        tf.equal(of_keys[:, -memory_size:], episode[:, -1:]), tf.float32
      ),
    )
    return tf.reshape(x, [length, batch, self._width]), next_state

  def acting_state(self, state: GTrXLState) -> GTrXLActingState:
    """Projects the whole memory once, so that each step projects one slot."""
    memory = tf.unstack(state.memory, axis=1)
    projected = [
      layer.project(x, self._memory_size)
      for layer, x in zip(self._layers, memory)
    ]
    key, value, position = zip(*projected)
    one_more = [[0, 0], [0, 1], [0, 0]]
    return GTrXLActingState(
      memory=tuple(tf.pad(x, one_more) for x in memory),
      key=tuple(tf.pad(x, [[0, 0], *one_more]) for x in key),
      value=tuple(tf.pad(x, [[0, 0], *one_more]) for x in value),
      position=position,
      valid=tf.pad(state.valid, one_more[:2]),
      place=tf.constant(self._memory_size),
    )

  def recurrent_state(self, acting_state: GTrXLActingState) -> GTrXLState:
    """The last M slots of the rings, oldest first."""
    order = tf.range(1, self._memory_size + 1) + acting_state.place
    order %= self._memory_size + 1
    return GTrXLState(
      memory=tf.stack(
        [tf.gather(x, order, axis=1) for x in acting_state.memory], axis=1
      ),
      valid=tf.gather(acting_state.valid, order, axis=1),
    )

  def act(
    self, inputs: tf.Tensor, reset: tf.Tensor, acting_state: GTrXLActingState
  ) -> tuple[tf.Tensor, GTrXLActingState]:
    slots, place = self._memory_size + 1, acting_state.place
    own = tf.equal(tf.range(slots), place)  # [M + 1]
    kept = tf.where(reset[:, tf.newaxis], 0.0, acting_state.valid)
    valid = tf.where(own, 1.0, kept)
    bias = tf.where(valid > 0, 0.0, blocks.MASKED)[:, tf.newaxis, tf.newaxis]
    # A slot's distance is place - slot; distances are kept from M to 0.
    columns = (tf.range(slots) - place - 1) % slots

    x, rings = inputs, []
    for layer, memory, key, value, position in zip(
      self._layers, *acting_state[:4]
    ):
      x, *ring = layer.act(
        x, memory, key, value, position, bias, place, columns
      )
      rings.append(ring)
    memory, key, value = zip(*rings)
    following = (place + 1) % slots
    return x, GTrXLActingState(
      memory, key, value, acting_state.position, valid, following
    )


def _slide(memory: tf.Tensor, streams: tf.Tensor, length: int) -> tf.Tensor:
  """The last M inputs of every layer.

  Args:
    memory: `[B, layers, M, D]`, before the unroll.
    streams: `[layers, T * B, D]`, of the unroll.
    length: T.
  """
  num_layers, size, width = memory.shape[1:]
  streams = tf.reshape(streams, [num_layers, length, -1, width])
  new = tf.transpose(streams[:, -size:], [2, 0, 1, 3])
  return tf.concat([memory[:, :, length:], new], axis=2)


def _window(length: int, memory_size: int) -> np.ndarray:
  """Bool `[T, M + T]`: a step attends to itself and the M steps before it."""
  step = np.arange(length)[:, np.newaxis] + memory_size
  key = np.arange(memory_size + length)
  return (key <= step) & (key >= step - memory_size)

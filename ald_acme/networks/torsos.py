"""Torsos: map observation, action and reward to a feature vector."""

from collections.abc import Callable, Sequence
import functools
from typing import Any

import sonnet as snt
import tensorflow as tf
import tree

from ald_acme import distributions
from ald_acme import types

_LEAST_SIDE = 16  # Of an image; smaller arrays are gridworld windows.


def is_image(shape: Sequence[int], dtype: Any) -> bool:
  """Whether a leaf of the observation is an image, read by convolutions.

  Args:
    shape: of one observation; an image's is `[height, width, channels]`, with
      at least 16 rows and columns.
    dtype: an image's is uint8 or floating; other integers are categories.
  """
  dtype = tf.as_dtype(dtype)
  return (
    len(shape) == 3
    and min(shape[:2]) >= _LEAST_SIDE
    and (dtype == tf.uint8 or dtype.is_floating)
  )


class Torso(snt.Module):
  """A dense layer over observation, previous action and previous reward.

  Images pass through convolutions and other leaves are flattened; the results
  are concatenated.
  """

  def __init__(
    self,
    size: int,
    distribution: distributions.Distribution,
    image_channels: int = 16,
    image_torso: str = 'shallow',
    name: str | None = None,
  ) -> None:
    """Builds the torso.

    Args:
      size: size of the features.
      distribution: encodes the actions.
      image_channels: `channels` of the image torso.
      image_torso: 'shallow' for `ShallowImageTorso`, 'residual' for
        `ResidualImageTorso`.
      name: name of the module.
    """
    super().__init__(name=name)
    self._distribution = distribution
    self._make_image_torso = functools.partial(
      _IMAGE_TORSOS[image_torso], image_channels
    )
    self._linear = snt.Linear(size)

  @snt.once
  def _initialize(self, leaves: Sequence[tf.Tensor]) -> None:
    self._image_torsos = [
      self._make_image_torso()
      for leaf in leaves
      if is_image(leaf.shape[1:], leaf.dtype)
    ]

  def __call__(self, inputs: types.Inputs) -> tf.Tensor:
    """Maps inputs of shape `[N, ...]` to float32 `[N, size]`."""
    leaves = tree.flatten(inputs.observation)
    self._initialize(leaves)
    image_torsos = iter(self._image_torsos)
    parts = [
      next(image_torsos)(leaf)
      if is_image(leaf.shape[1:], leaf.dtype)
      else tf.cast(snt.flatten(leaf), tf.float32)
      for leaf in leaves
    ]
    # There is no previous action at the start of an episode: zeros.
    action = self._distribution.encode(inputs.action)
    start = inputs.start_of_episode[:, tf.newaxis]
    parts.append(tf.where(start, tf.zeros_like(action), action))
    parts.append(_compress(inputs.reward)[:, tf.newaxis])
    return tf.nn.relu(self._linear(tf.concat(parts, axis=-1)))


def _compress(reward: tf.Tensor) -> tf.Tensor:
  """sign(r) log(1 + |r|), which compresses large rewards.

  Uses only operations that TensorFlow Lite supports.
  """
  size = tf.math.log(1.0 + tf.abs(reward))
  return tf.where(reward < 0.0, -size, size)


class ShallowImageTorso(snt.Module):
  """Two convolutions with strides, as in IMPALA's shallow architecture.

  Espeholt et al., 2018 (https://arxiv.org/abs/1802.01561), figure 3, left, up
  to the fully connected layer.
  """

  def __init__(self, channels: int, name: str | None = None) -> None:
    """Builds the torso.

    Args:
      channels: of the first convolution; the second has twice as many. 16 in
        the paper.
      name: name of the module.
    """
    super().__init__(name=name)
    self._first = snt.Conv2D(channels, 8, 4, name='first')
    self._second = snt.Conv2D(2 * channels, 4, 2, name='second')

  def __call__(self, image: tf.Tensor) -> tf.Tensor:
    """Maps `[N, height, width, C]` to float32 `[N, D]`; bytes to [0, 1]."""
    x = tf.nn.relu(self._first(_scaled(image)))
    return snt.flatten(tf.nn.relu(self._second(x)))


class ResidualImageTorso(snt.Module):
  """Residual convolutions as in IMPALA's large architecture.

  Espeholt et al., 2018 (https://arxiv.org/abs/1802.01561), figure 3, right, up
  to the fully connected layer.
  """

  def __init__(self, channels: int, name: str | None = None) -> None:
    """Builds the torso.

    Args:
      channels: of the first of three sections; the others have twice as many.
        16 in the paper; the work grows with its square.
      name: name of the module.
    """
    super().__init__(name=name)
    self._sections = [
      _Section(channels * factor, name=f'section_{i}')
      for i, factor in enumerate((1, 2, 2))
    ]

  def __call__(self, image: tf.Tensor) -> tf.Tensor:
    """Maps `[N, height, width, C]` to float32 `[N, D]`; bytes to [0, 1]."""
    x = _scaled(image)
    for section in self._sections:
      x = section(x)
    return snt.flatten(tf.nn.relu(x))


class _Section(snt.Module):
  """A convolution, pooling that halves the image, and two residual blocks."""

  def __init__(self, channels: int, name: str) -> None:
    super().__init__(name=name)
    self._first = snt.Conv2D(channels, 3, name='first')
    self._blocks = [
      [snt.Conv2D(channels, 3, name=f'block_{i}_{j}') for j in range(2)]
      for i in range(2)
    ]

  def __call__(self, x: tf.Tensor) -> tf.Tensor:
    x = tf.nn.max_pool2d(self._first(x), 3, 2, 'SAME')
    for block in self._blocks:
      y = x
      for convolution in block:
        y = convolution(tf.nn.relu(y))
      x += y
    return x


def _scaled(image: tf.Tensor) -> tf.Tensor:
  x = tf.cast(image, tf.float32)
  return x / 255.0 if image.dtype == tf.uint8 else x


_IMAGE_TORSOS: dict[str, Callable[[int], snt.Module]] = {
  'shallow': ShallowImageTorso,
  'residual': ResidualImageTorso,
}

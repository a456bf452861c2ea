"""Nested actions, discrete and continuous mixed."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
import tree

from ald_acme.distributions import base

_Array = Any  # A numpy array or a tensor.


class Joint(base.Distribution):
  """The product of independent distributions, one for each leaf of a nest.

  Parameters, samples and features are those of the leaves, concatenated. A
  sample is one vector: int32 if all leaves are discrete, otherwise float32,
  which represents the indices exactly.
  """

  def __init__(
    self, leaves: Sequence[base.Distribution], action_spec: Any
  ) -> None:
    """Joins distributions.

    Args:
      leaves: their distributions, in the order of `tree.flatten`.
      action_spec: the environment's action spec, a nest.
    """
    self._leaves, self._action_spec = list(leaves), action_spec
    self._sizes = [int(np.prod(leaf.shape)) for leaf in leaves]
    self.num_parameters = sum(leaf.num_parameters for leaf in leaves)
    self.num_features = sum(leaf.num_features for leaf in leaves)
    self.shape = (sum(self._sizes),)
    self.dtype = np.result_type(*[np.dtype(leaf.dtype) for leaf in leaves]).type
    if self.dtype == np.float64:  # From int32 and float32.
      self.dtype = np.float32
    names = [name for leaf in leaves for name in leaf.trust_regions]
    self.trust_regions = tuple(dict.fromkeys(names))

  def sample(
    self, parameters: np.ndarray, rng: np.random.Generator
  ) -> np.ndarray:
    return self._join(leaf.sample(p, rng) for leaf, p in self._with(parameters))

  def mode(self, parameters: np.ndarray) -> np.ndarray:
    return self._join(leaf.mode(p) for leaf, p in self._with(parameters))

  def to_environment(self, sample: np.ndarray) -> base.Nest:
    return tree.unflatten_as(
      self._action_spec,
      [leaf.to_environment(x) for leaf, x in self._split_sample(sample)],
    )

  def log_probability(
    self, parameters: tf.Tensor, sample: tf.Tensor
  ) -> tf.Tensor:
    return tf.add_n(
      [
        leaf.log_probability(p, x)
        for (leaf, p), (_, x) in zip(
          self._with(parameters), self._split_sample(sample)
        )
      ]
    )

  def entropy(self, parameters: tf.Tensor) -> tf.Tensor:
    return tf.add_n([leaf.entropy(p) for leaf, p in self._with(parameters)])

  def kl(self, p: tf.Tensor, q: tf.Tensor) -> tf.Tensor:
    return tf.add_n(
      [
        leaf.kl(own_p, own_q)
        for (leaf, own_p), (_, own_q) in zip(self._with(p), self._with(q))
      ]
    )

  def trust_region_kls(self, p: tf.Tensor, q: tf.Tensor) -> list[tf.Tensor]:
    sums: dict[str, Any] = {}
    for (leaf, own_p), (_, own_q) in zip(self._with(p), self._with(q)):
      kls = leaf.trust_region_kls(own_p, own_q)
      for name, kl in zip(leaf.trust_regions, kls):
        sums[name] = sums[name] + kl if name in sums else kl
    return [sums[name] for name in self.trust_regions]

  def encode(self, sample: tf.Tensor) -> tf.Tensor:
    return tf.concat(
      [leaf.encode(x) for leaf, x in self._split_sample(sample)], axis=-1
    )

  @property
  def mask_size(self) -> int:
    return sum(leaf.mask_size for leaf in self._leaves)

  def mask(self, parameters: tf.Tensor, legal: tf.Tensor) -> tf.Tensor:
    masked, begin = [], 0
    for leaf, p in self._with(parameters):
      masked.append(leaf.mask(p, legal[..., begin : begin + leaf.mask_size]))
      begin += leaf.mask_size
    return tf.concat(masked, axis=-1)

  def odds(
    self, parameters: np.ndarray, sample: np.ndarray
  ) -> tuple[np.ndarray, np.ndarray]:
    odds, places, first = [], [], 0
    for (leaf, p), (_, x) in zip(
      self._with(parameters), self._split_sample(sample)
    ):
      own_odds, own_places = leaf.odds(p, x)
      odds.append(own_odds)
      places.append(first + own_places)
      first += own_odds.shape[-1]
    return np.concatenate(odds, axis=-1), np.concatenate(places, axis=-1)

  def describe(self) -> dict[str, Any]:
    paths = [path for path, _ in tree.flatten_with_path(self._action_spec)]
    return {
      'kind': 'joint',
      'parts': [
        {'path': list(path), **leaf.describe()}
        for path, leaf in zip(paths, self._leaves)
      ],
    }

  def _with(
    self, parameters: _Array
  ) -> Iterable[tuple[base.Distribution, _Array]]:
    """Pairs of each leaf and its parameters."""
    sizes = [leaf.num_parameters for leaf in self._leaves]
    return zip(self._leaves, _divide(parameters, sizes))

  def _split_sample(
    self, sample: _Array
  ) -> Iterable[tuple[base.Distribution, _Array]]:
    """Pairs of each leaf and its part of a sample, in its shape and dtype."""
    for leaf, x in zip(self._leaves, _divide(sample, self._sizes)):
      cast: Callable = tf.cast if tf.is_tensor(x) else np.ndarray.astype
      yield leaf, cast(x if leaf.shape else x[..., 0], leaf.dtype)

  def _join(self, samples: Iterable[np.ndarray]) -> np.ndarray:
    return np.concatenate(
      [
        x if leaf.shape else x[..., np.newaxis]
        for leaf, x in zip(self._leaves, samples)
      ],
      axis=-1,
    ).astype(self.dtype)


def _divide(x: _Array, sizes: Sequence[int]) -> list[_Array]:
  """Splits the last dimension."""
  if tf.is_tensor(x):
    return tf.split(x, sizes, axis=-1)
  return np.split(x, np.cumsum(sizes)[:-1], axis=-1)

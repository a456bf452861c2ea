"""The interface of distributions over actions."""

import abc
from typing import Any

import numpy as np
import tensorflow as tf

Nest = Any


class Distribution(abc.ABC):
  """A family of distributions over actions with P parameters.

  It holds no variables: the parameters `[..., P]` are a network's output, and
  every method broadcasts over their leading dimensions. A *sample* is an action
  as unrolls store it and networks read it, one array of `shape` and `dtype`;
  `to_environment` converts it to the action spec. Both forms are needed because
  squashing to bounds cannot be inverted precisely.

  `sample` and `mode` use numpy, for acting; the other methods TensorFlow.

  Attributes:
    num_parameters: P.
    num_features: F, length of an encoded action.
    shape: shape of one sample; () for a single number.
    dtype: dtype of samples, int32 or float32.
    trust_regions: names of the terms that `trust_region_kls` returns.
  """

  num_parameters: int
  num_features: int
  shape: tuple[int, ...]
  dtype: type[np.generic]
  trust_regions: tuple[str, ...]

  @abc.abstractmethod
  def sample(
    self, parameters: np.ndarray, rng: np.random.Generator
  ) -> np.ndarray:
    """Draws samples: float32 `[..., P]` to `[..., *shape]`."""

  @abc.abstractmethod
  def mode(self, parameters: np.ndarray) -> np.ndarray:
    """The deterministic policy's action; shapes as `sample`."""

  @abc.abstractmethod
  def to_environment(self, sample: np.ndarray) -> Nest:
    """Converts samples to the action spec: a nest of `[..., *leaf.shape]`."""

  @abc.abstractmethod
  def log_probability(
    self, parameters: tf.Tensor, sample: tf.Tensor
  ) -> tf.Tensor:
    """log pi(a), or log density: `[..., P]`, `[..., *shape]` to `[...]`."""

  @abc.abstractmethod
  def entropy(self, parameters: tf.Tensor) -> tf.Tensor:
    """Entropy in nats, `[..., P]` to `[...]`; differential if continuous."""

  @abc.abstractmethod
  def kl(self, p: tf.Tensor, q: tf.Tensor) -> tf.Tensor:
    """KL(p || q) in nats, `[..., P]` twice to `[...]`."""

  def trust_region_kls(self, p: tf.Tensor, q: tf.Tensor) -> list[tf.Tensor]:
    """KLs that V-MPO bounds separately, one `[...]` per `trust_regions`."""
    return [self.kl(p, q)]

  @abc.abstractmethod
  def encode(self, sample: tf.Tensor) -> tf.Tensor:
    """Encodes samples as network inputs, `[..., *shape]` to `[..., F]`."""

  @abc.abstractmethod
  def mask(self, parameters: tf.Tensor, legal: tf.Tensor) -> tf.Tensor:
    """Parameters that give illegal actions probability 0.

    Args:
      parameters: `[..., P]`.
      legal: bool `[..., mask_size]`, true for legal values.
    """

  @property
  def mask_size(self) -> int:
    """Size of the action mask; 0 if the distribution cannot be masked."""
    return 0

  @abc.abstractmethod
  def odds(
    self, parameters: np.ndarray, sample: np.ndarray
  ) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of R ranges of actions, for plots.

    Args:
      parameters: float32 `[..., P]`.
      sample: `[..., *shape]`.

    Returns:
      Probabilities, or densities scaled to [0, 1], `[..., R]`, and the
      positions of the sample's K numbers among the ranges, float `[..., K]`.
    """

  @abc.abstractmethod
  def describe(self) -> dict[str, Any]:
    """Everything that sampling needs, as JSON values."""

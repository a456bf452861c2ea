"""The interface of distributions over actions."""

import abc
from typing import Any

import numpy as np
import tensorflow as tf

Nest = Any


class Distribution(abc.ABC):
  """A family of distributions over actions, given by P parameters.

  It holds no variables: the parameters `[..., P]` are a network's output, and
  every method broadcasts over their leading dimensions. A *sample* is an action
  in the form that unrolls hold and networks read, one array of `shape` and
  `dtype`; `to_environment` turns it into the form of the action spec. The two
  differ so that no information is lost: what a bounded action was before it was
  squashed cannot be computed from the action.

  Sampling and `mode` are numpy, for acting; the rest is TensorFlow.

  Attributes:
    num_parameters: P.
    num_features: F, length of an encoded action.
    shape: of one sample; () for a single number.
    dtype: of samples, int32 or float32.
    trust_regions: names of the terms that `trust_region_kls` gives.
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
    """The action of a deterministic policy, as `sample`."""

  @abc.abstractmethod
  def to_environment(self, sample: np.ndarray) -> Nest:
    """Samples as the action spec has them, a nest of `[..., *leaf.shape]`."""

  @abc.abstractmethod
  def log_probability(
    self, parameters: tf.Tensor, sample: tf.Tensor
  ) -> tf.Tensor:
    """log pi(a), or log density: `[..., P]`, `[..., *shape]` to `[...]`."""

  @abc.abstractmethod
  def entropy(self, parameters: tf.Tensor) -> tf.Tensor:
    """In nats, `[..., P]` to `[...]`; differential where it is continuous."""

  @abc.abstractmethod
  def kl(self, p: tf.Tensor, q: tf.Tensor) -> tf.Tensor:
    """KL(p || q) in nats, `[..., P]` twice to `[...]`."""

  def trust_region_kls(self, p: tf.Tensor, q: tf.Tensor) -> list[tf.Tensor]:
    """KLs that V-MPO bounds separately, one `[...]` per `trust_regions`."""
    return [self.kl(p, q)]

  @abc.abstractmethod
  def encode(self, sample: tf.Tensor) -> tf.Tensor:
    """Samples as a network reads them, `[..., *shape]` to `[..., F]`."""

  @abc.abstractmethod
  def mask(self, parameters: tf.Tensor, legal: tf.Tensor) -> tf.Tensor:
    """Parameters of the same distribution without its illegal actions.

    Args:
      parameters: `[..., P]`.
      legal: bool `[..., mask_size]`, true where a value may be chosen.
    """

  @property
  def mask_size(self) -> int:
    """How many flags say which values are legal; 0 where none can."""
    return 0

  @abc.abstractmethod
  def odds(
    self, parameters: np.ndarray, sample: np.ndarray
  ) -> tuple[np.ndarray, np.ndarray]:
    """For drawing: how likely each of R ranges of actions is.

    Args:
      parameters: float32 `[..., P]`.
      sample: `[..., *shape]`.

    Returns:
      Numbers of 0 to 1, `[..., R]`, and the places of the sample's K numbers
      among the ranges, float `[..., K]`.
    """

  @abc.abstractmethod
  def describe(self) -> dict[str, Any]:
    """Everything that sampling needs, as plain values for JSON."""

"""Discrete actions: one number, or several independent ones."""

from typing import Any

import numpy as np
import tensorflow as tf

from ald_acme.distributions import base
from ald_acme.environments.interface import actions

_NEVER = -1e9  # A finite logit whose probability is 0 in float32.


class Categorical(base.Distribution):
  """One integer; the parameters are the logits of its values.

  Samples are int32 scalars that count from 0.
  """

  trust_regions = ('policy',)
  dtype = np.int32
  shape = ()

  def __init__(self, part: actions.Discrete) -> None:
    (self._size,), (self._first,) = part.sizes.tolist(), part.first.tolist()
    self._spec = part.spec
    self.num_parameters = self.num_features = self._size

  def sample(
    self, parameters: np.ndarray, rng: np.random.Generator
  ) -> np.ndarray:
    return _argmax(parameters + _gumbel(parameters.shape, rng))

  def mode(self, parameters: np.ndarray) -> np.ndarray:
    return _argmax(parameters)

  def to_environment(self, sample: np.ndarray) -> base.Nest:
    action = (sample + self._first).astype(self._spec.dtype)
    return action.reshape(*sample.shape, *self._spec.shape)

  def log_probability(
    self, parameters: tf.Tensor, sample: tf.Tensor
  ) -> tf.Tensor:
    return -tf.nn.sparse_softmax_cross_entropy_with_logits(sample, parameters)

  def entropy(self, parameters: tf.Tensor) -> tf.Tensor:
    return _entropy(parameters)

  def kl(self, p: tf.Tensor, q: tf.Tensor) -> tf.Tensor:
    return _kl(p, q)

  def encode(self, sample: tf.Tensor) -> tf.Tensor:
    return tf.one_hot(sample, self._size)

  @property
  def mask_size(self) -> int:
    return self._size

  def mask(self, parameters: tf.Tensor, legal: tf.Tensor) -> tf.Tensor:
    return tf.where(legal, parameters, _NEVER)

  def describe(self) -> dict[str, Any]:
    return {'kind': 'categorical', 'sizes': [self._size], **_form(self)}

  def odds(
    self, parameters: np.ndarray, sample: np.ndarray
  ) -> tuple[np.ndarray, np.ndarray]:
    return _softmax(parameters), sample[..., np.newaxis]


class Categoricals(base.Distribution):
  """K independent integers; the parameters are their concatenated logits.

  Samples are int32 `[K]` and count from 0.
  """

  trust_regions = ('policy',)
  dtype = np.int32

  def __init__(self, part: actions.Discrete) -> None:
    sizes = part.sizes
    self._sizes, self._first, self._spec = sizes, part.first, part.spec
    self.num_parameters = self.num_features = int(sizes.sum())
    self.shape = (len(sizes),)
    self._most = int(sizes.max())
    # Indices of each integer's logits, `[K, most]`; padding where not
    # `_exists`.
    columns = np.arange(self._most)
    self._exists = columns < sizes[:, np.newaxis]
    begins = (np.cumsum(sizes) - sizes)[:, np.newaxis]
    self._where = np.where(self._exists, begins + columns, 0)

  def sample(
    self, parameters: np.ndarray, rng: np.random.Generator
  ) -> np.ndarray:
    return self.mode(parameters + _gumbel(parameters.shape, rng))

  def mode(self, parameters: np.ndarray) -> np.ndarray:
    logits = np.where(self._exists, parameters[..., self._where], -np.inf)
    return _argmax(logits)

  def to_environment(self, sample: np.ndarray) -> base.Nest:
    action = (sample + self._first).astype(self._spec.dtype)
    return action.reshape(*sample.shape[:-1], *self._spec.shape)

  def log_probability(
    self, parameters: tf.Tensor, sample: tf.Tensor
  ) -> tf.Tensor:
    log_pi = -tf.nn.sparse_softmax_cross_entropy_with_logits(
      sample, self._split(parameters)
    )
    return tf.reduce_sum(log_pi, axis=-1)

  def entropy(self, parameters: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(_entropy(self._split(parameters)), axis=-1)

  def kl(self, p: tf.Tensor, q: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(_kl(self._split(p), self._split(q)), axis=-1)

  def encode(self, sample: tf.Tensor) -> tf.Tensor:
    flags = tf.one_hot(sample, self._most)
    if self._exists.all():
      return tf.reshape(
        flags, tf.concat([tf.shape(flags)[:-2], [self.num_features]], 0)
      )
    rows = [flags[..., i, : int(size)] for i, size in enumerate(self._sizes)]
    return tf.concat(rows, axis=-1)

  def _split(self, parameters: tf.Tensor) -> tf.Tensor:
    """The logits of each integer, padded, `[..., K, most]`."""
    if self._exists.all():
      shape = [*self.shape, self._most]
      return tf.reshape(
        parameters, tf.concat([tf.shape(parameters)[:-1], shape], 0)
      )
    logits = tf.gather(parameters, self._where, axis=-1)
    return tf.where(self._exists, logits, _NEVER)

  @property
  def mask_size(self) -> int:
    return self.num_parameters

  def mask(self, parameters: tf.Tensor, legal: tf.Tensor) -> tf.Tensor:
    return tf.where(legal, parameters, _NEVER)

  def describe(self) -> dict[str, Any]:
    return {
      'kind': 'categorical',
      'sizes': self._sizes.tolist(),
      **_form(self),
    }

  def odds(
    self, parameters: np.ndarray, sample: np.ndarray
  ) -> tuple[np.ndarray, np.ndarray]:
    ends = np.cumsum(self._sizes)
    parts = np.split(parameters, ends[:-1], axis=-1)
    odds = np.concatenate([_softmax(part) for part in parts], axis=-1)
    return odds, sample + ends - self._sizes


def _form(distribution: Categorical | Categoricals) -> dict[str, Any]:
  """How `to_environment` converts samples, as JSON values."""
  spec = distribution._spec
  return {
    'first': np.ravel(distribution._first).tolist(),
    'shape': list(spec.shape),
    'dtype': spec.dtype.name,
  }


def _gumbel(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
  """Noise of the Gumbel-max trick."""
  return rng.gumbel(size=shape).astype(np.float32)


def _softmax(logits: np.ndarray) -> np.ndarray:
  odds = np.exp(logits - logits.max(-1, keepdims=True))
  return odds / odds.sum(-1, keepdims=True)


def _argmax(logits: np.ndarray) -> np.ndarray:
  return np.argmax(logits, -1).astype(np.int32)


def _entropy(logits: tf.Tensor) -> tf.Tensor:
  log_pi = tf.nn.log_softmax(logits)
  return -tf.reduce_sum(tf.exp(log_pi) * log_pi, axis=-1)


def _kl(p_logits: tf.Tensor, q_logits: tf.Tensor) -> tf.Tensor:
  log_p, log_q = tf.nn.log_softmax(p_logits), tf.nn.log_softmax(q_logits)
  return tf.reduce_sum(tf.exp(log_p) * (log_p - log_q), axis=-1)

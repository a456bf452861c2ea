"""Bounded continuous actions: a Gaussian squashed by tanh."""

import math
from typing import Any

import numpy as np
import tensorflow as tf

from ald_acme.distributions import base
from ald_acme.environments.interface import actions

# Bounds and initial value of the standard deviation.
_LEAST, _MOST, _FIRST = 0.01, 1.5, 0.7
_FARTHEST = 3.0  # Bound of the mean; tanh(3) = 0.995.
_RANGES = 16  # Bins per number in plots.
# Nodes and weights of E[f(z)], z standard normal (Gauss-Hermite).
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(32)
_WEIGHTS = _WEIGHTS / _WEIGHTS.sum()


class SquashedGaussian(base.Distribution):
  """Independent Gaussians, squashed by tanh and scaled to the bounds.

  Of the 2 D parameters x, D give the means, 3 tanh(x / 3), and D the standard
  deviations, 0.01 + 1.49 sigmoid(x - 0.15). Without these bounds both drift
  into the saturated part of tanh early in training: all actions are then at the
  bounds, and exploration ends. Samples are float32 `[D]` *before* squashing,
  because the density of an action near a bound cannot be computed from the
  action. Squashing is a bijection, so KLs and density ratios are those of the
  Gaussians, in closed form. Density and entropy are those of the environment's
  action: entropy is largest for actions uniform between the bounds, so an
  entropy bonus does not reward ever larger deviations, as it does with clipped
  actions. (On Pendulum-v1 clipped actions had learned nothing by 109,000
  frames; these had.)
  """

  trust_regions = ('mean', 'covariance')
  dtype = np.float32

  def __init__(self, part: actions.Continuous) -> None:
    self._low, self._high = part.low, part.high
    self._spec = part.spec
    size = len(part.low)
    self.shape = (size,)
    self.num_parameters, self.num_features = 2 * size, size
    self._log_scale = float(np.log((part.high - part.low) / 2).sum())

  def sample(
    self, parameters: np.ndarray, rng: np.random.Generator
  ) -> np.ndarray:
    mean, deviation = _moments(parameters)
    noise = rng.standard_normal(mean.shape).astype(np.float32)
    return mean + deviation * noise

  def mode(self, parameters: np.ndarray) -> np.ndarray:
    """The median, which is the squashed mean."""
    mean, _ = _moments(parameters)
    return mean

  def to_environment(self, sample: np.ndarray) -> base.Nest:
    middle, half = (self._high + self._low) / 2, (self._high - self._low) / 2
    action = middle + half * np.tanh(sample.astype(np.float64))
    spec = self._spec
    shaped = action.reshape(*sample.shape[:-1], *spec.shape).astype(spec.dtype)
    # Rounding may exceed a bound.
    return np.clip(shaped, spec.minimum, spec.maximum).astype(spec.dtype)

  def log_probability(
    self, parameters: tf.Tensor, sample: tf.Tensor
  ) -> tf.Tensor:
    mean, deviation = self._split(parameters)
    z = (sample - mean) / deviation
    log_density = -0.5 * tf.square(z) - tf.math.log(deviation) - _HALF_LOG_TAU
    log_density -= _log_slope(sample)
    return tf.reduce_sum(log_density, axis=-1) - self._log_scale

  def entropy(self, parameters: tf.Tensor) -> tf.Tensor:
    mean, deviation = self._split(parameters)
    points = mean[..., tf.newaxis] + deviation[..., tf.newaxis] * tf.constant(
      _NODES, tf.float32
    )
    weights = tf.constant(_WEIGHTS, tf.float32)
    squashing = tf.reduce_sum(weights * _log_slope(points), axis=-1)
    entropies = 0.5 + _HALF_LOG_TAU + tf.math.log(deviation) + squashing
    return tf.reduce_sum(entropies, axis=-1) + self._log_scale

  def kl(self, p: tf.Tensor, q: tf.Tensor) -> tf.Tensor:
    mean_p, deviation_p = self._split(p)
    mean_q, deviation_q = self._split(q)
    of_means = _kl_of_means(mean_p, mean_q, deviation_q)
    return of_means + _kl_of_deviations(deviation_p, deviation_q)

  def trust_region_kls(self, p: tf.Tensor, q: tf.Tensor) -> list[tf.Tensor]:
    """KLs of a change of the mean alone, and of the covariance alone.

    Song et al., 2020, appendix; both are relative to p, the old policy.
    """
    mean_p, deviation_p = self._split(p)
    mean_q, deviation_q = self._split(q)
    return [
      _kl_of_means(mean_p, mean_q, deviation_p),
      _kl_of_deviations(deviation_p, deviation_q),
    ]

  def encode(self, sample: tf.Tensor) -> tf.Tensor:
    return tf.tanh(sample)

  def mask(self, parameters: tf.Tensor, legal: tf.Tensor) -> tf.Tensor:
    del legal  # `mask_size` is 0.
    return parameters

  def odds(
    self, parameters: np.ndarray, sample: np.ndarray
  ) -> tuple[np.ndarray, np.ndarray]:
    mean, deviation = (x[..., np.newaxis] for x in _moments(parameters))
    # Densities at the middle of each bin, `[..., D, ranges]`.
    middle = (np.arange(_RANGES) + 0.5) / _RANGES * 2 - 1
    z = (np.arctanh(middle) - mean) / deviation
    log_density = -0.5 * z**2 - np.log1p(-(middle**2))
    odds = np.exp(log_density - log_density.max(-1, keepdims=True))
    place = (np.tanh(sample) + 1) / 2 * _RANGES - 0.5
    first = _RANGES * np.arange(self.num_features)
    return odds.reshape(*odds.shape[:-2], -1), first + place

  def _split(self, parameters: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Means and standard deviations, `[..., D]` each."""
    mean, raw = tf.split(parameters, 2, axis=-1)
    mean = _FARTHEST * tf.tanh(mean / _FARTHEST)
    return mean, _LEAST + (_MOST - _LEAST) * tf.sigmoid(raw + _SHIFT)

  def describe(self) -> dict[str, Any]:
    return {
      'kind': 'squashed_gaussian',
      'low': self._low.tolist(),
      'high': self._high.tolist(),
      'farthest_mean': _FARTHEST,
      'least_deviation': _LEAST,
      'most_deviation': _MOST,
      'deviation_shift': _SHIFT,
      'shape': list(self._spec.shape),
      'dtype': self._spec.dtype.name,
    }


_HALF_LOG_TAU = 0.5 * math.log(2 * math.pi)
# A parameter of 0 gives the initial standard deviation.
_SHIFT = math.log((_FIRST - _LEAST) / (_MOST - _FIRST))


def _moments(parameters: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """Means and standard deviations, float32."""
  mean, raw = np.split(parameters, 2, axis=-1)
  mean = _FARTHEST * np.tanh(mean / _FARTHEST)
  share = 0.5 + 0.5 * np.tanh(0.5 * (raw + _SHIFT))  # The sigmoid.
  deviation = _LEAST + (_MOST - _LEAST) * share
  return mean.astype(np.float32), deviation.astype(np.float32)


def _log_slope(x: tf.Tensor) -> tf.Tensor:
  """log(d tanh(x) / dx), accurate where tanh saturates."""
  return 2.0 * (math.log(2.0) - x - tf.nn.softplus(-2.0 * x))


def _kl_of_means(
  mean_p: tf.Tensor, mean_q: tf.Tensor, deviation: tf.Tensor
) -> tf.Tensor:
  return 0.5 * tf.reduce_sum(tf.square((mean_p - mean_q) / deviation), axis=-1)


def _kl_of_deviations(
  deviation_p: tf.Tensor, deviation_q: tf.Tensor
) -> tf.Tensor:
  ratio = deviation_p / deviation_q
  return tf.reduce_sum(
    0.5 * (tf.square(ratio) - 1.0) - tf.math.log(ratio), axis=-1
  )

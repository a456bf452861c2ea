"""Counter-based random numbers: a function of seed and coordinates."""

import numpy as np

_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)


def uniform(seed: int, *coordinates: np.ndarray | int) -> np.ndarray:
  """Uniform numbers in [0, 1), one for each point of the coordinates.

  The same seed and coordinates always give the same number, so an episode does
  not depend on the batch size. The generator is SplitMix64 (Steele et al.,
  2014), chained over the coordinates.

  Args:
    seed: any integer.
    *coordinates: integers or integer arrays that broadcast together, such as
      (environment, episode, draw).

  Returns:
    float64, of the broadcast shape of the coordinates.
  """
  with np.errstate(over='ignore'):  # Overflow is intended.
    state = _mix(np.atleast_1d(np.uint64(seed % 2**64)) + _GAMMA)
    for coordinate in coordinates:
      state = _mix(_mix(state + _GAMMA) ^ np.asarray(coordinate, np.uint64))
  shape = np.broadcast_shapes(*map(np.shape, coordinates))
  return ((state >> np.uint64(11)).astype(np.float64) / 2.0**53).reshape(shape)


def integers(
  seed: int, high: np.ndarray | int, *coordinates: np.ndarray | int
) -> np.ndarray:
  """Uniform integers in [0, high), as `uniform`."""
  return (uniform(seed, *coordinates) * high).astype(np.int64)


def _mix(x: np.ndarray) -> np.ndarray:
  x = (x ^ (x >> np.uint64(30))) * _MIX_1
  x = (x ^ (x >> np.uint64(27))) * _MIX_2
  return x ^ (x >> np.uint64(31))

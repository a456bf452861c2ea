"""Statistics of learning curves over a few seeds."""

from typing import NamedTuple
import warnings

import numpy as np

_RESAMPLES = 2_000
_SEED = 0  # The same runs give the same intervals.


class Estimate(NamedTuple):
  """A mean over seeds and its bootstrap interval, float64 arrays `[...]`.

  The interval is NaN if fewer than two seeds have a value.
  """

  mean: np.ndarray
  low: np.ndarray
  high: np.ndarray


def estimate(values: np.ndarray, level: float = 0.95) -> Estimate:
  """The mean over seeds with a percentile interval.

  Whole seeds are drawn with replacement, so that the points of a curve stay
  together.

  Args:
    values: float `[seeds, ...]`; nan where there is no value.
    level: share of the resampled means that the interval holds.

  Returns:
    An estimate of shape `[...]`.
  """
  values = np.asarray(values, np.float64)
  seeds = len(values)
  low = high = np.full(values.shape[1:], np.nan)
  with warnings.catch_warnings():  # Means of empty slices are NaN.
    warnings.simplefilter('ignore', RuntimeWarning)
    mean = np.nanmean(values, axis=0)
    if seeds > 1:
      rng = np.random.default_rng(_SEED)
      drawn = values[rng.integers(seeds, size=(_RESAMPLES, seeds))]
      tail = 100 * (1 - level) / 2
      low, high = np.nanpercentile(
        np.nanmean(drawn, axis=1), [tail, 100 - tail], axis=0
      )
  enough = np.isfinite(values).sum(axis=0) > 1
  return Estimate(
    mean, np.where(enough, low, np.nan), np.where(enough, high, np.nan)
  )


def not_undone(xs: np.ndarray) -> np.ndarray:
  """Mask of a log's rows that were not undone, bool `[n]`.

  A resumed run returns to its last checkpoint, which undoes the rows after
  that.

  Args:
    xs: float `[n]`, a count that grows along the log; NaN is ignored.
  """
  ahead = np.fmin.accumulate(xs[::-1])[::-1]
  return xs <= ahead


def carry_forward(
  xs: np.ndarray, ys: np.ndarray, grid: np.ndarray
) -> np.ndarray:
  """A curve on a grid: at each point the last known value.

  Args:
    xs: float `[n]`, ascending; where each value became known.
    ys: float `[n]`; nan where there is no value.
    grid: float `[g]`.

  Returns:
    float64 `[g]`, nan before the first value.

  Raises:
    ValueError: if `xs` descends.
  """
  xs, ys = _known(xs, ys)
  return np.append(np.nan, ys)[np.searchsorted(xs, grid, side='right')]


def area(xs: np.ndarray, ys: np.ndarray, end: float) -> float:
  """The mean height of a curve from its first value to `end`.

  This is its normalised area, with values carried forward.

  Args:
    xs: float `[n]`, ascending.
    ys: float `[n]`; nan where there is no value.
    end: values from here on do not count.

  Returns:
    The mean height, nan if there is no value before `end`.

  Raises:
    ValueError: if `xs` descends.
  """
  xs, ys = _known(xs, ys)
  before = xs < end
  if not before.any():
    return float('nan')
  widths = np.diff(np.append(xs[before], end))
  return float(np.sum(ys[before] * widths) / widths.sum())


def rate(counts: np.ndarray, seconds: np.ndarray) -> float:
  """Growth of a count per second, from its first row above 0.

  Earlier rows are start-up.

  Args:
    counts: float `[n]`; nan where there is no value.
    seconds: float `[n]`, ascending.

  Returns:
    The rate, nan if fewer than two rows are above 0.

  Raises:
    ValueError: if `seconds` descend.
  """
  seconds, counts = _known(seconds, counts)
  seconds, counts = seconds[counts > 0], counts[counts > 0]
  if len(seconds) < 2 or seconds[-1] == seconds[0]:
    return float('nan')
  return float((counts[-1] - counts[0]) / (seconds[-1] - seconds[0]))


def _known(xs: np.ndarray, ys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """The rows without nan, as float64."""
  xs, ys = np.asarray(xs, np.float64), np.asarray(ys, np.float64)
  known = ~(np.isnan(xs) | np.isnan(ys))
  xs, ys = xs[known], ys[known]
  if (np.diff(xs) < 0).any():
    raise ValueError(
      f'xs must ascend, but received {xs[:-1][np.diff(xs) < 0][0]:g} before '
      'something smaller; leave out undone rows (`not_undone`).'
    )
  return xs, ys

"""Statistics over runs of many tasks (Agarwal et al., 2021, rliable).

Scores are a sequence over tasks of float arrays `[runs]`; tasks may have
different numbers of runs. Intervals are of the stratified bootstrap: runs are
drawn with replacement within each task, since the tasks are fixed.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from ald_acme.runs import statistics
from launch.campaigns import tables

_RESAMPLES = 2_000
_SEED = 0  # The same runs give the same intervals.

Scores = Sequence[np.ndarray]


def interquartile_mean(scores: Scores) -> float:
  """The mean of the middle half of all runs; robust to outliers."""
  values = np.sort(np.concatenate(scores))
  cut = len(values) // 4
  return float(np.mean(values[cut : len(values) - cut]))


def improvement(ours: Scores, theirs: Scores) -> float:
  """The probability that a run of ours scores higher than one of theirs.

  The mean over tasks of the share of pairs in which ours is higher; ties count
  as a half (the Mann-Whitney U statistic, divided by the number of pairs).

  Raises:
    ValueError: if the numbers of tasks differ.
  """
  pairs = zip(ours, theirs, strict=True)
  return float(
    np.mean([np.mean(0.5 + 0.5 * np.sign(x[:, None] - y)) for x, y in pairs])
  )


def profile(scores: Scores, levels: np.ndarray) -> np.ndarray:
  """The performance profile: share of runs whose score exceeds each level.

  Args:
    scores: scores by task.
    levels: float `[levels]`.

  Returns:
    float64 `[levels]`, the mean over tasks.
  """
  return np.mean(
    [np.mean(runs[:, None] > levels, axis=0) for runs in scores], axis=0
  )


def estimate(
  statistic: Callable[..., float], *methods: Scores, level: float = 0.95
) -> statistics.Estimate:
  """A statistic of one or more methods, with a percentile interval.

  Args:
    statistic: takes the scores of each method.
    *methods: scores of each method.
    level: share of the resampled statistics that the interval holds.

  Returns:
    The statistic and its interval, which is NaN if no task has several runs.
  """
  middle = np.array(statistic(*methods))
  if not any(len(runs) > 1 for scores in methods for runs in scores):
    return statistics.Estimate(middle, np.array(np.nan), np.array(np.nan))
  rng = np.random.default_rng(_SEED)
  drawn = [  # Float [resamples, runs], by task and method.
    [runs[rng.integers(len(runs), size=(_RESAMPLES, len(runs)))] for runs in x]
    for x in methods
  ]
  values = [
    statistic(*([runs[sample] for runs in x] for x in drawn))
    for sample in range(_RESAMPLES)
  ]
  tail = 100 * (1 - level) / 2
  low, high = np.percentile(values, [tail, 100 - tail])
  return statistics.Estimate(middle, np.array(low), np.array(high))


def table(
  columns: Mapping[str, str], scores: Mapping[str, Scores]
) -> tables.Rows:
  """A row of text for each method, compared with the first.

  Args:
    columns: titles of the methods.
    scores: scores of each method, on the same tasks.
  """
  first = next(iter(columns))
  rows: tables.Rows = []
  for name, title in columns.items():
    found = known(scores[name])
    shared = [
      pair
      for pair in zip(scores[first], scores[name])
      if all(len(of_method) for of_method in pair)
    ]
    rows.append(
      {
        'method': title,
        'tasks': str(len(found)),
        'interquartile mean': _interval(interquartile_mean, found),
        'mean': _interval(_mean, found),
        f'{columns[first]} is better': '-'
        if name == first
        else _interval(improvement, *map(list, zip(*shared))),
      }
    )
  return rows


def _interval(statistic: Callable[..., float], *methods: Scores) -> str:
  """Such as '0.98 [0.95, 1.00]'; '-' without any task."""
  if not methods or not all(methods):
    return '-'
  middle, low, high = estimate(statistic, *methods)
  text = f'{middle:.2f}'
  return text if np.isnan(low) else f'{text} [{low:.2f}, {high:.2f}]'


def _mean(scores: Scores) -> float:
  """The mean over tasks of the mean over runs."""
  return float(np.mean([np.mean(runs_of) for runs_of in scores]))


def known(scores: Scores) -> list[np.ndarray]:
  """The scores without the tasks that have no run."""
  return [runs_of for runs_of in scores if len(runs_of)]

"""Results of finished runs, and of methods over several seeds."""

from collections.abc import Callable, Sequence
import dataclasses
from typing import Any

import numpy as np

from ald_acme.runs import curves
from ald_acme.runs import files
from ald_acme.runs import folder as run_folder
from ald_acme.runs import statistics

_NAN = float('nan')


@dataclasses.dataclass(frozen=True)
class Result:
  """A finished run.

  Attributes:
    seed: seed of the run.
    config: its configuration.
    commit: commit of the program that made it; None if unknown.
    summary: contents of its summary.json.
    frames: float64 `[n]`, ascending, frames at each evaluation of the actor.
    returns: `[n]`, mean return of each evaluation.
    first_returns: `[n]`, mean return of the trials' first episodes; NaN without
      trials.
    last_returns: `[n]`, the same of their last episodes.
    seconds: `[n]`, seconds since the launch; NaN if not recorded.
    actor_updates: `[n]`; NaN if not recorded.
  """

  seed: int
  config: dict[str, Any]
  commit: str | None
  summary: dict[str, Any]
  frames: np.ndarray
  returns: np.ndarray
  first_returns: np.ndarray
  last_returns: np.ndarray
  seconds: np.ndarray
  actor_updates: np.ndarray

  @property
  def frames_to_solved(self) -> float:
    """Frames at which the task was solved.

    Infinity for never; NaN if no return that solves the task is known.
    """
    return _or(self.summary.get('solved_at_frames', _NAN), float('inf'))

  @property
  def seconds_to_solved(self) -> float:
    """Seconds until then; infinity for never, NaN if not recorded."""
    if self.summary.get('solved_at_frames', _NAN) is None:
      return float('inf')
    return _or(self.summary.get('solved_at_seconds'), _NAN)

  @property
  def final_return(self) -> float:
    """Mean over the last 100 evaluation episodes."""
    return _or(self.summary['final_return'], _NAN)

  @property
  def has_trials(self) -> bool:
    """Whether the run has trials of several episodes."""
    return bool(np.isfinite(self.first_returns).any())

  @property
  def adaptation(self) -> tuple[float, float]:
    """Returns of a trial's first and last episode at the end of the run.

    Each is a mean over the last ten evaluations; NaN without trials.
    """
    if not self.has_trials:
      return _NAN, _NAN
    first, last = self.first_returns[-10:], self.last_returns[-10:]
    return float(np.nanmean(first)), float(np.nanmean(last))

  def area(self, end: float) -> float:
    """Mean of the curve from 0 to `end` frames."""
    return statistics.area(self.frames, self.returns, end)

  @property
  def actor_update_rate(self) -> float:
    """Actor updates per second since the first."""
    return statistics.rate(self.actor_updates, self.seconds)


@dataclasses.dataclass(frozen=True)
class Group:
  """The runs of a method.

  Attributes:
    title: title of the method.
    colour: colour of the method.
    asked: number of runs requested.
    max_frames: length of each run in frames.
    results: results of the finished runs, by seed.
  """

  title: str
  colour: str
  asked: int
  max_frames: int
  results: Sequence[Result]

  def values(self, value: Callable[[Result], float]) -> np.ndarray:
    """A value of each run, float64 `[seeds]`."""
    return np.array([value(result) for result in self.results], np.float64)

  def median(self, value: Callable[[Result], float]) -> float:
    """Its median over seeds, maybe infinity; NaN if one is unknown."""
    values = self.values(value)
    return float(np.median(values)) if len(values) else _NAN

  def curve(
    self, xs: str, grid: np.ndarray, ys: str = 'returns'
  ) -> statistics.Estimate:
    """The mean return at points of a grid, with its interval.

    Args:
      xs: 'frames' or 'seconds'.
      grid: float `[g]`.
      ys: 'returns', 'first_returns' or 'last_returns'.

    Returns:
      An estimate of shape `[g]`.
    """
    return statistics.estimate(
      np.reshape(
        [
          statistics.carry_forward(
            getattr(result, xs), getattr(result, ys), grid
          )
          for result in self.results
        ],
        [len(self.results), len(grid)],
      )
    )


def read(path: str) -> Result:
  """Reads a finished run.

  Args:
    path: path of its folder.

  Raises:
    ValueError: if a file is missing or damaged.
  """
  folder = run_folder.RunFolder(path)
  saved = folder.read_config()
  log = {
    name: np.array(column)
    for name, column in curves.read(folder, 'evaluator').items()
  }
  for name in ('frames', 'actor_return'):
    if name not in log:
      raise ValueError(
        f'{folder.logs}/evaluator.csv has no {name!r}; restore the file, or '
        f'delete {path} to rerun it.'
      )
  rows = statistics.not_undone(log['frames'])

  def column(name: str) -> np.ndarray:
    return log.get(name, np.full(len(rows), _NAN))[rows]

  return Result(
    seed=saved['config']['seed'],
    config=saved['config'],
    commit=saved.get('git_commit'),
    summary=files.read_json(folder.summary),
    frames=column('frames'),
    returns=column('actor_return'),
    first_returns=column('first_episode_return'),
    last_returns=column('last_episode_return'),
    seconds=column('wall_seconds'),
    actor_updates=column('actor_updates'),
  )


def _or(value: float | None, otherwise: float) -> float:
  return otherwise if value is None else value

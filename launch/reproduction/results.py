"""Results of finished runs, and of methods over seeds."""

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
    seed: of the run.
    config: its configuration.
    commit: of the program that made it, None if not known.
    summary: contents of its summary.json.
    frames: float64 `[n]`, ascending, when the actor was evaluated.
    returns: `[n]`, mean returns of these evaluations.
    first_returns: `[n]`, of the first episodes of trials; nan without trials.
    last_returns: `[n]`, of their last episodes.
    seconds: `[n]`, since the launch; nan where not recorded.
    actor_updates: `[n]`; nan where not recorded.
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
    """Frames at which the task counted as solved; inf for never."""
    frames = self.summary.get('solved_at_frames')
    return float('inf') if frames is None else frames

  @property
  def seconds_to_solved(self) -> float:
    """Seconds until then; inf for never, nan where not recorded."""
    if self.summary.get('solved_at_frames') is None:
      return float('inf')
    return _number(self.summary.get('solved_at_seconds'))

  @property
  def final_return(self) -> float:
    """Mean over the last 100 evaluation episodes."""
    return _number(self.summary['final_return'])

  @property
  def has_trials(self) -> bool:
    """Whether its episodes were trials of several."""
    return bool(np.isfinite(self.first_returns).any())

  @property
  def adaptation(self) -> tuple[float, float]:
    """Returns of a trial's first and last episode, by the run's end.

    Means over the last ten evaluations.
    """
    ends = self.first_returns[-10:], self.last_returns[-10:]
    return tuple(float(np.nanmean(end)) for end in ends)

  def area(self, end: float) -> float:
    """Mean height of the curve up to `end` frames."""
    return statistics.area(self.frames, self.returns, end)

  @property
  def actor_update_rate(self) -> float:
    """Actor updates per second once they have begun."""
    return statistics.rate(self.actor_updates, self.seconds)


@dataclasses.dataclass(frozen=True)
class Group:
  """A method's runs.

  Attributes:
    title: of the method, for people.
    colour: of the method.
    asked: how many runs were asked for.
    max_frames: how long each of them is.
    results: of those that finished, by seed.
  """

  title: str
  colour: str
  asked: int
  max_frames: int
  results: Sequence[Result]

  def values(self, value: Callable[[Result], float]) -> np.ndarray:
    """A number of each run, float64 `[seeds]`."""
    return np.array([value(result) for result in self.results], np.float64)

  def median(self, value: Callable[[Result], float]) -> float:
    """Its median over seeds, which may be inf; nan if one is not known."""
    values = self.values(value)
    return float(np.median(values)) if len(values) else _NAN

  def curve(
    self, xs: str, grid: np.ndarray, ys: str = 'returns'
  ) -> statistics.Estimate:
    """The mean return on a grid, with its interval.

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
    path: of its folder.

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

  def column(name):
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


def _number(value: float | None) -> float:
  return _NAN if value is None else value

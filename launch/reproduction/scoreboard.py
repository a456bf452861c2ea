"""The scoreboard: one default configuration on every task, with peers."""

from collections.abc import Mapping, Sequence
import dataclasses
import importlib.util
import json
import os
import sys

import numpy as np

from ald_acme.runs import statistics
from launch.campaigns import jobs
from launch.campaigns import results
from launch.campaigns import runs
from launch.campaigns import tables
from launch.reproduction import aggregates
from launch.reproduction import experiments
from launch.reproduction import figures
from launch.reproduction import peers
from launch.reproduction import plots

_RANDOM_POLICY = os.path.join(
  os.path.dirname(os.path.abspath(__file__)), 'random_policy.py'
)
_SMALL_FRAMES = 2_000
_NORMALISED = (
  'Scores are returns, normalised and clipped: 0 is a random policy, 1 the '
  'required return.'
)
AnyRun = runs.Run | peers.PeerRun


@dataclasses.dataclass(frozen=True)
class Row:
  """A task, and the return required of ALD's acting policy on it.

  Attributes:
    name: name of its folder of runs.
    title: name in figures and tables.
    environment: as the launcher's --environment.
    kwargs: as its --environment_kwargs.
    frames: length of every run in frames.
    bar: mean return required of ALD at the end, with sampled actions.
    published: published results and their source; empty without any.
    package: an optional package that the task needs.
  """

  name: str
  title: str
  environment: str
  kwargs: str
  frames: int
  bar: float
  published: str = ''
  package: str | None = None

  @property
  def can_be_made(self) -> bool:
    """Whether its package is installed."""
    return not self.package or bool(importlib.util.find_spec(self.package))


@dataclasses.dataclass(frozen=True)
class Chance(jobs.FileJob):
  """The job of `random_policy.py`: the return of uniformly random actions.

  Attributes:
    label: name in messages.
    row: the task.
    path: path of the JSON file.
    episodes: least number of episodes.
  """

  label: str
  row: Row
  path: str
  episodes: int = 200

  @property
  def kind(self) -> str:
    return 'random'

  def command(self) -> list[str]:
    return [
      sys.executable,
      _RANDOM_POLICY,
      self.path,
      self.row.environment,
      self.row.kwargs,
      str(self.episodes),
    ]

  def is_done(self) -> bool:
    return os.path.exists(self.path)

  def read(self) -> float:
    """The mean return; NaN before the job is done."""
    if not self.is_done():
      return float('nan')
    with open(self.path, encoding='utf-8') as file:
      return float(json.load(file)['return'])


@dataclasses.dataclass(frozen=True)
class Cell:
  """Returns of a method on a task.

  Attributes:
    returns: float64 `[n]`, final returns of the finished runs.
    seeds: seeds of the finished runs.
    asked: number of runs requested.
    commits: commits of the finished runs; empty for a peer's.
  """

  returns: np.ndarray
  seeds: Sequence[int]
  asked: int
  commits: Sequence[str | None]

  @property
  def mean(self) -> float:
    return float(np.mean(self.returns)) if len(self.returns) else float('nan')

  def text(self) -> str:
    """Such as '480 [470, 490]'; with the number of runs if some are missing."""
    if not len(self.returns):
      return '-'
    mean, low, high = statistics.estimate(self.returns)
    text = f'{mean:.3g}'
    if np.isfinite(low):
      text += f' [{low:.3g}, {high:.3g}]'
    if len(self.returns) < self.asked:
      text += f' ({len(self.returns)} of {self.asked})'
    return text


@dataclasses.dataclass(frozen=True)
class Scoreboard(figures.Figure):
  """A table with a row for each task and a column for each method.

  Attributes:
    rows: the tasks.
    methods: keys of `experiments.METHODS`; the first must reach the bars.
    peers: keys of `peers.PEERS`.
  """

  name: str
  about: str
  rows: Sequence[Row]
  methods: Sequence[str]
  peers: Sequence[str]

  def run(
    self, row: Row, method: str, seed: int, order: figures.Order
  ) -> AnyRun:
    """The run of a method on a task."""
    label = f'scoreboard/{row.name}/{method}/seed_{seed}'
    path = order.path('runs', label)
    frames = _SMALL_FRAMES if order.small else row.frames
    if method in peers.PEERS:
      return peers.PeerRun(
        label, path, method, row.environment, row.kwargs, frames, seed
      )
    chosen = experiments.METHODS[method]
    fields = {'seed': seed, **chosen.fields}
    if order.small:
      fields |= experiments.SMALL_FIELDS
    fields['max_frames'] = frames
    return runs.Run(
      label, path, chosen.agent, row.environment, row.kwargs, fields
    )

  def chance(self, row: Row, order: figures.Order) -> Chance:
    """The job that measures random actions on a task."""
    label = f'scoreboard/{row.name}/random'
    path = order.path('runs', f'{label}.json')
    return Chance(label, row, path, 4 if order.small else 200)

  def needs(self, order: figures.Order) -> list[jobs.Job]:
    """The jobs, the first method's first; smoke runs have no other method.

    Tasks whose package is not installed are skipped; their rows remain empty.
    """
    rows = [row for row in self.rows if row.can_be_made]
    methods = [*self.methods, *self.peers]
    if order.small:  # A run has ten processes, and a peer an installation.
      rows, methods = rows[:1], methods[:1]
    return [self.chance(row, order) for row in rows] + [
      self.run(row, method, seed, order)
      for method in methods
      for seed in range(order.seeds)
      for row in rows
    ]

  def cell(self, row: Row, method: str, order: figures.Order) -> Cell:
    """The returns of a method's finished runs on a task."""
    returns, seeds, commits = [], [], []
    for seed in range(order.seeds):
      run = self.run(row, method, seed, order)
      if not run.is_done():
        continue
      seeds.append(seed)
      if isinstance(run, peers.PeerRun):
        returns.append(run.final_return())
      else:
        returns.append(results.read(run.path).final_return)
        commits.append(run.commit())
    return Cell(np.array(returns, np.float64), seeds, order.seeds, commits)

  def shortfalls(self, order: figures.Order) -> list[str]:
    """A line for each task on which the first method is below the bar."""
    return self._below(
      [self.cell(row, self.methods[0], order) for row in self.rows]
    )

  def _below(self, cells: Sequence[Cell]) -> list[str]:
    """The lines of `shortfalls`, from the first method's returns by task."""
    return [
      f'{row.title}: {cell.text()} at {row.frames:,} frames, required: '
      f'{row.bar:g}'
      for row, cell in zip(self.rows, cells)
      if cell.mean < row.bar  # False without a finished run.
    ]

  def make(self, order: figures.Order) -> bool:
    columns = {
      name: experiments.METHODS[name].title for name in self.methods
    } | {name: peers.PEERS[name].title for name in self.peers}
    cells = {
      row.name: {name: self.cell(row, name, order) for name in columns}
      for row in self.rows
    }
    flat = [cell for row in cells.values() for cell in row.values()]
    if not any(len(cell.returns) for cell in flat):
      return False
    chances = {row.name: self.chance(row, order).read() for row in self.rows}
    scores = {  # Float64 [runs], by method and task.
      name: [
        _normalised(cells[row.name][name].returns, chances[row.name], row.bar)
        for row in self.rows
      ]
      for name in columns
    }
    self._draw(order, scores)
    path = order.path(self.name)
    tables.write_csv(
      f'{path}.csv',
      [
        {'task': row.name, 'method': columns[name], 'seed': seed, 'return': x}
        for row in self.rows
        for name in columns
        for cell in [cells[row.name][name]]
        for seed, x in zip(cell.seeds, cell.returns)
      ],
    )
    table = [
      {
        'task': row.title,
        'frames': f'{_SMALL_FRAMES if order.small else row.frames:,}',
        'required': f'{row.bar:g}',
        'random': _number(chances[row.name]),
        **{columns[name]: cells[row.name][name].text() for name in columns},
        'published': row.published or '-',
      }
      for row in self.rows
    ]
    first = self.methods[0]
    short = self._below([row[first] for row in cells.values()])
    tried = sum(len(row[first].returns) > 0 for row in cells.values())
    tables.write_markdown(
      f'{path}.md',
      self.name,
      table,
      [
        self.about,
        'Ours: mean of the last evaluation of 100 episodes. Peers: mean of the '
        'last 100 training episodes. All actions are sampled. Square brackets: '
        'bootstrap 95% intervals over seeds (of two or three, the range).',
        f'Below the required return: {len(short)} of {tried} tasks with runs.',
        tables.markdown(aggregates.table(columns, scores)),
        f'{_NORMALISED} The interquartile mean is over all runs of a method, '
        'the mean over tasks. The last column is the probability that a run of '
        f'{columns[first]} scores higher than one of the method, on the tasks '
        'that both have runs of. Square brackets: 95% intervals of '
        'the stratified bootstrap. Definitions: Agarwal et al., 2021.',
        *figures.warning(order),
        figures.made_by(commit for cell in flat for commit in cell.commits),
      ],
    )
    return True

  def _draw(
    self, order: figures.Order, scores: Mapping[str, aggregates.Scores]
  ) -> None:
    """Draws the scores of each task, and the performance profiles."""
    looks = {name: experiments.METHODS[name] for name in self.methods} | {
      name: peers.PEERS[name] for name in self.peers
    }
    colours = {look.title: look.colour for look in looks.values()}
    means = {
      looks[name].title: np.array(
        [np.mean(x) if len(x) else np.nan for x in of_tasks]
      )
      for name, of_tasks in scores.items()
    }
    levels = np.linspace(0.0, 1.0, 101)
    profiles = {
      looks[name].title: aggregates.profile(known, levels)
      for name, of_tasks in scores.items()
      if (known := aggregates.known(of_tasks))
    }
    height = 1.5 + 0.4 * len(self.rows)
    caption = ' '.join(
      [
        _NORMALISED,
        'One default configuration for all tasks.',
        *figures.warning(order),
      ]
    )
    with plots.drawing(
      2, self.about, caption, order.path(self.name), height=height
    ) as axes:
      titles = [row.title for row in self.rows]
      plots.scores(axes[0], titles, means, colours)
      plots.profiles(axes[1], levels, profiles, colours)


def _normalised(returns: np.ndarray, chance: float, bar: float) -> np.ndarray:
  """Scores, float64 `[runs]`; none if the return of chance is unknown."""
  if np.isnan(chance):
    return np.zeros(0)
  return np.clip((returns - chance) / (bar - chance), 0.0, 1.0)


def _number(value: float) -> str:
  return '-' if np.isnan(value) else f'{value:.3g}'

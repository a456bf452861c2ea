"""Agents trained on a task of one size, played on it in other sizes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import csv
import dataclasses
import os
import sys

import numpy as np

from ald_acme.runs import statistics
from launch.campaigns import jobs
from launch.campaigns import runs
from launch.campaigns import tables
from launch.reproduction import figures
from launch.reproduction import plots

_SCRIPT = os.path.join(
  os.path.dirname(os.path.abspath(__file__)), 'play_elsewhere.py'
)


@dataclasses.dataclass(frozen=True)
class Play(jobs.FileJob):
  """The job of `play_elsewhere.py`: one CSV file for a finished run.

  Attributes:
    label: label of the run, within the figure's name.
    path: path of the CSV file.
    run: the run to play.
    policies: 'actor', 'learner' or both.
    environments: arguments of each environment to play in.
    episodes: number of episodes in each environment.
  """

  label: str
  path: str
  run: runs.Run
  policies: Sequence[str]
  environments: Sequence[str]
  episodes: int

  @property
  def after(self) -> tuple[str, ...]:
    return (self.run.label,)

  def prepare(self) -> None:
    """Checks that the run has finished.

    Raises:
      ValueError: if it has not.
    """
    if not self.run.is_done():
      raise ValueError(f'the run {self.run.label} has not finished.')

  def command(self) -> list[str]:
    return [
      sys.executable,
      _SCRIPT,
      self.path,
      self.run.path,
      ','.join(self.policies),
      str(self.episodes),
      *self.environments,
    ]

  def is_done(self) -> bool:
    """Whether the file exists.

    Raises:
      ValueError: if its environments or its number of episodes differ.
    """
    if not os.path.exists(self.path):
      return False
    asked = {
      (policy, kwargs, str(self.episodes))
      for policy in self.policies
      for kwargs in self.environments
    }
    found = {
      (row['policy'], row['environment_kwargs'], row['episodes'])
      for row in self.read()
    }
    if found != asked:
      raise ValueError(
        f'{self.path} has other policies, sizes or episodes than the figure '
        'requires; delete it to play them again.'
      )
    return True

  def read(self) -> list[dict[str, str]]:
    """The rows of the file."""
    with open(self.path, encoding='utf-8', newline='') as file:
      return list(csv.DictReader(file))


@dataclasses.dataclass(frozen=True)
class Line:
  """A line of the figure: a policy of a method.

  Attributes:
    method: a key of `experiments.METHODS`.
    policy: 'actor' or 'learner'.
    title: title in the legend and the table.
    colour: colour of the line.
    dashed: whether the line is dashed.
  """

  method: str
  policy: str
  title: str
  colour: str
  dashed: bool = False


MEMORY_LINES = [
  Line('ald', 'actor', 'ALD: actor (LSTM)', '#0072B2'),
  Line(
    'ald', 'learner', 'ALD: learner (GTrXL, memory 128)', '#0072B2', dashed=True
  ),
  Line('ald_no_features', 'actor', 'ALD, no features: actor', '#56B4E9'),
  Line('gtrxl', 'actor', 'GTrXL alone', '#009E73', dashed=True),
  Line('lstm', 'actor', 'LSTM alone', '#D55E00'),
]
MAZE_LINES = [
  Line('ald', 'actor', 'ALD: actor (LSTM)', '#0072B2'),
  Line(
    'ald', 'learner', 'ALD: learner (GTrXL, memory 64)', '#0072B2', dashed=True
  ),
  Line('ald_memory_32', 'actor', 'ALD, memory 32: actor', '#E69F00'),
  Line(
    'ald_memory_32',
    'learner',
    'ALD, memory 32: learner',
    '#E69F00',
    dashed=True,
  ),
  Line('ald_memory_128', 'actor', 'ALD, memory 128: actor', '#CC79A7'),
  Line(
    'ald_memory_128',
    'learner',
    'ALD, memory 128: learner',
    '#CC79A7',
    dashed=True,
  ),
  Line('gtrxl', 'actor', 'GTrXL alone', '#009E73', dashed=True),
  Line('lstm', 'actor', 'LSTM alone', '#D55E00'),
]


@dataclasses.dataclass(frozen=True)
class Extrapolation(figures.Figure):
  """Returns of agents trained on a task of one size, against its size.

  Attributes:
    task: a key of `experiments.TASKS`; its runs are shared with other figures.
    argument: the environment's argument that is the size.
    trained: size of that task.
    sizes: sizes to play.
    lines: the lines to draw.
    axis: what the size is.
    written: format of a size in the table.
    without: return of the best policy without a memory.
    episodes: number of episodes of each size.
  """

  name: str
  about: str
  task: str
  argument: str
  trained: int
  sizes: Sequence[int]
  lines: Sequence[Line]
  axis: str
  written: str
  without: float
  episodes: int = 200

  def lacks(self) -> str | None:
    return figures.lacks(self.task)

  def _runs(self, order: figures.Order) -> dict[str, list[runs.Run]]:
    """The runs of each method, by seed."""
    methods = list(dict.fromkeys(line.method for line in self.lines))
    learning = figures.LearningFigure(
      self.name, self.about, self.task, methods, lambda *_: None
    )
    return {name: learning.runs_of(name, order) for name in methods}

  def play(self, method: str, run: runs.Run, order: figures.Order) -> Play:
    """The job that plays a run."""
    policies = [line.policy for line in self.lines if line.method == method]
    name = os.path.join(method, os.path.basename(run.label))
    sizes = self.sizes[:2] if order.small else self.sizes
    return Play(
      label=f'{self.name}/{name}',
      path=order.path('runs', self.name, f'{name}.csv'),
      run=run,
      policies=policies,
      environments=[f'{self.argument}={size}' for size in sizes],
      episodes=4 if order.small else self.episodes,
    )

  def needs(self, order: figures.Order) -> list[jobs.Job]:
    by_method = self._runs(order)
    by_seed = [run for seed in zip(*by_method.values()) for run in seed]
    return by_seed + [
      self.play(method, run, order)
      for method, found in by_method.items()
      for run in found
    ]

  def make(self, order: figures.Order) -> bool:
    found = {
      method: [self.play(method, run, order) for run in runs_of]
      for method, runs_of in self._runs(order).items()
    }
    done = {
      method: {
        seed: play.read()
        for seed, play in enumerate(plays)
        if play.run.is_done() and play.is_done()
      }
      for method, plays in found.items()
    }
    if not any(done.values()):
      return False
    environments = next(iter(found.values()))[0].environments
    sizes = list(self.sizes[: len(environments)])
    returns = {  # Float64 [seeds, sizes] by line.
      line.title: np.array(
        [
          [float(row['return']) for row in rows if row['policy'] == line.policy]
          for rows in done[line.method].values()
        ],
        np.float64,
      ).reshape(-1, len(sizes))
      for line in self.lines
    }
    episodes = next(iter(found.values()))[0].episodes
    asked = f'{episodes} episodes of each size, sampled actions.'
    caption = ' '.join(
      [
        f'Trained at {self.written.format(self.trained)} only; {asked}',
        figures.MEANS,
        *figures.warning(order),
      ]
    )
    path = order.path(self.name)
    with plots.drawing(1, self.about, caption, path) as (axes,):
      _draw(axes, sizes, {line: returns[line.title] for line in self.lines})
      plots.reference(axes, self.without, f'without a memory {self.without:g}')
      axes.set_xlabel(self.axis)
      axes.axvline(self.trained, color='0.3', linestyle=':', linewidth=1)
    rows = [
      {
        'policy': line.title,
        'seeds': len(returns[line.title]),
        **{
          self.written.format(size): _cell(returns[line.title][:, place])
          for place, size in enumerate(sizes)
        },
      }
      for line in self.lines
    ]
    tables.write_csv(
      f'{path}.csv',
      [
        {'policy': line.title, 'seed': seed, 'size': size, 'return': value}
        for line in self.lines
        for seed, values in zip(done[line.method], returns[line.title])
        for size, value in zip(sizes, values)
      ],
    )
    commits = [
      run.commit()
      for runs_of in self._runs(order).values()
      for run in runs_of
      if run.is_done()
    ]
    tables.write_markdown(
      f'{path}.md',
      self.name,
      rows,
      [self.about, caption, figures.made_by(commits)],
    )
    return True


def _draw(
  axes: plots.Axes,
  sizes: Sequence[int],
  lines: Mapping[Line, np.ndarray],
) -> None:
  """A line for each policy: its mean return by the task's size.

  Args:
    axes: axes to draw on.
    sizes: sizes of the task.
    lines: returns, float `[seeds, sizes]`, by line.
  """
  for line, returns in lines.items():
    if not len(returns):
      continue
    mean, low, high = statistics.estimate(returns)
    style = '--' if line.dashed else '-'
    axes.plot(
      sizes, mean, style, marker='o', color=line.colour, label=line.title, ms=4
    )
    axes.fill_between(
      sizes, low, high, color=line.colour, alpha=0.15, linewidth=0
    )
  if sizes[-1] > 10 * sizes[0]:
    axes.set_xscale('log')
    axes.minorticks_off()
  axes.set_xticks(sizes, [f'{size:,}' for size in sizes])
  axes.set_ylim(top=1.04)
  axes.set_ylabel('mean return')
  axes.legend(fontsize=8)


def _cell(values: np.ndarray) -> str:
  if not len(values):
    return '-'
  mean, low, high = statistics.estimate(values)
  text = f'{mean:.2f}'
  return text if np.isnan(low) else f'{text} [{low:.2f}, {high:.2f}]'

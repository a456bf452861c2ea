"""Figures: the jobs that each needs, and how its files are made."""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterable, Sequence
import csv
import dataclasses
import importlib.util
import os
import sys

from agents import settings
from launch.reproduction import experiments
from launch.reproduction import jobs
from launch.reproduction import plots
from launch.reproduction import results
from launch.reproduction import runs
from launch.reproduction import tables

MEANS = 'Mean over seeds, not smoothed; band or bar: bootstrap 95% interval.'
_SECONDS = (
  'Seconds are comparable only if all runs had the same machine to '
  'themselves; [README](README.md) lists those that had.'
)
_LATENCY = os.path.join(
  os.path.dirname(os.path.abspath(__file__)), 'latency.py'
)


@dataclasses.dataclass(frozen=True)
class Order:
  """The command line of `reproduce.py`.

  Attributes:
    folder: folder of the figures; their runs are in its subfolder `runs`.
    seeds: number of runs per method, with seeds 0, 1, ...
    small: whether to do smoke runs, too short for meaningful results.
  """

  folder: str
  seeds: int
  small: bool = False

  def path(self, *names: str) -> str:
    return os.path.join(self.folder, *names)


class Figure(abc.ABC):
  """A figure.

  Attributes:
    name: its name on the command line, and of its files.
    about: one line that describes it.
  """

  name: str
  about: str

  def lacks(self) -> str | None:
    """Returns the name of a required package that is not installed, if any."""
    return None

  @abc.abstractmethod
  def needs(self, order: Order) -> list[jobs.Job]:
    """The jobs to do before `make`."""

  @abc.abstractmethod
  def make(self, order: Order) -> bool:
    """Writes its files from the results; returns False without any result."""

  def shortfalls(self, order: Order) -> list[str]:
    """A line for each required return that the finished runs do not reach."""
    return []


@dataclasses.dataclass(frozen=True)
class LearningFigure(Figure):
  """A figure of several methods learning one task.

  Attributes:
    task: a key of `experiments.TASKS`.
    methods: keys of `experiments.METHODS`.
    draw: draws groups on axes; its last argument is whether the task is
      solvable.
    panels: number of axes.
    reading: how to read the drawing.
  """

  name: str
  about: str
  task: str
  methods: Sequence[str]
  draw: Callable[[plots.Panels, plots.Groups, bool], None]
  panels: int = 1
  reading: str = MEANS

  def lacks(self) -> str | None:
    package = experiments.TASKS[self.task].package
    if package is None or importlib.util.find_spec(package):
      return None
    return package

  def runs_of(self, name: str, order: Order) -> list[runs.Run]:
    """The runs of a method, by seed."""
    task, method = experiments.TASKS[self.task], experiments.METHODS[name]
    known = settings.fields_of(method.agent)
    kwargs, fields = task.kwargs, {**task.fields, **method.fields}
    fields = {  # Others' fields are of methods with another agent.
      name: x for name, x in fields.items() if name.split('.')[0] in known
    }
    fields['max_frames'] = task.max_frames[method.agent]
    if order.small:
      kwargs = task.small_kwargs
      fields.update(experiments.SMALL_FIELDS)
    kwargs = ','.join(filter(None, (kwargs, method.kwargs)))
    labels = [f'{self.task}/{name}/seed_{seed}' for seed in range(order.seeds)]
    return [
      runs.Run(
        label=label,
        path=order.path('runs', label),
        agent=method.agent,
        environment=task.environment,
        environment_kwargs=kwargs,
        fields={'seed': seed, **fields},
      )
      for seed, label in enumerate(labels)
    ]

  def needs(self, order: Order) -> list[jobs.Job]:
    by_seed = zip(*(self.runs_of(method, order) for method in self.methods))
    return [run for seed in by_seed for run in seed]

  def groups(self, order: Order) -> list[results.Group]:
    """The results of the finished runs, by method."""
    groups = []
    for method in self.methods:
      asked = self.runs_of(method, order)
      groups.append(
        results.Group(
          title=experiments.METHODS[method].title,
          colour=experiments.METHODS[method].colour,
          asked=len(asked),
          max_frames=asked[0].fields['max_frames'],
          results=[results.read(run.path) for run in asked if run.is_done()],
        )
      )
    return groups

  def make(self, order: Order) -> bool:
    groups = self.groups(order)
    found = _results(groups)
    if not found:
      return False
    solvable = experiments.TASKS[self.task].solvable
    path = order.path(self.name)
    caption = ' '.join([_seeds(groups), self.reading, *warning(order)])
    with plots.drawing(self.panels, self.about, caption, path) as axes:
      self.draw(axes, groups, solvable)
    tables.write_csv(f'{path}.csv', tables.runs(groups, solvable))
    tables.write_markdown(
      f'{path}.md',
      self.name,
      tables.methods(groups, solvable),
      [
        self.about,
        caption,
        *([_SECONDS] if solvable else []),
        made_by(x.commit for x in found),
      ],
    )
    return True


@dataclasses.dataclass(frozen=True)
class TasksFigure(Figure):
  """Several tasks side by side, each in a panel.

  Attributes:
    parts: a figure with one panel for each task; `about` is the panel's title.
  """

  name: str
  about: str
  parts: Sequence[LearningFigure]

  def lacks(self) -> str | None:
    return next(filter(None, (part.lacks() for part in self.parts)), None)

  def needs(self, order: Order) -> list[jobs.Job]:
    return [job for part in self.parts for job in part.needs(order)]

  def make(self, order: Order) -> bool:
    made = [(part, part.groups(order)) for part in self.parts]
    absent = [part.about for part, groups in made if not _results(groups)]
    made = [(part, groups) for part, groups in made if _results(groups)]
    if not made:
      return False
    path = order.path(self.name)
    seeds = _seeds(
      [
        dataclasses.replace(group, title=f'{part.about}, {group.title}')
        for part, groups in made
        for group in groups
      ]
    )
    without = [f'Not run: {", ".join(absent)}.'] if absent else []
    caption = ' '.join([seeds, *without, MEANS, *warning(order)])
    csv_rows: tables.Rows = []
    rows: tables.Rows = []
    with plots.drawing(len(made), self.about, caption, path) as axes:
      for panel, (part, groups) in zip(axes, made):
        solvable = experiments.TASKS[part.task].solvable
        part.draw([panel], groups, solvable)
        panel.set_title(part.about)
        for table, of_task in (
          (csv_rows, tables.runs(groups, solvable)),
          (rows, tables.methods(groups, solvable)),
        ):
          table += [_of_task(part.task, row) for row in of_task]
    tables.write_csv(f'{path}.csv', csv_rows)
    found = [x for _, groups in made for x in _results(groups)]
    tables.write_markdown(
      f'{path}.md',
      self.name,
      rows,
      [self.about, caption, made_by(x.commit for x in found)],
    )
    return True


def _of_task(task: str, row: dict[str, object]) -> dict[str, object]:
  """Adds the task to a row; renames the area, whose name has its end."""
  named = {
    'area' if 'area' in key else key: value for key, value in row.items()
  }
  return {'task': task, **named}


@dataclasses.dataclass(frozen=True)
class LatencyFigure(Figure):
  """The latency of a step of acting; nothing is learned."""

  name: str
  about: str
  presets: Sequence[str]
  steps: int

  def needs(self, order: Order) -> list[jobs.Job]:
    presets = self.presets[:1] if order.small else self.presets
    return [
      Measurement(
        label=self.name,
        path=order.path(f'{self.name}.csv'),
        arguments=[str(30 if order.small else self.steps), *presets],
      )
    ]

  def make(self, order: Order) -> bool:
    rows = _read_rows(order.path(f'{self.name}.csv'))
    if rows is None:
      return False
    commits = [row.pop('commit') for row in rows]
    caption = ' '.join(
      [
        f'Bar: median of {rows[0]["steps"]} steps; whisker: 99th percentile.',
        *warning(order),
      ]
    )
    path = order.path(self.name)
    with plots.drawing(1, self.about, caption, path) as (axes,):
      colours = {
        experiments.METHODS[name].title: experiments.METHODS[name].colour
        for name in ('lstm', 'gtrxl')
      }
      plots.latency(axes, rows, colours)
    tables.write_markdown(
      f'{path}.md', self.name, rows, [self.about, caption, made_by(commits)]
    )
    return True


@dataclasses.dataclass(frozen=True)
class Measurement(jobs.Job):
  """The job of `latency.py`: one CSV file.

  Attributes:
    label: name in messages.
    path: path of the CSV file.
    arguments: the program's arguments after the path.
  """

  label: str
  path: str
  arguments: Sequence[str]

  @property
  def kind(self) -> str:
    return self.label

  @property
  def log(self) -> str:
    folder = os.path.dirname(self.path)
    return os.path.join(folder, 'runs', f'{self.label}.log')

  def command(self) -> list[str]:
    return [sys.executable, _LATENCY, self.path, *self.arguments]

  def is_done(self) -> bool:
    """Whether the file exists.

    Raises:
      ValueError: if it is from another measurement.
    """
    rows = _read_rows(self.path)
    if rows is None:
      return False
    steps, *presets = self.arguments
    found = {(row.get('steps'), row.get('preset')) for row in rows}
    if found != {(steps, preset) for preset in presets} or any(
      name not in row for row in rows for name in ('runtime', 'commit')
    ):
      raise ValueError(
        f'{self.path} is from another measurement; delete it to measure again.'
      )
    return True


def _read_rows(path: str) -> list[dict[str, str]] | None:
  """The rows of a CSV file; None if it does not exist."""
  try:
    with open(path, encoding='utf-8', newline='') as file:
      return list(csv.DictReader(file))
  except FileNotFoundError:
    return None


def _results(groups: plots.Groups) -> list[results.Result]:
  return [result for group in groups for result in group.results]


def made_by(commits: Iterable[str | None]) -> str:
  """The sentence that names the commits of a figure's runs."""
  known = sorted({(commit or 'unknown')[:10] for commit in commits})
  return f'Made by commit {", ".join(known)}.'


def _seeds(groups: plots.Groups) -> str:
  """The number of runs of a figure."""
  counts = [tables.seeds(group) for group in groups]
  if len(set(counts)) == 1:
    text = f'Seeds of each: {counts[0]}.'
  else:
    named = (f'{group.title} {n}' for group, n in zip(groups, counts))
    text = f'Seeds: {"; ".join(named)}.'
  sizes = {len(group.results) for group in groups}
  if 1 in sizes:
    text += ' One seed has no interval.'
  if sizes & {2, 3}:
    text += ' An interval over two or three seeds is their range.'
  return text


def warning(order: Order) -> list[str]:
  """The caption's warning about smoke runs."""
  if not order.small:
    return []
  return ['SMOKE RUN: tiny settings; it tells nothing about the methods.']

"""Figures: the jobs that each needs, and how its files are made."""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterable, Sequence
import dataclasses
import importlib.util
import os

from agents import settings
from launch.campaigns import jobs
from launch.campaigns import results
from launch.campaigns import runs
from launch.campaigns import tables
from launch.reproduction import experiments
from launch.reproduction import plots

MEANS = 'Mean over seeds, not smoothed; band or bar: bootstrap 95% interval.'
_SECONDS = (
  'Seconds are comparable only if all runs had the same machine to '
  'themselves; [README](README.md) lists those that had.'
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


def lacks(task: str) -> str | None:
  """The package that a task requires, if it is not installed."""
  package = experiments.TASKS[task].package
  if package is None or importlib.util.find_spec(package):
    return None
  return package


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
    return lacks(self.task)

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
    found = results_of(groups)
    if not found:
      return False
    solvable = experiments.TASKS[self.task].solvable
    path = order.path(self.name)
    caption = ' '.join([seeds(groups), self.reading, *warning(order)])
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


def results_of(groups: plots.Groups) -> list[results.Result]:
  """The results of all groups."""
  return [result for group in groups for result in group.results]


def made_by(commits: Iterable[str | None]) -> str:
  """The sentence that names the commits of a figure's runs."""
  known = sorted({(commit or 'unknown')[:10] for commit in commits})
  return f'Made by commit {", ".join(known)}.'


def seeds(groups: plots.Groups) -> str:
  """The sentence that gives the number of runs of a figure."""
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

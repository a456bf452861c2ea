"""The catalogue: which runs make which figure, and how it is drawn."""

import abc
from collections.abc import Callable, Mapping, Sequence
import csv
import dataclasses
import operator
import os
import sys
from typing import Any

from launch.reproduction import jobs
from launch.reproduction import plots
from launch.reproduction import results
from launch.reproduction import runs
from launch.reproduction import tables


@dataclasses.dataclass(frozen=True)
class Order:
  """What a person asks for.

  Attributes:
    folder: for figures; their runs are in `runs` within it.
    seeds: runs of each method, of seeds 0, 1, ...
    small: whether runs are so short that they show only that all works.
  """

  folder: str
  seeds: int
  small: bool = False

  def path(self, *names: str) -> str:
    return os.path.join(self.folder, *names)


@dataclasses.dataclass(frozen=True)
class Task:
  """What is to be learned.

  Attributes:
    environment: as the launcher's --environment.
    kwargs: as its --environment_kwargs.
    small_kwargs: the same for small runs.
    max_frames: of a run, by agent.
    fields: of the configuration, where they are not the default.
    solvable: whether a return of 0.95 means that it is solved.
  """

  environment: str
  kwargs: str
  small_kwargs: str
  max_frames: Mapping[str, int]
  fields: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  solvable: bool = True


@dataclasses.dataclass(frozen=True)
class Method:
  """What learns.

  Attributes:
    title: for people.
    colour: in all figures; told apart also by the colour-blind.
    agent: as the launcher's --agent.
    fields: of the configuration, where they are not the default.
  """

  title: str
  colour: str
  agent: str = 'ald'
  fields: Mapping[str, Any] = dataclasses.field(default_factory=dict)


_WITH_MEMORYLESS = ('ald', 'lstm', 'memoryless')
TASKS = {
  'i_maze_9': Task(
    environment='i_maze',
    kwargs='size=9,limit=100',
    small_kwargs='size=5',
    max_frames={
      'ald': 400_000,
      'gtrxl': 400_000,
      'asymmetric': 400_000,
      'lstm': 1_000_000,
    },
  ),
  'i_maze_15': Task(
    environment='i_maze',
    kwargs='size=15,limit=250',
    small_kwargs='size=5',
    max_frames={'ald': 1_200_000, 'gtrxl': 600_000, 'lstm': 2_000_000},
  ),
  'meta_fetch': Task(
    environment='meta_fetch',
    kwargs='',
    small_kwargs='limit=20',
    max_frames={'ald': 600_000, 'gtrxl': 600_000, 'lstm': 600_000},
    solvable=False,
  ),
  'trials': Task(
    environment='i_maze',
    kwargs='size=5,hidden_rule=True,trial_episodes=5',
    small_kwargs='size=5,limit=9,hidden_rule=True,trial_episodes=2',
    max_frames={'ald': 400_000, 'lstm': 400_000},
    solvable=False,
  ),
  'popgym_repeat': Task(
    environment='gymnasium:popgym:popgym-RepeatPreviousEasy-v0',
    kwargs='',
    small_kwargs='',
    max_frames=dict.fromkeys(_WITH_MEMORYLESS, 500_000),
    # An answer is paid 1/48 and at once: entropy is dear, the future is noise.
    fields={
      'entropy_cost': 0.0003,
      'discount': 0.9,
      'regulariser_cost': 0.01,
    },
  ),
  'bsuite_memory': Task(
    environment='bsuite.experiments.memory_len.memory_len:load',
    kwargs='memory_length=30',
    small_kwargs='memory_length=5',
    max_frames=dict.fromkeys(_WITH_MEMORYLESS, 200_000),
  ),
}
_LATENCY = os.path.join(
  os.path.dirname(os.path.abspath(__file__)), 'latency.py'
)
_SMALL_FIELDS = {
  'max_frames': 4_000,
  'evaluation_episodes': 8,
  'learner_evaluation_episodes': 8,
}

_BLUE, _ORANGE, _GREEN = '#0072B2', '#E69F00', '#009E73'
_RED, _PURPLE, _SKY = '#D55E00', '#CC79A7', '#56B4E9'
_GREY = '#666666'
# There is nobody that these would be drawn towards.
_ALONE = {'regulariser_cost': 0.0}
METHODS = {
  'ald': Method('ALD', _BLUE),
  'lstm': Method('LSTM', _RED, 'lstm', _ALONE),
  # Acting with a GTrXL is dear, and an evaluation acts a lot.
  'gtrxl': Method(
    'GTrXL', _GREEN, 'gtrxl', {**_ALONE, 'evaluation_period': 3.0}
  ),
  'asymmetric': Method('LSTM, GTrXL critic', _PURPLE, 'asymmetric', _ALONE),
  'memoryless': Method('no memory', _GREY, 'memoryless', _ALONE),
  'ald_dprl_0.5': Method('ALD, DpRL 0.5', _RED, fields={'dprl': 0.5}),
  'ald_dprl_1': Method('ALD, DpRL 1', _ORANGE, fields={'dprl': 1.0}),
  'ald_dprl_4': Method('ALD, DpRL 4', _SKY, fields={'dprl': 4.0}),
  'ald_dprl_16': Method('ALD, DpRL 16', _GREEN, fields={'dprl': 16.0}),
  'ald_distillers_2': Method(
    'ALD, 2 distillers', _ORANGE, fields={'num_distillers': 2}
  ),
  'ald_distillers_4': Method(
    'ALD, 4 distillers', _GREEN, fields={'num_distillers': 4}
  ),
  'ald_no_value_distillation': Method(
    'no value distillation', _ORANGE, fields={'distill_value_cost': 0.0}
  ),
  'ald_no_regulariser': Method(
    'no regulariser', _RED, fields={'regulariser_cost': 0.0}
  ),
  'ald_forward_kl': Method(
    'forward KL', _GREEN, fields={'kl_direction': 'forward'}
  ),
  'ald_vmpo': Method('V-MPO', _PURPLE, fields={'loss': 'vmpo'}),
}


class Figure(abc.ABC):
  """A figure that can be made.

  Attributes:
    name: on the command line, and of its files.
    about: one line for people.
  """

  name: str
  about: str

  @abc.abstractmethod
  def needs(self, order: Order) -> list[jobs.Job]:
    """What has to be done before it can be made."""

  @abc.abstractmethod
  def make(self, order: Order) -> bool:
    """Writes its files from what was done; False if that is nothing."""


Groups = Sequence[results.Group]


_MEANS = 'Mean over seeds, not smoothed; band or bar: bootstrap 95% interval.'
_WITHOUT = (
  'Chance is what is learned without a memory, from the present observation '
  f'and the action and reward before it. {_MEANS}'
)


@dataclasses.dataclass(frozen=True)
class LearningFigure(Figure):
  """A figure of what methods learn on a task.

  Attributes:
    task: a key of `TASKS`.
    methods: keys of `METHODS`.
    draw: draws groups on axes; told whether the task is solvable.
    panels: how many axes it wants.
    reading: how the drawing is to be read.
  """

  name: str
  about: str
  task: str
  methods: Sequence[str]
  draw: Callable[[list, Groups, bool], None]
  panels: int = 1
  reading: str = _MEANS

  def runs_of(self, name: str, order: Order) -> list[runs.Run]:
    """The runs of a method, by seed."""
    task, method = TASKS[self.task], METHODS[name]
    kwargs, fields = task.kwargs, {**task.fields, **method.fields}
    fields['max_frames'] = task.max_frames[method.agent]
    if order.small:
      kwargs = task.small_kwargs
      fields.update(_SMALL_FIELDS)
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
    """What the finished runs say, by method."""
    groups = []
    for method in self.methods:
      asked = self.runs_of(method, order)
      groups.append(
        results.Group(
          title=METHODS[method].title,
          colour=METHODS[method].colour,
          asked=len(asked),
          max_frames=asked[0].fields['max_frames'],
          results=[results.read(run.path) for run in asked if run.is_done()],
        )
      )
    return groups

  def make(self, order: Order) -> bool:
    groups = self.groups(order)
    found = [result for group in groups for result in group.results]
    if not found:
      return False
    solvable = TASKS[self.task].solvable
    path = order.path(self.name)
    caption = ' '.join([_seeds(groups), self.reading, *_warning(order)])
    with plots.drawing(self.panels, self.about, caption, path) as axes:
      self.draw(axes, groups, solvable)
    tables.write_csv(f'{path}.csv', tables.runs(groups, solvable))
    commits = sorted({(result.commit or 'unknown')[:10] for result in found})
    tables.write_markdown(
      f'{path}.md',
      self.name,
      tables.methods(groups, solvable),
      [self.about, caption, f'Made by commit {", ".join(commits)}.'],
    )
    return True


@dataclasses.dataclass(frozen=True)
class LatencyFigure(Figure):
  """How long a step of acting takes; nothing is learned."""

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
        log=order.path('runs', f'{self.name}.log'),
        arguments=[str(30 if order.small else self.steps), *presets],
      )
    ]

  def make(self, order: Order) -> bool:
    try:
      with open(
        order.path(f'{self.name}.csv'), encoding='utf-8', newline=''
      ) as file:
        rows = list(csv.DictReader(file))
    except FileNotFoundError:
      return False
    caption = ' '.join(
      [
        f'Bar: median of {rows[0]["steps"]} steps; whisker: 99th percentile.',
        *_warning(order),
      ]
    )
    path = order.path(self.name)
    with plots.drawing(1, self.about, caption, path) as (axes,):
      colours = {
        METHODS[name].title: METHODS[name].colour for name in ('lstm', 'gtrxl')
      }
      plots.latency(axes, rows, colours)
    tables.write_markdown(f'{path}.md', self.name, rows, [self.about, caption])
    return True


@dataclasses.dataclass(frozen=True)
class Measurement:
  """The job of `latency.py`, beside this file: one CSV file.

  Attributes:
    label: for people.
    path: of the file.
    log: of what the program prints.
    arguments: of the program, after the path.
  """

  label: str
  path: str
  log: str
  arguments: Sequence[str]

  @property
  def kind(self) -> str:
    return self.label

  def command(self) -> list[str]:
    return [sys.executable, _LATENCY, self.path, *self.arguments]

  def is_done(self) -> bool:
    return os.path.exists(self.path)

  def prepare(self):
    pass

  def seconds(self) -> None:
    return None

  def progress(self) -> None:
    return None


def _seeds(groups: Groups) -> str:
  """Of how many runs a figure is made."""
  counts = [tables.seeds(group) for group in groups]
  if len(set(counts)) == 1:
    text = f'Seeds of each: {counts[0]}.'
  else:
    named = (f'{group.title} {n}' for group, n in zip(groups, counts))
    text = f'Seeds: {"; ".join(named)}.'
  if any(len(group.results) == 1 for group in groups):
    text += ' One seed has no interval.'
  return text


def _warning(order: Order) -> list[str]:
  if not order.small:
    return []
  return ['SMOKE RUN: tiny settings, which say nothing about the methods.']


def _curves(axes, groups, solvable):
  plots.against_frames(axes[0], groups, solvable)


def _wall_clock(axes, groups, solvable):
  plots.against_seconds(axes[0], groups, solvable)


def _dprl(axes, groups, solvable):
  label = 'DpRL: distillation updates per learner update'
  plots.frames_to_solved(axes[0], groups, 'dprl', label)
  plots.against_frames(axes[1], groups, solvable)


def _hogwild(axes, groups, solvable):
  plots.against_frames(axes[0], groups, solvable)
  rate = operator.attrgetter('actor_update_rate')
  plots.bars(axes[1], groups, rate, 'actor updates per second', '.1f')


def _ablations(axes, groups, solvable):
  plots.against_frames(axes[0], groups, solvable)
  end = tables.shortest(groups)
  label = f'mean return up to {end:,} frames'
  plots.bars(axes[1], groups, lambda result: result.area(end), label, '.2f')


FIGURES: dict[str, Figure] = {
  figure.name: figure
  for figure in (
    LearningFigure(
      'i_maze_9',
      'Learning the 9x9 I-Maze: ALD, its two networks alone, and an LSTM that '
      'acts with a GTrXL as its critic.',
      'i_maze_9',
      ['ald', 'gtrxl', 'lstm', 'asymmetric'],
      _curves,
    ),
    LearningFigure(
      'i_maze_15',
      'Learning the 15x15 I-Maze.',
      'i_maze_15',
      ['ald', 'gtrxl', 'lstm'],
      _curves,
    ),
    LearningFigure(
      'i_maze_15_seeds',
      'Learning the 15x15 I-Maze seed by seed: who leaves the local optimum.',
      'i_maze_15',
      ['ald', 'gtrxl', 'lstm'],
      plots.each_seed,
      panels=3,
      reading='A line for each seed, not smoothed.',
    ),
    LearningFigure(
      'meta_fetch',
      'Learning Meta-Fetch.',
      'meta_fetch',
      ['ald', 'gtrxl', 'lstm'],
      _curves,
    ),
    LearningFigure(
      'popgym_repeat',
      'POPGym, RepeatPreviousEasy: say which suit was shown three cards ago.',
      'popgym_repeat',
      ['ald', 'lstm', 'memoryless'],
      _curves,
      reading=_WITHOUT,
    ),
    LearningFigure(
      'bsuite_memory',
      'bsuite, memory_len: repeat a bit that was shown 30 steps ago.',
      'bsuite_memory',
      ['ald', 'lstm', 'memoryless'],
      _curves,
      reading=_WITHOUT,
    ),
    LearningFigure(
      'wall_clock',
      'Learning the 9x9 I-Maze, against time on this machine (with --workers=1 '
      'to be fair).',
      'i_maze_9',
      ['ald', 'gtrxl', 'lstm', 'asymmetric'],
      _wall_clock,
    ),
    LearningFigure(
      'dprl',
      'More distillation per learner update: frames to solve the 9x9 I-Maze.',
      'i_maze_9',
      ['ald_dprl_0.5', 'ald_dprl_1', 'ald_dprl_4', 'ald', 'ald_dprl_16'],
      _dprl,
      panels=2,
      reading=f'ALD by itself is with DpRL 8. {_MEANS}',
    ),
    LearningFigure(
      'hogwild',
      'More distillers that update one actor without locks, on the 9x9 I-Maze.',
      'i_maze_9',
      ['ald', 'ald_distillers_2', 'ald_distillers_4'],
      _hogwild,
      panels=2,
      reading=f'ALD by itself has one distiller. {_MEANS}',
    ),
    LearningFigure(
      'trials',
      'Learning to learn (RL^2): trials of five episodes in a 5x5 I-Maze that '
      'does not show which goal pays.',
      'trials',
      ['ald', 'lstm'],
      plots.adaptation,
      panels=2,
    ),
    LearningFigure(
      'ablations',
      'ALD without one of its parts, or with another, on the 9x9 I-Maze.',
      'i_maze_9',
      [
        'ald',
        'ald_no_value_distillation',
        'ald_no_regulariser',
        'ald_forward_kl',
        'ald_vmpo',
      ],
      _ablations,
      panels=2,
    ),
    LatencyFigure(
      'latency',
      'How long a step of acting takes: LSTM and GTrXL, one environment, one '
      'CPU thread; nothing is learned.',
      ['small', 'paper'],
      500,
    ),
  )
}

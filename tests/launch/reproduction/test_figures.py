"""The catalogue of figures, and figures from finished runs."""

import dataclasses
import glob
import json
import os
import shutil
import subprocess
import sys

import pytest

from agents import catalogue
from agents import settings
from ald_acme.environments import registry
from ald_acme.environments.interface import observed
from launch.reproduction import catalogue as reproduction
from launch.reproduction import experiments
from launch.reproduction import figures

ROOT = os.path.dirname(
  os.path.dirname(os.path.dirname(os.path.dirname(__file__)))
)
LEARNING = [
  figure
  for figure in reproduction.FIGURES.values()
  if isinstance(figure, figures.LearningFigure)
]
EXTERNAL = [
  figure for figure in LEARNING if experiments.TASKS[figure.task].package
]
RUN = ('bsuite_memory', 'popgym_repeat')  # One figure of each package.
names = pytest.mark.parametrize('figure', LEARNING, ids=lambda f: f.name)


FETCH = {'discount': 0.9}
# Figures whose runs are all in `results/`.
PUBLISHED = [
  'i_maze_9',
  'i_maze_15',
  'i_maze_15_seeds',
  'wall_clock',
  'long_memory',
  'longer_memory',
  'popgym_repeat',
  'dprl',
  'hogwild',
  'ablations',
  'latency',
]
SOLVED = {'solved_return': 0.95}
NO_FEATURES = {'feature_learning_rate': 0.0}
LONG = {**SOLVED, 'networks.gtrxl_memory': 128}
REGULARISED = {'regulariser_cost': 0.1}


def _runs(figure, folder='f', seeds=1, small=False):
  order = figures.Order(str(folder), seeds, small)
  return figure.needs(order)


@pytest.fixture
def finish(fake_run):
  """Finishes runs as they were asked for."""

  def finish(runs):
    for run in runs:
      if not run.is_done():
        fake_run(
          run.path,
          run.fields,
          agent=run.agent,
          environment=run.environment,
          environment_kwargs=run.environment_kwargs,
        )

  return finish


def _read(path):
  with open(path, encoding='utf-8') as file:
    return file.read()


def _need_package(figure):
  if lacks := figure.lacks():
    pytest.skip(f'{lacks} is not installed')


# Requested runs.


@pytest.mark.parametrize(
  'name, expected',
  [
    (
      'i_maze_9',
      {
        'ald': ('ald', 200_000, {}),
        'gtrxl': ('gtrxl', 200_000, {}),
        'lstm': ('lstm', 500_000, {}),
        'asymmetric': ('asymmetric', 200_000, {}),
      },
    ),
    (
      'i_maze_15',
      {
        'ald': ('ald', 600_000, {}),
        'gtrxl': ('gtrxl', 600_000, {}),
        'lstm': ('lstm', 1_000_000, {}),
      },
    ),
    (
      'meta_fetch',
      {
        'ald': ('ald', 1_000_000, FETCH),
        'gtrxl': ('gtrxl', 1_000_000, FETCH),
        'gtrxl_regularised': ('gtrxl', 1_000_000, {**FETCH, **REGULARISED}),
        'lstm': ('lstm', 1_000_000, FETCH),
        'lstm_regularised': ('lstm', 1_000_000, {**FETCH, **REGULARISED}),
        'memoryless': ('memoryless', 1_000_000, FETCH),
      },
    ),
    (
      'popgym_repeat',
      {
        'ald': ('ald', 500_000, SOLVED),
        'ald_no_features': ('ald', 500_000, {**SOLVED, **NO_FEATURES}),
        'lstm': ('lstm', 500_000, SOLVED),
        'memoryless': ('memoryless', 500_000, SOLVED),
      },
    ),
    (
      'long_memory',
      {
        'ald': ('ald', 400_000, LONG),
        'ald_no_features': ('ald', 400_000, {**LONG, **NO_FEATURES}),
        'gtrxl': ('gtrxl', 400_000, LONG),
        'lstm': ('lstm', 400_000, LONG),
      },
    ),
    (
      'dprl',
      {
        'ald_dprl_0.5': ('ald', 200_000, {'dprl': 0.5}),
        'ald_dprl_0.25': ('ald', 200_000, {'dprl': 0.25}),
        'ald': ('ald', 200_000, {}),
        'ald_dprl_3': ('ald', 200_000, {'dprl': 3.0}),
        'ald_dprl_6': ('ald', 200_000, {'dprl': 6.0}),
      },
    ),
    (
      'hogwild',
      {
        'ald': ('ald', 200_000, {}),
        'ald_distillers_2': ('ald', 200_000, {'num_distillers': 2}),
        'ald_distillers_4': ('ald', 200_000, {'num_distillers': 4}),
      },
    ),
    (
      'cores',
      {
        'ald': ('ald', 200_000, {}),
        'ald_gru': ('ald', 200_000, {'networks.actor_core': 'gru'}),
        'ald_mingru': ('ald', 200_000, {'networks.actor_core': 'mingru'}),
        'ald_lstm_learns': ('ald', 200_000, {'networks.learner_core': 'lstm'}),
        'ald_mingru_learns': (
          'ald',
          200_000,
          {'networks.learner_core': 'mingru'},
        ),
      },
    ),
    (
      'ablations',
      {
        'ald': ('ald', 200_000, {}),
        'ald_no_value_distillation': (
          'ald',
          200_000,
          {'distill_value_cost': 0.0},
        ),
        'ald_no_features': ('ald', 200_000, NO_FEATURES),
        'ald_no_regulariser': ('ald', 200_000, {'regulariser_cost': 0.0}),
        'ald_forward_kl': ('ald', 200_000, {'kl_direction': 'forward'}),
        'ald_vmpo': ('ald', 200_000, {'loss': 'vmpo'}),
      },
    ),
  ],
)
def test_runs_of_each_figure(name, expected):
  found = {}
  for run in _runs(reproduction.FIGURES[name]):
    fields = dict(run.fields)
    assert fields.pop('seed') == 0
    frames = fields.pop('max_frames')
    if run.agent != 'ald' and not fields['regulariser_cost']:
      del fields['regulariser_cost']  # 0 is the launcher's default.
    found[run.label.split('/')[1]] = (run.agent, frames, fields)
  assert found == expected


@pytest.mark.parametrize(
  'name, environment, kwargs',
  [
    ('i_maze_9', 'i_maze', 'size=9,limit=100'),
    ('wall_clock', 'i_maze', 'size=9,limit=100'),
    ('i_maze_15_seeds', 'i_maze', 'size=15,limit=250'),
    ('meta_fetch', 'meta_fetch', ''),
    ('trials', 'i_maze', 'size=5,hidden_rule=True,trial_episodes=5'),
    (
      'popgym_repeat',
      'gymnasium:popgym:popgym-RepeatPreviousEasy-v0',
      '',
    ),
    (
      'bsuite_memory',
      'bsuite.experiments.memory_len.memory_len:load',
      'memory_length=30',
    ),
    (
      'long_memory',
      'bsuite.experiments.memory_len.memory_len:load',
      'memory_length=100',
    ),
  ],
)
def test_tasks(name, environment, kwargs):
  for run in _runs(reproduction.FIGURES[name]):
    assert (run.environment, run.environment_kwargs) == (environment, kwargs)


@names
def test_fields_are_of_the_agent(figure):
  for run in _runs(figure) + _runs(figure, small=True):
    assert run.agent in catalogue.NAMES
    # Refuses others' fields.
    made = settings.make(run.agent, settings.nest(run.fields))
    assert made.experiment.target_return is None  # One horizon for all.


# The config.json that the launcher writes for a command line.
DESCRIBE = """
import dataclasses, json, sys
from launch import command_line, options
command_line.parse(['local.py', *sys.argv[1:]])
read = options.read(options.given())
print(json.dumps({
  'agent': read.agent,
  'environment': read.environment,
  'environment_kwargs': read.environment_kwargs,
  'config': dataclasses.asdict(read.config),
}))
"""


@pytest.mark.parametrize('method', experiments.METHODS)
def test_the_launcher_gets_the_settings(method, tmp_path):
  """The launcher's flags and defaults give the run that the figure needs."""
  figure = next(
    (figure for figure in LEARNING if method in figure.methods),
    dataclasses.replace(LEARNING[0], methods=[method]),
  )
  (run,) = figure.runs_of(method, figures.Order(str(tmp_path), 1))
  result = subprocess.run(
    [sys.executable, '-c', DESCRIBE, *run.command()[2:]],
    capture_output=True,
    text=True,
    cwd=ROOT,
    check=False,
  )
  assert result.returncode == 0, result.stderr
  os.makedirs(run.path)
  with open(run.folder.config, 'w') as file:
    file.write(result.stdout)
  with open(run.folder.summary, 'w') as file:
    file.write('{"stopped_because": "max_frames"}')
  assert run.is_done()


@names
def test_a_methods_fields_are_asked_for(figure):
  for method in figure.methods:
    (run,) = figure.runs_of(method, figures.Order('f', 1))
    known = settings.fields_of(run.agent)
    for name, value in experiments.METHODS[method].fields.items():
      if name.split('.')[0] in known:
        assert run.fields[name] == value


@names
def test_methods_look_different(figure):
  colours = [experiments.METHODS[method].colour for method in figure.methods]
  assert len(set(colours)) == len(colours)


@pytest.mark.parametrize('small', [False, True])
def test_figures_share_runs(small):
  """A label stands for the same run in every figure."""
  by_label = {}
  for figure in LEARNING:
    for run in _runs(figure, seeds=2, small=small):
      assert by_label.setdefault(run.label, run) == run
  assert 'i_maze_9/ald/seed_1' in by_label
  assert len({run.path for run in by_label.values()}) == len(by_label)


def test_seeds_come_one_after_the_other():
  labels = [
    run.label for run in _runs(reproduction.FIGURES['hogwild'], seeds=2)
  ]
  assert [label[-6:] for label in labels] == ['seed_0'] * 3 + ['seed_1'] * 3
  assert labels[3] == 'i_maze_9/ald/seed_1'


@names
def test_small_runs_are_small(figure):
  for run in _runs(figure, small=True):
    assert run.fields['max_frames'] <= 4_000
    assert run.fields['evaluation_episodes'] <= 10
    small = (
      'size=5',
      'limit=20',
      'size=5,limit=9,hidden_rule=True,trial_episodes=2',
      'memory_length=5',
      'max_episode_steps=20',
      'max_episode_steps=20,velocities=hidden',
    )
    # POPGym's episodes are short as they are: 51 steps.
    assert run.environment_kwargs.endswith(small) or 'popgym' in run.environment


@pytest.mark.parametrize('small', [False, True])
@names
def test_tasks_can_be_made(figure, small):
  _need_package(figure)
  run = _runs(figure, small=small)[0]
  arguments = registry.parse_arguments(run.environment_kwargs)
  registry.check(run.environment, arguments)


@pytest.mark.parametrize(
  'figure',
  [figure for figure in EXTERNAL if figure.name in RUN],
  ids=lambda figure: figure.name,
)
def test_external_tasks_run(figure, tmp_path):
  """Training, in processes of its own, for a moment."""
  _need_package(figure)
  order = figures.Order(str(tmp_path), seeds=1, small=True)
  run = figure.runs_of('ald', order)[0]
  done = subprocess.run(
    run.command(), capture_output=True, text=True, cwd=ROOT, check=False
  )
  assert run.is_done(), done.stdout + done.stderr


# Files of a figure.


@names
def test_make(figure, tmp_path, finish):
  order = figures.Order(str(tmp_path), seeds=2)
  assert not figure.make(order)
  assert not os.listdir(tmp_path)
  finish(figure.needs(order))
  assert figure.make(order)
  made = {
    ending: open(tmp_path / f'{figure.name}.{ending}', 'rb').read()
    for ending in ('png', 'svg', 'csv', 'md')
  }
  page = made['md'].decode()
  assert (
    'Seeds of each: 2. An interval over two' in page and 'SMOKE' not in page
  )
  assert 'Made by commit 0123456789.' in page
  for method in figure.methods:
    assert f'| {experiments.METHODS[method].title} | 2 |' in page
  assert len(made['csv'].splitlines()) == 1 + 2 * len(figure.methods)
  assert ('0.95' in page) == experiments.TASKS[figure.task].solvable
  figure.make(order)
  for ending, contents in made.items():
    with open(tmp_path / f'{figure.name}.{ending}', 'rb') as file:
      assert file.read() == contents, ending


def test_some_seeds_are_missing(tmp_path, finish):
  figure = reproduction.FIGURES['i_maze_15']
  order = figures.Order(str(tmp_path), seeds=3)
  needed = figure.needs(order)
  finish(needed)
  shutil.rmtree(needed[0].path)  # Of ALD.
  for run in needed:
    if run.agent == 'lstm':
      shutil.rmtree(run.path)
  assert figure.make(order)
  page = _read(tmp_path / 'i_maze_15.md')
  assert 'Seeds: ALD 2 of 3; GTrXL 3; LSTM 0 of 3.' in page
  assert '| ALD | 2 of 3 |' in page


def test_one_seed(tmp_path, finish):
  figure = reproduction.FIGURES['dprl']
  order = figures.Order(str(tmp_path), seeds=1, small=True)
  finish(figure.needs(order))
  assert figure.make(order)
  page = _read(tmp_path / 'dprl.md')
  assert 'Seeds of each: 1. One seed has no interval.' in page
  assert 'SMOKE RUN' in page and '(no interval)' in page


@pytest.mark.parametrize('small', [False, True])
@pytest.mark.parametrize('name', ['control', 'privileged'])
def test_runs_of_other_actions_can_be_created(name, small):
  """Their environments and fields; with --smoke too."""
  for run in _runs(reproduction.FIGURES[name], small=small):
    assert settings.make(run.agent, run.fields).experiment.max_frames > 0
    if figures.lacks(run.label.split('/')[0]):
      continue
    arguments = registry.parse_arguments(run.environment_kwargs)
    spec = registry.check(run.environment, arguments)
    seen = getattr(
      settings.make(run.agent, run.fields).config, 'actor_observations', ''
    )
    observed.parse(seen, spec.observations)


def test_several_tasks_side_by_side(finish, tmp_path):
  figure = reproduction.FIGURES['control']
  order = figures.Order(str(tmp_path), seeds=1)
  assert not figure.make(order)
  runs = figure.needs(order)
  assert [run.label for run in runs] == [
    'pendulum/ald/seed_0',
    'pendulum_hidden/ald/seed_0',
    'cartpole_swingup/ald/seed_0',
    'mine_sweeper/ald/seed_0',
    'knights_tour/ald/seed_0',
    'knights_tour/ald_unmasked/seed_0',
  ]
  assert runs[-1].environment_kwargs == 'masked=False'
  finish([run for run in runs if 'mine_sweeper' not in run.label])
  assert figure.make(order)  # Of those that have finished.
  page = _read(tmp_path / 'control.md')
  rows = [line for line in page.splitlines() if line.startswith('| ')]
  assert [row.split(' | ')[:2] for row in rows[2:]] == [
    ['| pendulum', 'ALD'],
    ['| pendulum_hidden', 'ALD'],
    ['| cartpole_swingup', 'ALD'],
    ['| knights_tour', 'ALD'],
    ['| knights_tour', 'ALD without the mask'],
  ]
  assert 'Made by commit 0123456789.' in page
  assert len(_read(tmp_path / 'control.csv').splitlines()) == 6
  assert os.path.getsize(tmp_path / 'control.png') > 5_000


@pytest.mark.parametrize('name', PUBLISHED)
def test_published_runs_match_the_catalogue(name):
  order = figures.Order(os.path.join(ROOT, 'results'), seeds=3)
  missing = [
    job.label
    for job in reproduction.FIGURES[name].needs(order)
    if not job.is_done()
  ]
  assert not missing


def test_published_runs_hold_no_path_of_a_machine():
  pattern = os.path.join(ROOT, 'results', 'runs', '**', 'config.json')
  paths = glob.glob(pattern, recursive=True)
  assert paths
  for path in paths:
    with open(path, encoding='utf-8') as file:
      command = json.load(file)['command']
    assert not [x for x in command if '=/' in x or x.startswith('/')], path


def test_files_kept_in_git(tmp_path):
  shutil.copy(os.path.join(ROOT, '.gitignore'), tmp_path)
  subprocess.run(['git', 'init', '-q', tmp_path], check=True)
  run = 'results/runs/i_maze_9/ald_dprl_0.5/seed_0'
  kept = [
    'results/README.md',
    'results/i_maze_9.png',
    'results/i_maze_9.csv',
    f'{run}/config.json',
    f'{run}/summary.json',
    f'{run}/logs/evaluator.csv',
  ]
  ignored = [
    f'{run}.log',
    f'{run}/.lock',
    f'{run}/progress.json',
    f'{run}/learning_curve.png',
    f'{run}/logs/learner.csv',
    f'{run}/checkpoints/checkpoint-000001.npz',
    f'{run}/tensorboard/evaluator/events',
    f'{run}/node_logs/launch-1/learner_0.log',
    'results/runs/latency.log',
    'results/smoke/i_maze_9.png',
    'results/smoke/runs/i_maze_9/ald/seed_0/config.json',
    'runs/ald-1/config.json',
  ]
  for path in kept + ignored:
    os.makedirs(os.path.dirname(tmp_path / path), exist_ok=True)
    open(tmp_path / path, 'w').close()
  listed = subprocess.run(
    ['git', '-C', tmp_path, 'ls-files', '--others', '--exclude-standard'],
    capture_output=True,
    text=True,
    check=True,
  ).stdout.splitlines()
  assert sorted(listed) == sorted(['.gitignore', *kept])

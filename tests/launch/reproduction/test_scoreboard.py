"""The scoreboard: one configuration, its returns and the required ones."""

import dataclasses
import json
import os
import shutil

import numpy as np
import pytest

from ald_acme.environments import registry
from launch.campaigns import jobs
from launch.reproduction import catalogue
from launch.reproduction import figures
from launch.reproduction import peers
from launch.reproduction import scoreboard

BOARD = catalogue.FIGURES['scoreboard']
SMALL = scoreboard.Scoreboard(
  'board',
  'A board.',
  (
    scoreboard.Row('one', 'One', 'i_maze', 'size=5', 1_000, 0.5, 'x 0.4: y'),
    scoreboard.Row('two', 'Two', 'i_maze', 'size=7', 2_000, 2.0),
  ),
  ['ald', 'lstm'],
  ['recurrent_ppo'],
)


@pytest.fixture
def order(tmp_path):
  return figures.Order(str(tmp_path), seeds=2)


def _finish(fake_run, job, value):
  """Makes the result of a job, with this return."""
  if isinstance(job, scoreboard.Chance):
    os.makedirs(os.path.dirname(job.path), exist_ok=True)
    with open(job.path, 'w', encoding='utf-8') as file:
      json.dump({'return': value, 'episodes': job.episodes}, file)
  elif isinstance(job, peers.PeerRun):
    os.makedirs(os.path.dirname(job.curve), exist_ok=True)
    with open(job.curve, 'w', encoding='utf-8') as file:
      file.write('frames,return,wall_seconds\n10,9.0,1.5\n')
      file.write(f'{job.frames},{value},2.5\n')
  else:
    fake_run(
      job.path,
      job.fields,
      agent=job.agent,
      environment=job.environment,
      environment_kwargs=job.environment_kwargs,
    )
    path = job.folder.summary
    with open(path, encoding='utf-8') as file:
      summary = json.load(file)
    with open(path, 'w', encoding='utf-8') as file:
      json.dump({**summary, 'final_return': value}, file)


def _read(path):
  with open(path, encoding='utf-8') as file:
    return file.read()


def test_one_default_configuration(order):
  """No field of ALD's is set for a task; all methods have the same frames."""
  for job in BOARD.needs(order):
    if getattr(job, 'agent', None) == 'ald':
      assert set(job.fields) == {'seed', 'max_frames'}
  for row in BOARD.rows:
    for method in (*BOARD.methods, *BOARD.peers):
      run = BOARD.run(row, method, 0, order)
      frames = run.frames if method in peers.PEERS else run.fields['max_frames']
      assert frames == row.frames
      assert (run.environment, run.environment_kwargs) == (
        row.environment,
        row.kwargs,
      )


@pytest.mark.parametrize('row', BOARD.rows, ids=lambda row: row.name)
def test_tasks_can_be_made(row):
  if row.package:
    pytest.importorskip(row.package)
  registry.check(row.environment, registry.parse_arguments(row.kwargs))


def test_labels_are_unique(order):
  labels = [job.label for job in BOARD.needs(order)]
  assert len(set(labels)) == len(labels)
  first = next(label for label in labels if 'random' not in label)
  assert first == 'scoreboard/cartpole/ald/seed_0'


def test_tasks_without_their_package_are_left_out(order):
  row = dataclasses.replace(SMALL.rows[0], package='no_such_package')
  board = dataclasses.replace(SMALL, rows=(row, SMALL.rows[1]))
  assert all('/two/' in job.label for job in board.needs(order))
  assert len(board.needs(order)) == 1 + 2 * 3


def test_make(order, fake_run):
  assert not SMALL.make(order)
  values = {
    ('one', 'random'): 0.1,
    ('two', 'random'): 1.0,
    ('one', 'ald'): 0.3,  # Half of the way from 0.1 to 0.5.
    ('two', 'ald'): 5.0,  # Above the bar, which is as good as on it.
    ('one', 'lstm'): 0.0,  # Below chance.
    ('two', 'recurrent_ppo'): 1.25,
  }
  for job in SMALL.needs(order):
    _, row, method, *_ = job.label.split('/')
    if (row, method) in values:
      _finish(fake_run, job, values[row, method])
  assert SMALL.make(order)
  lines = _read(order.path('board.md')).splitlines()
  rows = [line for line in lines if line.startswith('| ')]
  assert rows[0].split(' | ')[4:7] == ['ALD', 'LSTM', 'RecurrentPPO']
  assert rows[2] == (
    '| One | 1,000 | 0.5 | 0.1 | 0.3 [0.3, 0.3] | 0 [0, 0] | - | x 0.4: y |'
  )
  assert rows[3] == (
    '| Two | 2,000 | 2 | 1 | 5 [5, 5] | - | 1.25 [1.25, 1.25] | - |'
  )
  assert rows[4] == (
    '| method | tasks | interquartile mean | mean | ALD is better |'
  )
  # The runs of a task are equal, so the intervals have no width.
  assert rows[6:] == [
    '| ALD | 2 | 0.75 [0.75, 0.75] | 0.75 [0.75, 0.75] | - |',
    '| LSTM | 1 | 0.00 [0.00, 0.00] | 0.00 [0.00, 0.00] | 1.00 [1.00, 1.00] |',
    '| RecurrentPPO | 1 | 0.25 [0.25, 0.25] | 0.25 [0.25, 0.25] '
    '| 1.00 [1.00, 1.00] |',
  ]
  assert 'Below the required return: 1 of 2 tasks with runs.' in lines
  assert len(_read(order.path('board.csv')).splitlines()) == 1 + 4 * 2
  shutil.rmtree(SMALL.run(SMALL.rows[0], 'ald', 0, order).path)
  assert SMALL.make(order)
  assert 'one,ALD,1,0.3' in _read(order.path('board.csv')).splitlines()
  assert 'one,ALD,0,0.3' not in _read(order.path('board.csv')).splitlines()
  for ending in ('png', 'svg'):
    assert os.path.getsize(order.path(f'board.{ending}')) > 5_000


def test_shortfalls(order, fake_run):
  for seed, value in enumerate((0.4, 0.8)):
    job = SMALL.run(SMALL.rows[0], 'ald', seed, order)
    _finish(fake_run, job, value)
  assert SMALL.shortfalls(order) == []  # The second has no run.
  for seed, value in enumerate((1.0, 2.0)):
    job = SMALL.run(SMALL.rows[1], 'ald', seed, order)
    _finish(fake_run, job, value)
  assert SMALL.shortfalls(order) == [
    'Two: 1.5 [1, 2] at 2,000 frames, required: 2'
  ]


def test_smaller_settings_are_short(order):
  order = figures.Order(order.folder, 1, small=True)
  chance, run = BOARD.needs(order)
  assert chance.episodes == 4 and run.fields['max_frames'] == 2_000


@pytest.mark.parametrize(
  'environment, arguments, episodes, mean, error',
  [
    # A bandit's arms pay 1 in half of all pulls, as they are uniform.
    ('bandit', 'arms=3', 4_000, 0.5, 0.04),
    # Illegal moves earn nothing, and are not made.
    ('knights_tour', '', 200, 0.56, 0.04),
  ],
)
def test_chance(tmp_path, environment, arguments, episodes, mean, error):
  row = scoreboard.Row('b', 'B', environment, arguments, 100, 1.0)
  path = str(tmp_path / 'random.json')
  job = scoreboard.Chance('random', row, path, episodes=episodes)
  assert np.isnan(job.read())
  pool = jobs.Pool([job], 1)
  while pool.step():
    pass
  assert not pool.failed
  assert job.read() == pytest.approx(mean, abs=error)


def test_a_peer_has_a_python_of_its_own(order):
  run = SMALL.run(SMALL.rows[1], 'recurrent_ppo', 1, order)
  command = run.command()
  assert command[:4] == ['uv', 'run', '--isolated', '--no-project']
  requirements, script, *arguments = command[5:]
  assert os.path.exists(requirements.removeprefix('--with-requirements='))
  assert os.path.exists(script)
  assert arguments == ['i_maze', 'size=7', '2000', '1', run.curve]
  _finish(None, run, 0.25)
  assert run.is_done()
  assert (run.final_return(), run.seconds()) == (0.25, 2.5)
  longer = dataclasses.replace(run, frames=2 * run.frames)
  with pytest.raises(ValueError, match=r'ends at 2,000 .* requires 4,000'):
    longer.is_done()

"""Agents trained in one maze, played in others."""

import os
import time

import pytest

from launch.campaigns import jobs
from launch.reproduction import catalogue
from launch.reproduction import extrapolation
from launch.reproduction import figures

FIGURE = catalogue.FIGURES['extrapolation']


def _finish(play, value):
  os.makedirs(os.path.dirname(play.path), exist_ok=True)
  with open(play.path, 'w', encoding='utf-8') as file:
    file.write('policy,environment_kwargs,episodes,return,length\n')
    for policy in play.policies:
      for kwargs in play.environments:
        result = value if policy == 'actor' else value / 2
        file.write(f'{policy},{kwargs},{play.episodes},{result},9.0\n')


def _plays(order, figure=FIGURE):
  return [
    job for job in figure.needs(order) if isinstance(job, extrapolation.Play)
  ]


def test_runs_are_those_of_the_maze(tmp_path):
  order = figures.Order(str(tmp_path), 2)
  plays, needed = _plays(order), FIGURE.needs(order)
  labels = {job.label for job in needed}
  assert 'i_maze_15/ald/seed_1' in labels
  assert {play.run.label for play in plays} <= labels
  shared = catalogue.FIGURES['i_maze_15'].needs(order)
  assert {run.label for run in shared} <= labels


def test_a_task_of_another_package(tmp_path, monkeypatch):
  figure = catalogue.FIGURES['longer_memory']
  order = figures.Order(str(tmp_path), 1)
  assert _plays(order, figure)[0].environments[-1] == 'memory_length=3000'
  monkeypatch.setattr('importlib.util.find_spec', lambda name: None)
  assert figure.lacks() == 'bsuite'
  assert FIGURE.lacks() is None


@pytest.mark.parametrize('memory', [32, 128])
def test_other_memories_are_asked_for(tmp_path, memory):
  """A nested field reaches the run; it was once dropped."""
  order = figures.Order(str(tmp_path), 1)
  (run,) = (
    job
    for job in FIGURE.needs(order)
    if job.label == f'i_maze_15/ald_memory_{memory}/seed_0'
  )
  assert run.fields['networks.gtrxl_memory'] == memory


@pytest.mark.parametrize(
  'name, texts',
  [
    ('extrapolation', ('GTrXL, memory 64', '15x15 | 21x21', 'at 15x15 only')),
    ('longer_memory', ('GTrXL, memory 128', '3000 steps |', '100 steps only')),
  ],
)
def test_make(tmp_path, fake_run, name, texts):
  figure = catalogue.FIGURES[name]
  order = figures.Order(str(tmp_path), 2)
  assert not figure.make(order)
  for play in _plays(order, figure):
    method, seed = play.label.split('/')[1:]
    if method == 'ald':
      fake_run(
        play.run.path,
        play.run.fields,
        environment=play.run.environment,
        environment_kwargs=play.run.environment_kwargs,
      )
      _finish(play, 0.5 + 0.5 * int(seed[-1]))
      assert play.is_done()
  assert figure.make(order)
  with open(tmp_path / f'{name}.md', encoding='utf-8') as file:
    page = file.read()
  assert '| ALD: actor (LSTM) | 2 | 0.75 [0.50, 1.00] |' in page
  assert f'| ALD: learner ({texts[0]}) | 2 | 0.38 [0.25, 0.50] |' in page
  assert texts[1] in page and texts[2] in page
  assert '| LSTM alone | 0 | - |' in page
  assert 'Made by commit 0123456789.' in page
  for ending in ('png', 'svg', 'csv'):
    assert os.path.getsize(tmp_path / f'{name}.{ending}') > 500


def test_unfinished_runs_are_not_played(tmp_path):
  order = figures.Order(str(tmp_path), 1)
  play = _plays(order)[0]
  with pytest.raises(ValueError, match='i_maze_15/ald/seed_0 has not finished'):
    play.prepare()
  _finish(play, 1.0)  # As an earlier version did.
  assert not FIGURE.make(order)


def test_results_of_other_mazes_are_rejected(tmp_path):
  order = figures.Order(str(tmp_path), 1)
  play = _plays(order)[0]
  _finish(play, 1.0)
  assert play.is_done()
  with open(play.path, encoding='utf-8') as file:
    text = file.read()
  with open(play.path, 'w', encoding='utf-8') as file:
    file.write(text.replace('size=31', 'size=33'))
  with pytest.raises(ValueError, match=r'seed_0.csv .* delete it'):
    play.is_done()


@pytest.mark.timeout(600)
def test_a_real_run_is_played(tmp_path):
  """Trains for a moment, then plays both policies in two mazes."""
  order = figures.Order(str(tmp_path), 1, small=True)
  play = _plays(order)[0]
  pool = jobs.Pool([play, play.run], 2)  # The run comes first none the less.
  pool.step()
  assert [job for job, _ in pool.running] == [play.run]
  while pool.step():
    time.sleep(0.1)
  assert not pool.failed
  rows = play.read()
  assert [(row['policy'], row['environment_kwargs']) for row in rows] == [
    (policy, kwargs)
    for policy in ('actor', 'learner')
    for kwargs in ('size=9', 'size=15')
  ]
  assert all(-1.0 <= float(row['return']) <= 1.0 for row in rows)
  assert FIGURE.make(order)

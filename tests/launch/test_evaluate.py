"""`evaluate.py`: a table and a recording, or a one-line error."""

import json
import os
import re

import numpy as np
from PIL import Image
import pytest

from ald_acme.acting import evaluation
from ald_acme.acting import policies
from ald_acme.environments.tasks import i_maze

NUMBER = r'-?[\d.]+'


def _rows(out):
  """The table's rows by name."""
  rows = re.findall(r'^  (\w[\w, ]*?)  +(.*)$', out, re.MULTILINE)
  return dict(rows)


def test_a_table_and_a_recording(make_run, launch, tmp_path):
  made = make_run()
  done = launch(
    'evaluate.py',
    f'--workdir={made.path}',
    '--episodes=130',
    '--seed=5',
    '--record=new/episode.gif',
  )
  assert done.status == 0, done.error
  rows = _rows(done.out)
  assert rows['policy'] == 'actor of ald'
  assert rows['environment'] == 'i_maze(size=5,limit=12)'
  assert rows['checkpoint'] == made.checkpoint
  assert rows['frames'] == '12,345'
  assert rows['episodes'] == '130, seed 5'

  # The same episodes, played here with the network that was saved.
  maze = i_maze.BatchedIMaze(batch_size=100, size=5, limit=12, seed=5)
  spec = maze.observation_spec()
  policy = policies.BatchedPolicy(made.networks.actor, spec, 100, 5)
  first, second = evaluation.play(maze, policy), evaluation.play(maze, policy)
  returns = np.append(first.returns, second.returns[:30])
  lengths = np.append(first.lengths, second.lengths[:30])
  for name, values in (('mean return', returns), ('mean length', lengths)):
    mean, low, high = map(
      float, re.findall(NUMBER, rows[name].replace('95%', ''))
    )
    np.testing.assert_allclose(mean, values.mean(), rtol=1e-3)
    error = 1.96 * values.std() / np.sqrt(130)
    np.testing.assert_allclose(
      (low, high), (mean - error, mean + error), atol=0.35 * error
    )
  assert rows['median return'] == f'{np.median(returns):.4g}'
  assert rows['least, most'] == '0, 1'
  success = evaluation.success_rate(returns, 0.95)
  assert rows['success rate'].startswith(f'{success.share:.4g} (95%: ')
  assert 'at least 0.95' in rows['success rate']

  (steps,) = re.findall(r'recorded (\d+) steps: new/episode.gif', done.out)
  with Image.open(tmp_path / 'new' / 'episode.gif') as gif:
    assert gif.n_frames == int(steps) + 1


def test_the_learner_in_another_environment(make_run, launch):
  done = launch(
    'evaluate.py',
    f'--workdir={make_run().path}',
    '--policy=learner',
    '--episodes=1',
    '--success_return=0',
    '--environment_kwargs=size=7,limit=3',
  )
  assert done.status == 0, done.error
  rows = _rows(done.out)
  assert rows['policy'] == 'learner of ald'
  assert rows['environment'] == 'i_maze(size=7,limit=3)'
  assert rows['success rate'].startswith('1 (')
  assert rows['success rate'].endswith('a return of at least 0')
  assert rows['mean length'] == '3 (one episode has no interval)'


@pytest.mark.parametrize(
  'flags, texts',
  [
    ((), ('--workdir must be given',)),
    (('--workdir=run-ald', '--episodes=0'), ('episodes', '0')),
    (('--workdir=run-ald', '--seed=-1'), ('seed', '-1')),
    (('--workdir=run-ald', '--policy=critic'), ('policy', 'critic', 'learner')),
    (('--workdir=run-ald', '--record=a.png'), ('--record', '.gif', 'a.png')),
    (('--workdir=run-ald', '--fps=0'), ('fps', '0')),
    (
      ('--workdir=run-ald', '--environment_kwargs=colour=3'),
      ('colour', 'limit'),
    ),
    (('--workdir=run-ald', '--environment_kwargs=x'), ('environment_kwargs',)),
    (('--workdir=run-ald', 'stray'), ('stray',)),
  ],
)
def test_usage(make_run, launch, flags, texts):
  make_run()
  done = launch('evaluate.py', *flags)
  assert done.status == 2
  for text in texts:
    assert text in done.refusal()


def test_no_run(launch):
  done = launch('evaluate.py', '--workdir=nowhere')
  assert done.status == 1
  assert "'nowhere' holds no run" in done.refusal()


def test_no_checkpoint_yet(make_run, launch):
  made = make_run()
  os.remove(made.checkpoint)
  done = launch('evaluate.py', f'--workdir={made.path}')
  assert done.status == 1
  assert 'no checkpoint yet' in done.refusal()


def test_environment_that_the_checkpoint_does_not_fit(make_run, launch):
  done = launch(
    'evaluate.py',
    f'--workdir={make_run().path}',
    '--environment_kwargs=size=5,view=5',
  )
  assert done.status == 1
  assert 'does not fit' in done.refusal()
  assert 'view=5' in done.refusal()


def test_a_recording_that_cannot_be_written(make_run, launch, tmp_path):
  (tmp_path / 'file').write_text('precious')
  done = launch(
    'evaluate.py', f'--workdir={make_run().path}', '--record=file/x.gif'
  )
  assert done.status == 1
  assert '--record' in done.refusal()
  assert 'cannot be written' in done.refusal()
  assert (tmp_path / 'file').read_text() == 'precious'


@pytest.mark.parametrize('name', ['evaluate.py', 'export.py'])
def test_untrusted_code(name, make_run, launch, tmp_path, monkeypatch):
  """Code that a run's folder names needs trust from the command line."""
  (tmp_path / 'theirs.py').write_text(
    'from ald_acme.environments.tasks import i_maze\n'
    'open("imported", "w").close()\n'
    'def make(seed):\n'
    '  return i_maze.IMaze(size=5, limit=12, seed=seed)\n'
  )
  monkeypatch.setenv('PYTHONPATH', str(tmp_path))
  made = make_run()
  config = f'{made.path}/config.json'
  with open(config, encoding='utf-8') as file:
    saved = json.load(file)
  saved.update(environment='theirs:make', environment_kwargs='')
  with open(config, 'w', encoding='utf-8') as file:
    json.dump(saved, file)
  flags = [f'--workdir={made.path}']
  flags += ['--format=numpy'] if name == 'export.py' else ['--episodes=2']
  done = launch(name, *flags)
  assert done.status == 2
  assert "'theirs:make'" in done.refusal() and '--trust' in done.refusal()
  assert '--environment=theirs:make' in done.refusal()
  done = launch(name, *flags, '--environment=theirs:other')
  assert done.status == 2 and 'theirs:other' in done.refusal()
  assert not (tmp_path / 'imported').exists()
  word = '--trust' if name == 'export.py' else '--environment=theirs:make'
  done = launch(name, *flags, word)
  assert done.status == 0, done.error


def test_help_names_the_flags(launch):
  done = launch('evaluate.py', '--help')
  assert done.status == 0
  for flag in ('workdir', 'episodes', 'policy', 'seed', 'record'):
    assert f'--{flag}' in done.out.replace('--[no]', '--')


def test_why_the_environment_is_not_drawn(make_run, launch):
  made = make_run(environment='gymnasium:CartPole-v1', kwargs='')
  done = launch(
    'evaluate.py', f'--workdir={made.path}', '--episodes=1', '--record=a.gif'
  )
  assert done.status == 0, done.error
  assert re.search(
    r'without the environment: .*render_mode=rgb_array', done.out
  )
  assert 'WARN' not in done.error

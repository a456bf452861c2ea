"""Runs of a grid, their table, and a repeated command."""

import os
import pathlib
import subprocess
import sys

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))
# As the script, with a launcher that trains nothing.
FAKED = """
import sys
from launch import sweep
from launch import command_line
from launch.campaigns import runs
runs.LAUNCHER = sys.argv.pop(1)
command_line.run(sweep.main)
"""
GRID = (
  '--sweep=config.learner_learning_rate=1e-3,3e-4',
  '--sweep=networks.lstm=8,16',
  '--seeds=2',
  '--seed=5',
  '--agent=lstm',
  '--config.discount=0.9',
  '--max_frames=1000',
  '--folder=rates',
)


@pytest.fixture
def sweep(fake_launcher, tmp_path):
  """Runs the program with the fake launcher: status, output and errors."""

  def run(*arguments, fake='', path=None):
    path = os.environ['PATH'] if path is None else path
    done = subprocess.run(
      [sys.executable, '-c', FAKED, fake_launcher, *arguments],
      capture_output=True,
      text=True,
      cwd=tmp_path,
      env={**os.environ, 'PYTHONPATH': ROOT, 'FAKE': fake, 'PATH': path},
      check=False,
    )
    assert 'Traceback' not in done.stdout + done.stderr, done.stderr
    return done.returncode, done.stdout, done.stderr

  return run


def _table(out):
  """The table's rows, each by the names of its columns."""
  lines = [line for line in out.splitlines() if line.startswith('| ')]
  names, _, *rows = ([x.strip() for x in x.split('|')[1:-1]] for x in lines)
  return [dict(zip(names, row)) for row in rows]


def test_a_grid_and_its_remaining_runs(sweep, tmp_path):
  status, out, _ = sweep(*GRID, fake='fail lstm=16/seed_6')
  assert status == 1
  assert 'lstm=16/seed_6 failed' in out and 'this run fails' in out
  rows = _table(out)
  assert [
    (row['learner_learning_rate'], row['networks.lstm'], row['seeds'])
    for row in rows
  ] == [
    ('0.001', '8', '2'),
    ('0.001', '16', '1 of 2'),
    ('0.0003', '8', '2'),
    ('0.0003', '16', '1 of 2'),
  ]
  # The fake's return is 0.1 (seed + 1) a tenth of the frames: 1 for both.
  assert rows[0]['final return'].startswith('1.000')
  assert rows[0]['frames to solved, by seed'] == '200 / 200'

  runs = tmp_path / 'rates' / 'runs'
  before = {x: x.stat().st_mtime_ns for x in runs.rglob('summary.json')}
  assert len(before) == 6
  status, out, _ = sweep(*GRID)
  assert status == 0
  assert [row['seeds'] for row in _table(out)] == ['2'] * 4
  after = {x: x.stat().st_mtime_ns for x in runs.rglob('summary.json')}
  assert len(after) == 8 and before.items() <= after.items()
  assert _table((tmp_path / 'rates' / 'sweep.md').read_text()) == _table(out)
  # The same folder holds no other sweep.
  status, _, error = sweep(*GRID, '--config.discount=0.8')
  assert status == 1 and 'discount=0.9' in error and '0.8' in error


def test_a_real_run(launch, tmp_path):
  done = launch(
    'sweep.py',
    '--sweep=entropy_cost=0.02',
    '--environment_kwargs=size=5',
    '--preset=tiny',
    '--max_frames=600',
    '--envs_per_actor=4',
    '--config.evaluation_episodes=2',
    '--folder=small',
  )
  assert done.status == 0, done.error
  (row,) = _table(done.out)
  assert (row['entropy_cost'], row['seeds']) == ('0.02', '1')


def test_help_has_only_flags_of_a_sweep(launch):
  shown = launch('sweep.py', '--help').out
  assert '--max_frames' in shown and '--cpus' in shown
  for flag in ('--workdir', '--[no]resume', '--wandb_project'):
    assert f'{flag}:' not in shown
  assert '.;' not in shown


@pytest.mark.parametrize(
  'flags, texts',
  [
    ([], ('--folder must be given',)),
    (['--sweep=discount'], ("'discount'", 'config.discount=0.9,0.99')),
    (['--sweep=discount=0.9,'], ("'discount=0.9,'", '0.9,0.99')),
    (['--sweep=discont=1'], ("'discont'", 'is discount meant?')),
    (['--sweep=wings=1'], ("'wings'", '--help')),
    (['--sweep=dprl=1', '--agent=lstm'], ("'dprl'", 'agent lstm')),
    (['--sweep=discount=much'], ('discount', "'much'")),
    (['--sweep=discount=0.9,2'], ('discount', '2.0', 'from 0.0 to 1.0')),
    (['--sweep=discount=0.9,0.90'], ('is repeated',)),
    (['--sweep=discount=1', '--sweep=discount=0'], ('swept twice',)),
    (['--sweep=seed=1,2'], ('--seeds',)),
    (['--seeds=0'], ('seeds', '0')),
    (['--workdir=x'], ('--workdir', '--folder')),
    (['--wandb_project=mine'], ('wandb_project', "'mine'")),
    (['--environment_kwargs=size=8'], ('size', '8', 'odd')),
  ],
)
def test_wrong_command_lines(flags, texts, sweep, tmp_path):
  folder = ['--folder=f'] if flags else []
  status, _, error = sweep(*folder, *flags)
  assert status == 2
  (line,) = (x for x in error.splitlines() if x.startswith('error: '))
  for text in texts:
    assert text in line
  assert not (tmp_path / 'f').exists()


# In the place of Slurm's own: it runs the tasks at once.
SBATCH = """#!/bin/bash
[ "$1" = --test-only ] && exit 0
script=$2
echo "$script" > submitted
for task in $(sed -n 's/^#SBATCH --array=0-\\([0-9]*\\)%.*/\\1/p' $script |
              xargs seq 0); do
  SLURM_ARRAY_TASK_ID=$task bash $script
done
echo 77
"""


def test_an_array_of_slurm(sweep, tmp_path):
  commands = tmp_path / 'bin'
  commands.mkdir()
  queued = tmp_path / 'queued'
  squeue = f'#!/bin/bash\ncat {queued} 2> /dev/null || true\n'
  for name, text in (('sbatch', SBATCH), ('squeue', squeue)):
    (commands / name).write_text(text)
    (commands / name).chmod(0o755)
  path = f'{commands}:{os.environ["PATH"]}'
  array = (*GRID, '--slurm', '--workers=3', '--cpus=4', '--time=1:00:00')
  status, out, error = sweep(*array, path=path)
  assert status == 0, error
  assert 'array 77 of 8 runs' in out
  assert [row['seeds'] for row in _table(out)] == ['2'] * 4
  script = pathlib.Path(tmp_path / 'rates' / 'array.sh').read_text()
  for option in ('array=0-7%3', 'cpus-per-task=4', 'time=1:00:00'):
    assert f'#SBATCH --{option}\n' in script
  status, out, _ = sweep(*array, path=path)
  assert status == 0 and 'no job was submitted' in out
  queued.write_text('77_1 sweep')
  status, _, error = sweep(*array, '--seeds=3', path=path)
  assert status == 1 and 'array 77' in error and 'scancel 77' in error

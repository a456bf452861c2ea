"""A run under a real Slurm: it ends, is cancelled, is resumed."""

import json
import os
import subprocess
import sys
import time

import pytest

from ald_acme import checkpoints
from ald_acme import run_folder

pytestmark = [pytest.mark.slurm, pytest.mark.timeout(1200)]

_ROOT = os.path.abspath(
  os.path.join(os.path.dirname(__file__), *[os.pardir] * 3)
)
_START = 480  # Seconds that a step of the test may take on a busy machine.
_TINY = (
  '--platform=slurm',
  '--environment_kwargs=size=5',
  '--envs_per_actor=16',
  '--config.evaluation_episodes=20',
  '--config.learner_evaluation_episodes=10',
)


class Cluster:
  """Slurm's commands, and launches."""

  def __init__(self, environment):
    self.environment = environment

  def run(self, *command):
    done = subprocess.run(
      command,
      env=self.environment,
      capture_output=True,
      text=True,
      check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout

  def launch(self, *flags):
    """Submits a job and returns its number."""
    program = os.path.join(_ROOT, 'launch', 'cluster.py')
    out = self.run(sys.executable, program, *flags)
    (line,) = (x for x in out.splitlines() if x.startswith('Submitted job '))
    return line.removeprefix('Submitted job ').split(';')[0]

  def job(self, number):
    """State and exit code of a job."""
    shown = self.run('scontrol', '--oneliner', 'show', 'job', number)
    fields = dict(f.split('=', 1) for f in shown.split() if '=' in f)
    return fields['JobState'], fields['ExitCode']

  def wait_for_end(self, number, output):
    deadline = time.monotonic() + _START
    while self.job(number)[0] in ('PENDING', 'RUNNING', 'COMPLETING'):
      assert time.monotonic() < deadline, _text(output)
      time.sleep(0.5)
    return self.job(number)


@pytest.fixture(scope='module')
def cluster(slurm):
  return Cluster(slurm)


def _text(path):
  return path.read_text() if path.exists() else 'nothing'


def _output(run, number):
  return run / 'slurm' / f'job-{number}.out'


def _progress(run):
  try:
    return json.loads((run / 'progress.json').read_text())
  except FileNotFoundError:
    return {'frames': 0, 'learner_updates': 0, 'state': 'starting'}


def _wait_for_updates(cluster, run, number, least):
  deadline = time.monotonic() + _START
  while _progress(run)['learner_updates'] < least:
    assert cluster.job(number)[0] in ('PENDING', 'RUNNING'), _text(
      _output(run, number)
    )
    assert time.monotonic() < deadline, _progress(run)
    time.sleep(0.5)


def _summary(run):
  return json.loads((run / 'summary.json').read_text())


def test_a_job_ends_as_its_program_does(cluster, tmp_path):
  run = tmp_path / 'a run'
  # Components of a job are on hosts of their own.
  number = cluster.launch(
    *_TINY,
    f'--workdir={run}',
    '--max_frames=4000',
    '--num_distillers=2',
    '--distill_cpus=2',
    '--base_port=23500',
  )
  state = cluster.wait_for_end(number, _output(run, number))
  assert state == ('COMPLETED', '0:0'), _text(_output(run, number))
  summary = _summary(run)
  assert summary['stopped_because'] == 'max_frames'
  assert summary['frames'] >= 4000
  assert summary['actor_updates'] > 0 and summary['learner_updates'] > 0
  names = {'replay_0', 'learner_0', 'actor_0', 'distill_0', 'monitor_0'}
  logs = run / 'node_logs' / 'launch-1'
  assert {f'{name}.log' for name in names} <= set(os.listdir(logs))
  assert 'max_frames' in _text(_output(run, number))


def test_cancelled_with_a_checkpoint_and_resumed(cluster, tmp_path):
  run = tmp_path / 'run'
  number = cluster.launch(
    *_TINY,
    f'--workdir={run}',
    '--max_frames=100000000',
    '--config.checkpoint_period=100000',
  )
  _wait_for_updates(cluster, run, number, least=3)
  folder = run_folder.RunFolder(str(run))
  saved = checkpoints.CheckpointFolder(folder.checkpoints)
  assert not saved.paths()  # So what is found below the cancelling wrote.
  cluster.run('scancel', number)
  cluster.wait_for_end(number, _output(run, number))
  assert _summary(run)['stopped_because'] == 'interrupted', _text(
    _output(run, number)
  )
  state = saved.latest().state
  frames = int(state['counts']['frames'])
  assert frames > 0 and int(state['learner']['updates']) >= 3

  again = cluster.launch(
    '--platform=slurm',
    f'--workdir={run}',
    '--resume',
    f'--max_frames={frames + 4000}',
  )
  ended = cluster.wait_for_end(again, _output(run, again))
  assert ended == ('COMPLETED', '0:0'), _text(_output(run, again))
  summary = _summary(run)
  assert summary['stopped_because'] == 'max_frames'
  assert summary['frames'] >= frames + 4000
  assert summary['learner_updates'] > int(state['learner']['updates'])
  assert saved.paths()[0].endswith('checkpoint-000002.npz')


def test_queued_again_it_goes_on(cluster, tmp_path):
  run = tmp_path / 'run'
  number = cluster.launch(*_TINY, f'--workdir={run}', '--max_frames=100000000')
  _wait_for_updates(cluster, run, number, least=3)
  cluster.run('scontrol', 'requeue', number)
  deadline = time.monotonic() + _START
  while not (run / 'node_logs' / 'launch-2').exists():
    assert time.monotonic() < deadline, _text(_output(run, number))
    time.sleep(0.5)
  frames = _summary(run)['frames']
  _wait_for_updates(cluster, run, number, _summary(run)['learner_updates'] + 1)
  assert _progress(run)['frames'] > frames
  assert 'from the beginning' in _text(_output(run, number))
  assert 'checkpoint-000001.npz' in _text(_output(run, number))
  cluster.run('scancel', number)
  cluster.wait_for_end(number, _output(run, number))


def test_a_node_that_dies_fails_the_job(cluster, tmp_path, monkeypatch):
  run = tmp_path / 'run'
  (tmp_path / 'fails_in_nodes.py').write_text(
    'import os\n'
    'from ald_acme.environments import i_maze\n'
    'def make():\n'
    '  if "SLURM_STEP_ID" in os.environ:\n'
    '    raise OSError("no such maze")\n'
    '  return i_maze.IMaze(size=5)\n'
  )
  monkeypatch.setitem(cluster.environment, 'PYTHONPATH', str(tmp_path))
  number = cluster.launch(
    '--platform=slurm', f'--workdir={run}', '--environment=fails_in_nodes:make'
  )
  state = cluster.wait_for_end(number, _output(run, number))
  assert state == ('FAILED', '1:0')
  assert 'error: node ' in _text(_output(run, number))
  assert 'no such maze' in _text(_output(run, number))

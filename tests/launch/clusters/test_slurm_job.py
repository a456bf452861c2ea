"""Runs under a real Slurm: learning, failing actors, stopping, resuming."""

import contextlib
import json
import os
import random
import socket
import sys
import time

import psutil
import pytest

from ald_acme.runs import checkpoints
from ald_acme.runs import folder as run_folder

pytestmark = [pytest.mark.slurm, pytest.mark.timeout(1200)]

_ROOT = os.path.abspath(
  os.path.join(os.path.dirname(__file__), *[os.pardir] * 3)
)
_START = 480  # Seconds that a step of a test may take on a busy machine.
_FOR_EVER = '--max_frames=100000000'
_RUNS = ('PENDING', 'RUNNING', 'COMPLETING')


def _free_ports():
  """The first of some ports in a row that no program listens on."""
  while True:
    first = random.randrange(20_000, 30_000)  # Connections take higher ones.
    with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
      for port in range(first, first + 20):
        stack.enter_context(socket.socket()).bind(('', port))
      return first


class Job:
  """A submitted job."""

  def __init__(self, slurm, workdir, *flags):
    program = os.path.join(_ROOT, 'launch', 'cluster.py')
    out = slurm.run(
      *(sys.executable, program, '--platform=slurm'),
      *(f'--workdir={workdir}', f'--base_port={_free_ports()}', *flags),
    )
    (line,) = (x for x in out.splitlines() if x.startswith('Submitted job '))
    self.number = line.removeprefix('Submitted job ').split(';')[0]
    self._slurm = slurm
    self._output = workdir / 'slurm' / f'job-{self.number}.out'
    self.folder = run_folder.RunFolder(str(workdir))
    self.workdir = workdir

  def state(self):
    """State and exit code."""
    shown = self._slurm.run(
      'scontrol', '--oneliner', 'show', 'job', self.number
    )
    fields = dict(f.split('=', 1) for f in shown.split() if '=' in f)
    return fields['JobState'], fields['ExitCode']

  def output(self):
    return self._output.read_text() if self._output.exists() else 'nothing'

  def wait_for(self, condition):
    deadline = time.monotonic() + _START
    while not condition():
      assert self.state()[0] in _RUNS, self.output()
      assert time.monotonic() < deadline, (self.progress(), self.output())
      time.sleep(0.2)

  def end(self):
    """State and exit code at the end."""
    deadline = time.monotonic() + _START
    while self.state()[0] in _RUNS:
      assert time.monotonic() < deadline, self.output()
      time.sleep(0.2)
    return self.state()

  def progress(self):
    try:
      return json.loads((self.workdir / 'progress.json').read_text())
    except FileNotFoundError:
      return {'frames': 0, 'learner_updates': 0, 'actor_return': None}

  def wait_for_more(self, field, more):
    least = self.progress()[field] + more
    self.wait_for(lambda: self.progress()[field] >= least)

  def summary(self):
    return json.loads((self.workdir / 'summary.json').read_text())

  def logs(self, launch):
    return self.workdir / 'node_logs' / f'launch-{launch}'

  def node(self, launch, name):
    """The process of a node; its children print to its log too."""
    log = self.logs(launch) / f'{name}.log'
    (found,) = (
      process
      for process in psutil.process_iter()
      if _leads_its_session(process) and _prints_to(process, log)
    )
    return found


def _leads_its_session(process):
  try:
    return os.getsid(process.pid) == process.pid
  except ProcessLookupError:
    return False


def _prints_to(process, path):
  try:
    return os.path.samefile(f'/proc/{process.pid}/fd/1', path)
  except OSError:
    return False


@pytest.fixture(scope='module')
def broken(slurm, tmp_path_factory):
  """A job whose learner was killed once there was a checkpoint."""
  job = Job(
    slurm,
    tmp_path_factory.mktemp('runs') / 'a run',
    '--environment_kwargs=size=5',
    '--envs_per_actor=16',
    '--num_distillers=2',
    '--target_return=0.95',
    '--max_frames=400000',
    '--config.evaluation_period=1',
    '--config.checkpoint_period=1',
  )
  saved = checkpoints.CheckpointFolder(job.folder.checkpoints)

  def updates():
    newest = saved.latest()
    return int(newest.state['learner']['updates']) if newest else 0

  job.wait_for(updates)
  job.node(1, 'learner_0').kill()
  return job, job.end(), updates()


def test_a_lost_learner_fails_the_job(broken):
  job, end, _ = broken
  assert end == ('FAILED', '1:0'), job.output()
  assert 'error: node learner_0 failed (signal 9)' in job.output()


@pytest.fixture(scope='module')
def solved(broken, slurm):
  """A job that learns the maze although its actors are killed."""
  first, _, updates = broken
  job = Job(
    slurm,
    first.workdir,
    '--resume',
    '--distill_cpus=2',  # Components of a job are on hosts of their own.
  )
  job.wait_for(lambda: job.progress()['learner_updates'] > updates + 10)
  for name in ('actor_0', 'evaluator_0'):
    job.node(2, name).kill()
  killed_at = job.progress()['frames']
  return job, job.end(), killed_at


def test_learns_though_actor_and_evaluator_are_killed(solved):
  job, end, killed_at = solved
  assert end == ('COMPLETED', '0:0'), job.output()
  summary = job.summary()
  # Entering goals at random gives 0.5.
  assert summary['stopped_because'] == 'target_return', job.output()
  assert summary['final_return'] > 0.8
  # There was no other actor, nor evaluator.
  assert summary['frames'] > killed_at + 5_000
  for name in ('actor_0', 'evaluator_0'):
    assert f'node {name} ended after' in job.output()
    log = (job.logs(2) / f'{name}.log').read_text()
    assert '(signal 9), and begins again' in log
  names = {'replay_0', 'learner_0', 'actor_0', 'distill_0', 'monitor_0'}
  assert {f'{name}.log' for name in names} <= set(os.listdir(job.logs(2)))


def test_resumed_queued_again_and_cancelled(solved, slurm):
  first, _, _ = solved
  frames = first.summary()['frames']
  job = Job(
    slurm,
    first.workdir,
    '--resume',
    '--target_return=none',
    _FOR_EVER,
    '--num_actors=2',  # The second has a host of its own, n3.
    '--config.checkpoint_period=100000',
  )
  job.wait_for((job.logs(3) / 'actor_1.log').exists)
  job.wait_for(lambda: job.progress()['actor_return'] is not None)
  # An untrained policy is near 0. The first evaluation has ten episodes.
  assert job.progress()['actor_return'] > 0.5, 'its parameters were lost'
  job.wait_for_more('learner_updates', 3)

  slurm.lose_host('n3')  # No other node was there.
  job.wait_for(lambda: 'node actor_1 is lost with its host n3' in job.output())
  job.wait_for_more('learner_updates', 3)
  slurm.lose_host('n2')  # The distillers were there, and the last actor.
  slurm.bring_host_back('n2')
  slurm.bring_host_back('n3')
  job.wait_for((job.logs(4) / 'actor_1.log').exists)
  assert 'its host n2 is lost' in job.output()
  job.wait_for(lambda: job.progress()['frames'] > frames)

  saved = checkpoints.CheckpointFolder(job.folder.checkpoints)
  before = saved.paths()[0]
  job.wait_for_more('learner_updates', 3)
  updates = job.progress()['learner_updates']
  slurm.run('scancel', job.number)
  assert job.end()[0] == 'CANCELLED'
  assert job.summary()['stopped_because'] == 'interrupted', job.output()
  assert saved.paths()[0] != before
  assert int(saved.latest().state['learner']['updates']) >= updates


def test_a_node_that_fails_fails_the_job(slurm, tmp_path, monkeypatch):
  (tmp_path / 'fails_in_nodes.py').write_text(
    'import os\n'
    'from ald_acme.environments.tasks import i_maze\n'
    'def make():\n'
    '  if "SLURM_STEP_ID" in os.environ:\n'
    '    raise OSError("no such maze")\n'
    '  return i_maze.IMaze(size=5)\n'
  )
  monkeypatch.setitem(slurm.environment, 'PYTHONPATH', str(tmp_path))
  job = Job(
    slurm,
    tmp_path / 'run',
    '--agent=lstm',
    '--environment=fails_in_nodes:make',
  )
  assert job.end() == ('FAILED', '1:0')
  assert 'error: node ' in job.output()
  assert 'no such maze' in job.output()


@pytest.mark.parametrize(
  'flag,said',
  [
    ('--cpus=64', 'Requested node configuration is not available'),
    ('--partition=long', "must be one of main, but received 'long'"),
  ],
)
def test_unknown_slurm_resources(
  flag, said, slurm, launch, monkeypatch, tmp_path
):
  for name in ('PATH', 'SLURM_CONF'):
    monkeypatch.setenv(name, slurm.environment[name])
  done = launch('cluster.py', '--platform=slurm', '--workdir=run', flag)
  assert done.status != 0
  assert said in done.refusal()
  assert not (tmp_path / 'run').exists()

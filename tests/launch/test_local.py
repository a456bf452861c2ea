"""Real runs in real processes: learning, stopping, crashing, resuming."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from typing import ClassVar

import numpy as np
import psutil
import pytest

from ald_acme.runs import checkpoints
from ald_acme.runs import curves
from ald_acme.runs import folder as run_folder

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))
LOCAL = os.path.join(ROOT, 'launch', 'local.py')
SIZE = '--environment_kwargs=size=5'
START = 240  # Seconds that a start may take on a busy machine.


class Run:
  """A launcher process and what it leaves behind."""

  started: ClassVar[list[subprocess.Popen]] = []

  def __init__(self, workdir, *flags, **environment):
    self.folder = run_folder.RunFolder(str(workdir))
    self.process = subprocess.Popen(
      [sys.executable, LOCAL, f'--workdir={workdir}', *flags],
      stdout=subprocess.PIPE,
      stderr=subprocess.PIPE,
      text=True,
      start_new_session=True,  # A process group of its own.
      env={**os.environ, **environment},
    )
    self.started.append(self.process)

  def progress(self):
    try:
      with open(self.folder.progress, encoding='utf-8') as file:
        return json.load(file)
    except FileNotFoundError:
      return {'frames': 0, 'learner_updates': 0}

  def wait_for(self, field, least):
    deadline = time.monotonic() + START
    while self.progress()[field] < least:
      assert self.process.poll() is None, self.process.communicate()
      assert time.monotonic() < deadline, self.progress()
      time.sleep(0.2)

  def children(self):
    return psutil.Process(self.process.pid).children(recursive=True)

  def end(self):
    """Waits for the end; returns status, output and errors."""
    children = self.children()
    out, error = self.process.communicate(timeout=START)
    _, alive = psutil.wait_procs(children, timeout=1)
    left = [c for c in alive if c.status() != psutil.STATUS_ZOMBIE]
    assert not left, 'processes left behind'
    return self.process.returncode, out, error

  def summary(self):
    with open(self.folder.summary, encoding='utf-8') as file:
      return json.load(file)


@pytest.fixture(scope='module', autouse=True)
def nothing_left_running():
  """Ends what a failed test left; a launcher takes its nodes with it."""
  yield
  for process in Run.started:
    process.kill()


@pytest.fixture(scope='module')
def solved(tmp_path_factory):
  """A run on a small maze that ends by reaching its target."""
  before = set(os.listdir('/dev/shm'))
  run = Run(
    tmp_path_factory.mktemp('runs') / 'run',
    SIZE,
    '--target_return=0.95',
    '--max_frames=400000',
    '--num_distillers=2',
    '--config.evaluation_period=1',
    '--config.checkpoint_period=5',
  )
  run.wait_for('frames', 1)
  networks = {_network(child.pid) for child in run.children()}
  status, out, error = run.end()
  # Its ports are unreachable from outside, or it warns that they are reachable.
  assert _network('self') not in networks or 'can run code as you' in out
  left = {n for n in set(os.listdir('/dev/shm')) - before if 'ald' in n}
  assert not left, 'shared memory left behind'
  assert status == 0, error
  return run, out


def _network(process):
  return os.readlink(f'/proc/{process}/ns/net')


@pytest.mark.timeout(600)
def test_learns(solved):
  run, out = solved
  summary = run.summary()
  # Entering goals at random gives 0.5.
  assert summary['stopped_because'] == 'target_return'
  solved_at = summary['solved_at_frames']  # None if the last was less again.
  assert solved_at is None or 0 < solved_at <= summary['frames']
  assert summary['frames'] <= 410_000
  evaluations = curves.read(run.folder, 'evaluator')
  assert evaluations['actor_return'][0] < 0.8
  assert max(evaluations['actor_return']) >= 0.95
  assert 'learning curve' in out and 'checkpoint' in out


def test_files_of_a_run(solved):
  run, _ = solved
  folder = run.folder
  with open(folder.config, encoding='utf-8') as file:
    config = json.load(file)
  assert config['config']['num_distillers'] == 2
  assert config['versions']['tensorflow'] == '2.8.0'
  for node in (
    'actor_0',
    'learner',
    'learner_runner',
    'distiller_0',
    'distiller_1',
    'evaluator',
  ):
    assert curves.read(folder, node)['frames'], node
    assert os.listdir(os.path.join(folder.tensorboard, node)), node
  assert os.path.getsize(folder.learning_curve) > 5_000
  assert checkpoints.CheckpointFolder(folder.checkpoints).latest()


def test_dprl_holds(solved):
  run, _ = solved
  summary = run.summary()
  # Runs may be short here: allow the few updates that are under way.
  due = summary['dprl_configured'] * summary['learner_updates']
  assert summary['actor_updates'] == pytest.approx(due, abs=20)
  state = checkpoints.CheckpointFolder(run.folder.checkpoints).latest().state
  assert int(state['actor_parameters']['updates']) > 0


def test_each_batch_is_used_as_often_as_configured(solved):
  run, _ = solved
  state = checkpoints.CheckpointFolder(run.folder.checkpoints).latest().state
  read = int(state['counts']['unrolls'])
  with open(run.folder.config, encoding='utf-8') as file:
    reuse = json.load(file)['config']['learner_reuse']
  # Unrolls are counted in the background, so the last may be missing.
  updates = run.summary()['learner_updates']
  assert updates == pytest.approx(reuse * read, rel=0.1)
  assert updates > 20 * reuse


@pytest.mark.timeout(600)
def test_learns_cart_pole_by_the_defaults(tmp_path):
  run = Run(
    tmp_path / 'run',
    '--environment=gymnasium:CartPole-v1',
    '--max_frames=120000',
    '--target_return=150',  # A random policy holds the pole for 22 steps.
    '--config.evaluation_episodes=50',
  )
  status, _, error = run.end()
  assert status == 0, error
  assert run.summary()['stopped_because'] == 'target_return'


@pytest.mark.timeout(900)
def test_resume_interrupt_and_crash(solved):
  first, _ = solved
  workdir = first.folder.path
  frames = first.summary()['frames']
  newest = checkpoints.CheckpointFolder(first.folder.checkpoints).paths()[0]
  with open(newest, 'rb+') as file:  # A damaged one is passed over.
    file.truncate(os.path.getsize(newest) // 2)

  again = Run(
    workdir, '--resume', '--target_return=none', '--max_frames=100000000'
  )
  again.wait_for('learner_updates', 10)
  deadline = time.monotonic() + START
  while again.progress()['actor_return'] is None:
    assert time.monotonic() < deadline
    time.sleep(0.2)
  first_return = again.progress()['actor_return']
  again.wait_for('frames', frames + 10_000)
  os.killpg(again.process.pid, signal.SIGINT)  # As a terminal does.
  status, out, error = again.end()
  assert status == 130, error
  summary = again.summary()
  assert summary['stopped_because'] == 'interrupted'
  assert summary['frames'] > frames
  assert first_return > 0.75, 'the return fell back to chance'
  assert 'Traceback' not in out + error
  saved = checkpoints.CheckpointFolder(again.folder.checkpoints).latest()
  assert int(saved.state['counts']['frames']) >= frames

  third = Run(workdir, '--resume', '--max_frames=100000000')
  third.wait_for('learner_updates', summary['learner_updates'] + 3)
  actor = next(c for c in third.children() if _is_node(c, 'actor_0', third))
  actor.kill()
  status, _, error = third.end()
  assert status == 1
  assert 'node actor_0 failed (signal 9)' in error
  assert 'node_logs' in error and 'Traceback' not in error
  assert third.summary()['stopped_because'].startswith('node actor_0')
  after = checkpoints.CheckpointFolder(third.folder.checkpoints).latest()
  assert np.isfinite(after.state['learner']['variables']).all()


def _is_node(process, node, run):
  """Whether a process prints to the node's newest log."""
  logs = sorted(os.listdir(run.folder.node_logs), key=lambda n: int(n[7:]))
  log = os.path.join(run.folder.node_logs, logs[-1], f'{node}.log')
  return os.path.realpath(f'/proc/{process.pid}/fd/1') == os.path.realpath(log)


def test_resume_refuses_other_networks(solved):
  run, _ = solved
  result = subprocess.run(
    [
      sys.executable,
      LOCAL,
      '--resume',
      f'--workdir={run.folder.path}',
      '--config.networks.lstm=32',
    ],
    capture_output=True,
    text=True,
    check=False,
  )
  assert result.returncode == 2
  assert 'networks cannot change' in result.stderr
  assert 'but received {"lstm": 32};' in result.stderr  # Only what differs.
  assert 'Traceback' not in result.stderr


def test_a_loss_that_is_not_finite(tmp_path):
  path, tiny = tmp_path / 'run', '--preset=tiny'
  status, _, error = Run(path, SIZE, tiny, '--max_frames=4000').end()
  assert status == 0, error
  status, _, error = Run(
    path,
    '--resume',
    '--max_frames=1000000',
    '--config.learner_learning_rate=1e30',
  ).end()
  assert status == 1
  (line,) = (x for x in error.splitlines() if x.startswith('error: '))
  said = re.search(
    r'metrics at (?:learner|distillation) update \d+: .*loss.*nan'
    r'.*learning rate\. The last good checkpoint is (.*)\.$',
    line,
  )
  assert said, line
  variables = checkpoints.read(said.group(1))['learner']['variables']
  assert np.isfinite(variables).all()


_HANGING = """
import os, time
import dm_env
from ald_acme.environments.tasks import i_maze

class Maze(i_maze.IMaze):
  steps = 0

  def step(self, action):
    self.steps += 1
    # One of the actor's environments hangs.
    if self.steps == 150 and os.readlink('/proc/self/fd/1').endswith(
        'actor_0.log'):
      try:
        os.close(os.open({path!r}, os.O_CREAT | os.O_EXCL))
      except FileExistsError:
        pass
      else:
        time.sleep(10_000)
    return super().step(action)

def make(seed: int) -> dm_env.Environment:
  return Maze(size=5, seed=seed)
"""


@pytest.mark.timeout(400)
@pytest.mark.parametrize('workers', [0, 2])
def test_an_environment_that_hangs(tmp_path, workers):
  path = str(tmp_path / 'hangs')
  (tmp_path / 'hanging.py').write_text(_HANGING.format(path=path))
  run = Run(
    tmp_path / 'run',
    '--environment=hanging:make',
    f'--environment_kwargs=workers={workers}',
    '--preset=tiny',
    '--envs_per_actor=4',
    '--config.stall_warning=6',
    '--config.stall_limit=30',  # Longer than a busy machine's start.
    '--config.evaluation_episodes=4',
    PYTHONPATH=os.pathsep.join([ROOT, str(tmp_path)]),
  )
  run.wait_for('frames', 1)
  status, out, error = run.end()  # No process is left.
  assert status == 1
  name = "environment 'hanging:make'"
  said = rf'waiting for step of {name}, number (\d) \(in '
  if workers:
    said = rf'worker \d of {name} \(environments . and .\): {said}_?recv'
  else:
    said += 'step, hanging.py:'
  for text in (
    rf'warning: node actor_0 has made no progress for \d+ s: {said}',
    r'error: the run failed: node actor_0 has made no progress for (\d+) s: '
    rf'{said}',
  ):
    found = re.search(text, out + error)
    assert found, out + error
  assert int(found.group(1)) < 60
  assert int(found.group(2)) in range(4)
  assert run.summary()['stopped_because'].startswith('node actor_0 has made no')


NETWORKS = """
from agents.actor_critic import networks
from ald_acme.networks import sizes

def make(environment_spec):
  own = sizes.NetworkSizes(lstm=7, gtrxl_width=8, gtrxl_layers=1, torso=5)
  return networks.make_asymmetric(environment_spec, own)
"""
SETTINGS = """
agent: asymmetric
network_factory: mine:make
envs_per_actor: 8
max_frames: 9000
evaluation_episodes: 10
learner_learning_rate: 1e-3
"""


# The other baselines run in `test_reproduce.py`.
def test_a_baseline_with_networks_of_ones_own(tmp_path, monkeypatch, launch):
  (tmp_path / 'mine.py').write_text(NETWORKS)
  (tmp_path / 'settings.yaml').write_text(SETTINGS)
  monkeypatch.setenv('PYTHONPATH', str(tmp_path))
  run = Run(
    tmp_path / 'run',
    SIZE,
    f'--config_file={tmp_path}/settings.yaml',
    '--network_factory=mine:make',
    '--max_frames=4000',
  )
  status, out, error = run.end()
  assert status == 0, error
  assert 'Training asymmetric on i_maze' in out
  summary = run.summary()
  assert summary['stopped_because'] == 'max_frames'
  assert summary['learner_updates'] >= 4000 // (8 * 40) - 2
  assert 'actor_updates' not in summary  # Nothing is distilled.
  assert 'dprl_measured' not in summary
  assert 0 <= summary['final_return'] <= 1
  assert 'distiller_0.csv' not in os.listdir(run.folder.logs)
  state = checkpoints.CheckpointFolder(run.folder.checkpoints).latest().state
  assert 'actor_parameters' not in state
  assert int(state['learner']['updates']) == summary['learner_updates']
  # The checkpoint is of the factory's small network.
  size = state['learner']['variables'].size
  assert size < 5_000  # The default networks have ten times as much.
  path = run.folder.path
  done = launch('evaluate.py', f'--workdir={path}', '--episodes=2')
  assert done.status == 2
  assert '--network_factory=mine:make or --trust' in done.refusal()
  done = launch('local.py', f'--workdir={path}', '--resume')
  assert done.status == 2
  assert '--network_factory=mine:make or --trust' in done.refusal()
  flags = ('--episodes=2', '--network_factory=mine:make')
  done = launch('evaluate.py', f'--workdir={path}', *flags)
  assert done.status == 0, done.error
  done = launch('export.py', f'--workdir={path}', '--format=numpy', '--trust')
  assert done.status == 0, done.error

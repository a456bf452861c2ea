"""The program on three hosts: network namespaces joined by a switch."""

import collections
import contextlib
import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest

from ald_acme.runs import checkpoints
from ald_acme.runs import folder as run_folder
from launch.clusters import tasks

pytestmark = pytest.mark.timeout(600)

_ROOT = os.path.abspath(
  os.path.join(os.path.dirname(__file__), *[os.pardir] * 3)
)
_PATIENCE = 240  # Seconds that a step may take on a busy machine.
# The hosts' addresses; nothing outside of the namespaces sees them.
_MIND, _BRAIN, _LIMBS = '10.98.0.1', '10.98.0.2', '10.98.0.3'
_HOST_OF = {
  'replay': _MIND,
  'learner': _BRAIN,
  'distill': _BRAIN,
  'actors': _LIMBS,
}
_TINY = (
  '--platform=slurm',
  '--dry_run',
  '--workdir=run',
  '--preset=tiny',
  '--environment_kwargs=size=5',
  '--num_actors=2',
  '--config.actors_per_cacher=1',
  '--envs_per_actor=4',
  '--max_frames=0',
  '--config.unroll_length=10',
  '--config.evaluation_episodes=10',
  '--config.learner_evaluation_episodes=5',
  '--config.checkpoint_period=5',
)
_STOP = """
import sys
import courier
monitor = courier.Client(sys.argv[1], call_timeout=60)
monitor.request_stop('the test is over')
print(monitor.wait_for_end(60))
"""


class Network:
  """Hosts and their switch, each a namespace of its own."""

  def __init__(self):
    self._prefix = f'ald{os.getpid()}'
    self._switch = f'{self._prefix}-switch'
    self._hosts = {}
    self._ip('netns', 'add', self._switch)
    self._in(self._switch, 'link', 'add', 'bridge', 'type', 'bridge')
    self._in(self._switch, 'link', 'set', 'bridge', 'up')

  def _ip(self, *arguments):
    done = subprocess.run(
      ['ip', *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode:
      raise OSError(f'ip {" ".join(arguments)}: {done.stderr.strip()}')
    return done.stdout

  def _in(self, namespace, *arguments):
    return self._ip('-n', namespace, *arguments)

  def add(self, address):
    """Switches a host on."""
    number = address.rsplit('.', 1)[1]
    name, port = f'{self._prefix}-{number}', f'port{number}'
    self._ip('netns', 'add', name)
    self._hosts[address] = name
    ends = ['eth0', 'netns', name, 'type', 'veth', 'peer', 'name', port]
    self._ip('link', 'add', *ends, 'netns', self._switch)
    self._in(self._switch, 'link', 'set', port, 'master', 'bridge', 'up')
    self._in(name, 'addr', 'add', f'{address}/24', 'dev', 'eth0')
    for device in ('lo', 'eth0'):
      self._in(name, 'link', 'set', device, 'up')

  def lose(self, address):
    """Removes a host at once: the end of its tasks is never reported."""
    number = address.rsplit('.', 1)[1]
    self._in(self._switch, 'link', 'set', f'port{number}', 'down')
    self._remove(self._hosts.pop(address))
    self._in(self._switch, 'link', 'del', f'port{number}')

  def command(self, address, *arguments):
    """The command line that runs another on a host."""
    return ['ip', 'netns', 'exec', self._hosts[address], *arguments]

  def connections(self, address):
    """The other ends of what a host has connected to."""
    shown = subprocess.check_output(
      self.command(address, 'ss', '-Htn', 'state', 'established'), text=True
    )
    ends = [line.split()[3] for line in shown.splitlines()]
    return collections.Counter(re.sub(r'[][]|::ffff:', '', end) for end in ends)

  def close(self):
    for name in [*self._hosts.values(), self._switch]:
      self._remove(name)
    self._hosts.clear()

  def _remove(self, name):
    while pids := self._ip('netns', 'pids', name).split():
      for pid in pids:
        with contextlib.suppress(ProcessLookupError):
          os.kill(int(pid), signal.SIGKILL)
      time.sleep(0.1)
    self._ip('netns', 'del', name)


class Job:
  """A run's tasks, each on the host of its pool, as a cluster starts them."""

  def __init__(self, network, run):
    self._network = network
    self._folder, self._logs = str(run / 'slurm'), str(run / 'logs_of_tasks')
    os.mkdir(self._logs)
    self._tasks = tasks.read(self._folder)
    self._hosts = [_HOST_OF[task.pool] for task in self._tasks]
    self._running = {}

  def start(self, address):
    """Starts the tasks of a host."""
    command = [sys.executable, '-m', 'launch.clusters.slurm_task']
    command += [self._folder, self._logs]
    for number, host in enumerate(self._hosts):
      if host == address:
        environment = {
          **os.environ,
          'PYTHONPATH': _ROOT,
          'SLURM_PROCID': str(number),
          tasks.HOSTS: ','.join(self._hosts),
        }
        self._running[number] = subprocess.Popen(
          self._network.command(host, *command), env=environment
        )

  def ended(self):
    """Names of tasks that have ended."""
    return {
      self._tasks[number].name
      for number, process in self._running.items()
      if process.poll() is not None
    }

  def names(self, address):
    """Names of the tasks of a host."""
    return {t.name for t, h in zip(self._tasks, self._hosts) if h == address}

  def address(self, name):
    """The address of a node."""
    (number,) = (i for i, t in enumerate(self._tasks) if t.name == name)
    return f'{self._hosts[number]}:{self._tasks[number].ports[0]}'

  def said(self, names=None):
    """The last lines that nodes have printed."""
    text = ''
    for name in sorted(names or os.listdir(self._logs)):
      with open(os.path.join(self._logs, name), encoding='utf-8') as file:
        text += f'--- {name}\n{file.read()[-2000:]}\n'
    return text

  def end(self):
    """Ends the tasks and returns their exit codes."""
    with open(os.path.join(self._logs, 'end'), 'w'):
      pass
    return {p.wait(_PATIENCE) for p in self._running.values()}


@pytest.fixture
def network():
  if shutil.which('ip') is None or os.geteuid():
    pytest.skip('no namespaces here: not root, or without iproute2')
  with contextlib.ExitStack() as stack:
    try:
      made = Network()
      stack.callback(made.close)
      for address in (_MIND, _BRAIN, _LIMBS):
        made.add(address)
    except OSError as error:
      pytest.skip(f'no namespaces here: {error}')
    yield made


def _progress(run):
  """Frames, learner updates, evaluations, and seconds of the run so far."""
  try:
    progress = json.loads((run / 'progress.json').read_text())
    evaluations = len(_rows(run, 'evaluator'))
  except FileNotFoundError:
    return 0, 0, 0, 0.0
  counts = progress['frames'], progress['learner_updates'], evaluations
  return *counts, progress['wall_seconds']


def _rows(run, node):
  """The rows that a node has logged."""
  with open(run / 'logs' / f'{node}.csv', encoding='utf-8') as file:
    return list(csv.DictReader(file))


def _wait_for_progress(run, job):
  """Waits for 20 unrolls, 30 learner updates and an evaluation."""
  before = now = _progress(run)
  deadline = time.monotonic() + _PATIENCE
  while any(n < b + more for n, b, more in zip(now, before, (800, 30, 1))):
    assert not job.ended(), job.said()
    assert time.monotonic() < deadline, (now, job.said())
    time.sleep(0.2)
    now = _progress(run)


def test_actors_host_is_lost_and_comes_back(network, launch, tmp_path):
  done = launch('cluster.py', *_TINY)
  assert done.status == 0, done.error
  run = tmp_path / 'run'
  job = Job(network, run)
  assert job.names(_LIMBS) == {'actor_0', 'actor_1', 'evaluator_0'}
  for address in (_MIND, _BRAIN, _LIMBS):
    job.start(address)
  _wait_for_progress(run, job)
  _check_wires(network, job)

  network.lose(_LIMBS)
  lost = job.names(_LIMBS)
  time.sleep(3)  # Items in flight arrive.
  assert job.ended() == lost, job.said()
  *then, seconds = _progress(run)
  time.sleep(3)
  *now, later = _progress(run)
  assert now == then
  assert later > seconds + 1  # Another process still writes it.
  assert job.ended() == lost, job.said()

  network.add(_LIMBS)
  job.start(_LIMBS)
  _wait_for_progress(run, job)
  command = [sys.executable, '-c', _STOP, job.address('monitor_0')]
  stopped = subprocess.run(
    network.command(_MIND, *command), capture_output=True, check=False
  )
  assert stopped.stdout.strip() == b'True', stopped.stderr
  assert job.end() == {0}, job.said()
  _check_folder(run)


def _check_wires(network, job):
  """The nodes talk to each other over the network, as they should."""
  (mind, brain, limbs) = map(network.connections, (_MIND, _BRAIN, _LIMBS))
  replay, parameters = job.address('replay_0'), job.address('distill_0')
  assert brain[replay] and limbs[replay] and brain[job.address('counter_0')]
  # The parameters that act are asked for by the cachers and the evaluator.
  assert mind[parameters] >= 2 and limbs[parameters] == 1
  assert limbs[job.address('cacher_0')] == limbs[job.address('cacher_1')] == 1
  assert brain[job.address('learner_0')] and limbs[job.address('learner_0')]


def _check_folder(run):
  """Everything that a run leaves is there, and can be read."""
  folder = run_folder.RunFolder(str(run))
  assert folder.read_config()['config']['num_actors'] == 2
  summary = json.loads((run / 'summary.json').read_text())
  assert summary['stopped_because'] == 'the test is over'
  state = checkpoints.CheckpointFolder(folder.checkpoints).latest().state
  assert state['learner']['updates'] == summary['learner_updates'] >= 60
  assert state['counts']['frames'] >= 1600
  # A restarted actor plays other episodes.
  assert state['counts']['actor_0_begins'] == 2
  for node in ('actor_0', 'actor_1', 'learner', 'distiller_0', 'evaluator'):
    rows = _rows(run, node)
    # As many values as names in the header.
    assert not any(None in row or None in row.values() for row in rows), node
    frames = [float(row['frames']) for row in rows]
    assert len(frames) > 1 and frames == sorted(frames), node

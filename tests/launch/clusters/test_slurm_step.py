"""Tasks that start, fail and end, under a fake srun."""

import functools
import os
import signal
import socket
import sys
import time

import cloudpickle
import psutil
import pytest

from launch.clusters import slurm
from launch.clusters import slurm_step
from launch.clusters import tasks

_PATIENCE = 120  # Seconds that a task may take to begin, or to fail.
_SRUN = """
import itertools, os, signal, subprocess, sys

number, running = 0, []
signal.signal(signal.SIGTERM, lambda *_: [p.kill() for p in running])
components = [[]]
for word in sys.argv[1:]:
  if word == ':':
    components.append([])
  else:
    components[-1].append(word)
for words in components:
  options = list(itertools.takewhile(lambda w: w.startswith('--'), words))
  count = next(int(o[9:]) for o in options if o.startswith('--ntasks='))
  for _ in range(count):
    env = {**os.environ, 'SLURM_PROCID': str(number)}
    env['SLURMD_NODENAME'] = f'n{number}'
    running.append(subprocess.Popen(words[len(options):], env=env))
    number += 1
sys.exit(max(p.wait() != 0 for p in running))
"""
_FOREVER = functools.partial(time.sleep, 3600)
_FAILS = functools.partial(divmod, 1, 0)


@pytest.fixture
def commands(tmp_path, monkeypatch):
  """Makes commands that come before all others on the PATH."""
  folder = tmp_path / 'bin'
  folder.mkdir()
  monkeypatch.setenv('PATH', f'{folder}:{os.environ["PATH"]}')

  def make(name, text, interpreter='/bin/sh'):
    path = folder / name
    path.write_text(f'#!{interpreter}\n{text}')
    path.chmod(0o755)

  return make


@pytest.fixture(autouse=True)
def srun(commands, monkeypatch):
  """The stand-in."""
  commands('srun', _SRUN, sys.executable)
  monkeypatch.setenv(tasks.HOSTS, '')


@pytest.fixture
def make_step(tmp_path):
  """Makes steps of functions by name, and ends them."""
  made = []

  def make(say=print, **functions):
    folder, logs = tmp_path / 'slurm', tmp_path / 'logs'
    folder.mkdir()
    logs.mkdir()
    with open(tasks.functions_path(str(folder)), 'wb') as file:
      cloudpickle.dump(list(functions.values()), file)
    tasks.write(
      str(folder), [tasks.Task(name, 'learner', (), {}) for name in functions]
    )
    # Two components, where there are two tasks or more.
    parts = [slurm.Component(1, 1, None)]
    if len(functions) > 1:
      parts.append(slurm.Component(len(functions) - 1, 2, None))
    made.append(slurm_step.Step(str(folder), parts, None, str(logs), say))
    return made[-1]

  yield make
  for step in made:
    step.stop()


def _nodes():
  """Processes of nodes below this one."""
  found = []
  for child in psutil.Process().children(recursive=True):
    try:
      if any('process_entry' in word for word in child.cmdline()):
        found.append(child)
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
      continue
  return found


def _wait_for(condition):
  deadline = time.monotonic() + _PATIENCE
  while not (value := condition()):
    assert time.monotonic() < deadline
    time.sleep(0.2)
  return value


def test_names_the_node_that_fails_and_ends_the_others(make_step):
  step = make_step(replay_0=_FOREVER, learner_0=_FAILS, actor_0=_FOREVER)
  step.launch()
  assert os.environ[tasks.HOSTS] == ','.join([socket.gethostname()] * 3)
  assert _wait_for(step.failed) == 'learner_0'
  assert step.status('learner_0') == 'exit code 1'
  with open(step.log('learner_0'), encoding='utf-8') as file:
    assert 'ZeroDivisionError' in file.read()
  assert len(_nodes()) == 2
  step.stop()
  assert not _nodes()
  assert step.failed() == 'learner_0'  # Terminated nodes did not fail.


def test_the_first_to_fail_is_named_though_all_are_seen_at_once(make_step):
  step = make_step(replay_0=_FOREVER)
  step.launch()
  _wait_for(_nodes)
  logs = os.path.dirname(step.log('replay_0'))
  for name, age in (('actor_0', 2), ('replay_0', 3), ('learner_0', 1)):
    path = os.path.join(logs, f'{name}.exit')
    with open(path, 'w', encoding='utf-8') as file:
      file.write('1')
    os.utime(path, (1_000 - age, 1_000 - age))
  assert step.failed() == 'replay_0'


def test_a_node_that_is_killed(make_step):
  step = make_step(replay_0=_FOREVER)
  step.launch()
  _wait_for(_nodes)[0].kill()
  assert _wait_for(step.failed) == 'replay_0'
  assert step.status('replay_0') == 'signal 9'


def test_tasks_outlive_the_signal_of_a_cancelled_job(make_step):
  step = make_step(replay_0=_FOREVER)
  step.launch()
  (node,) = _wait_for(_nodes)
  for process in (node, node.parent()):
    process.send_signal(signal.SIGTERM)
  time.sleep(2)
  assert node.is_running() and step.failed() is None
  step.stop()
  assert not _nodes()


def test_errors_of_srun(make_step, commands):
  step = make_step(replay_0=_FOREVER)
  commands('srun', 'echo "srun: error: no such host" >&2\nexit 1\n')
  with pytest.raises(ValueError, match='no such host'):
    step.launch()


def test_restarts_are_reported_once(make_step, tmp_path):
  said = []
  step = make_step(say=said.append, replay_0=_FOREVER)
  step.launch()
  (tmp_path / 'logs' / 'actor_0.again').write_text('ended, and begins again')
  assert step.failed() is None and step.failed() is None
  assert said == ['node actor_0 ended, and begins again']


def test_lost_hosts(make_step, commands, tmp_path):
  commands('scontrol', 'shift 2; echo "$@" | tr , "\\n"')
  said = []
  nodes = ('replay_0', 'evaluator_0', 'actor_0', 'actor_1', 'actor_2')
  step = make_step(say=said.append, **dict.fromkeys(nodes, _FOREVER))
  step.launch()
  assert step.failed() is None and not step.lost

  def lose(hosts):
    with open(tmp_path / 'logs' / 'srun.log', 'a', encoding='utf-8') as log:
      log.write(f'srun: error: Node failure on {hosts}\n')

  lose('n3')
  assert step.failed() is None and not step.lost
  lose('n4')
  assert step.failed() is None and not step.lost
  assert said == [
    f'node actor_{i} is lost with its host n{i + 2}' for i in (1, 2)
  ]
  lose('n2')  # No actor is left.
  assert step.failed() == 'actor_0' and step.lost
  assert step.status('actor_0') == 'its host n2 is lost'
  assert step.log('actor_0') == step.log('srun') != step.log('replay_0')
  lose('n0,n1')
  assert step.failed() == 'replay_0' and step.lost

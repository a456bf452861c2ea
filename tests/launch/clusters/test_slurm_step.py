"""Tasks that begin, fail and end, under a stand-in for srun."""

import functools
import os
import signal
import socket
import subprocess
import sys
import time

import cloudpickle
import psutil
import pytest

from launch.clusters import slurm
from launch.clusters import slurm_step
from launch.clusters import tasks

_PATIENCE = 120  # Seconds that a task may take to begin, or to fail.
_SRUN = """#!{python}
import os, signal, subprocess, sys

number, running = 0, []
signal.signal(signal.SIGTERM, lambda *_: [p.kill() for p in running])
components = [[]]
for word in sys.argv[1:]:
  if word == ':':
    components.append([])
  else:
    components[-1].append(word)
for words in components:
  options = [w for w in words if w.startswith('--') and '=' in w]
  count = next(int(o[9:]) for o in options if o.startswith('--ntasks='))
  for _ in range(count):
    env = {{**os.environ, 'SLURM_PROCID': str(number)}}
    running.append(subprocess.Popen(words[len(options):], env=env))
    number += 1
sys.exit(max(p.wait() != 0 for p in running))
"""
_FOREVER = functools.partial(time.sleep, 3600)
_FAILS = functools.partial(divmod, 1, 0)


@pytest.fixture(autouse=True)
def srun(tmp_path, monkeypatch):
  """Puts the stand-in on the PATH."""
  path = tmp_path / 'bin' / 'srun'
  path.parent.mkdir()
  path.write_text(_SRUN.format(python=sys.executable))
  path.chmod(0o755)
  monkeypatch.setenv('PATH', f'{path.parent}:{os.environ["PATH"]}')
  monkeypatch.setenv(tasks.HOSTS, '')
  return path


@pytest.fixture
def make_step(tmp_path):
  """Makes steps of functions by name, and ends them."""
  made = []

  def make(**functions):
    folder, logs = tmp_path / 'slurm', tmp_path / 'logs'
    folder.mkdir()
    logs.mkdir()
    with open(tasks.functions_path(str(folder)), 'wb') as file:
      cloudpickle.dump(list(functions.values()), file)
    tasks.write(
      str(folder), [tasks.Task(name, 'actors', (), {}) for name in functions]
    )
    # Two components, where there are two tasks or more.
    parts = [slurm.Component(1, 1, None)]
    if len(functions) > 1:
      parts.append(slurm.Component(len(functions) - 1, 2, None))
    made.append(slurm_step.Step(str(folder), parts, None, str(logs)))
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
  step = make_step(replay_0=_FOREVER, actor_0=_FAILS, actor_1=_FOREVER)
  step.launch()
  assert os.environ[tasks.HOSTS] == ','.join([socket.gethostname()] * 3)
  assert _wait_for(step.failed) == 'actor_0'
  assert step.status('actor_0') == 'exit code 1'
  with open(step.log('actor_0'), encoding='utf-8') as file:
    assert 'ZeroDivisionError' in file.read()
  assert len(_nodes()) == 2
  step.stop()
  assert not _nodes()
  assert step.failed() == 'actor_0'  # Those that were ended did not fail.


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


def test_says_what_srun_says(make_step, srun):
  step = make_step(replay_0=_FOREVER)
  srun.write_text('#!/bin/sh\necho "srun: error: no such host" >&2\nexit 1\n')
  with pytest.raises(ValueError, match='no such host'):
    step.launch()


def test_a_port_that_is_taken(tmp_path):
  with socket.socket() as other:
    other.bind(('', 0))
    other.listen()
    port = other.getsockname()[1]
    table = [tasks.Task('replay_0', 'replay', (port,), {})]
    tasks.write(str(tmp_path), table)
    done = subprocess.run(
      [
        sys.executable,
        '-m',
        'launch.clusters.slurm_task',
        str(tmp_path),
        str(tmp_path),
      ],
      env={**os.environ, 'SLURM_PROCID': '0', 'PYTHONPATH': os.getcwd()},
      check=False,
    )
  assert done.returncode == 1
  assert (tmp_path / 'replay_0.exit').read_text() == '1'
  log = (tmp_path / 'replay_0.log').read_text()
  assert f'port {port}' in log and '--base_port' in log

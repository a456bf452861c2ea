"""A task that runs its node, and restarts it if the program can go on."""

import functools
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import cloudpickle
import pytest

from launch.clusters import restarts
from launch.clusters import slurm_task
from launch.clusters import tasks

_PATIENCE = 60  # Seconds that a process may take to begin.
_ACTOR = tasks.Task('actor_0', 'actors', (), {'WHO': 'me'})
_LEARNER = tasks.Task('learner_0', 'learner', (), {})


@pytest.fixture(autouse=True)
def quick(monkeypatch):
  monkeypatch.setattr(slurm_task, '_POLL', 0.01)
  monkeypatch.setattr(restarts, 'PAUSE', 0.01)


@pytest.fixture
def run(tmp_path):
  """Runs a node of some lines of Python; how it ended, and its log."""

  watched = []

  def make(task, *lines):
    path = tmp_path / f'{task.name}.log'
    with open(path, 'w', encoding='utf-8') as log:
      command = [sys.executable, '-c', '\n'.join(lines)]
      job = slurm_task.Job(str(tmp_path))
      code = slurm_task.run(task, command, job, log, watched.append)
    assert watched
    return code, path.read_text()

  return make


def _wait_for(condition):
  deadline = time.monotonic() + _PATIENCE
  while not condition():
    assert time.monotonic() < deadline
    time.sleep(0.01)


def test_a_node_that_fails_at_once_each_time(run, tmp_path):
  code, log = run(
    _ACTOR, 'import os', 'raise OSError("no " + os.environ["WHO"])'
  )
  assert code == 1
  assert log.count('OSError: no me\n') == 8
  assert log.count('--- actor_0 ended after 0 s (exit code 1), and begins') == 7
  assert log.splitlines()[-1] == 'OSError: no me'  # The cause is the last.
  assert 'exit code 1' in (tmp_path / 'actor_0.again').read_text()


def test_any_other_node_is_not_started_again(run, tmp_path):
  code, log = run(_LEARNER, 'raise OSError("gone")')
  assert code == 1
  assert log.count('OSError: gone') == 1
  assert not (tmp_path / 'learner_0.again').exists()


def test_a_node_that_runs_for_a_while_each_time(run, monkeypatch, tmp_path):
  monkeypatch.setattr(restarts, 'STEADY', 0.0)
  code, log = run(
    _ACTOR,
    'import os, pathlib',
    f'folder = pathlib.Path({str(tmp_path)!r})',
    'starts = folder / "starts"',
    'with starts.open("a") as file:',
    '  file.write("x")',
    'if len(starts.read_text()) == 8:',
    '  (folder / "end").touch()',
    'os.kill(os.getpid(), 9)',
  )
  assert code is None  # The job has ended it.
  assert log.count('(signal 9), and begins again') >= 7
  assert not (tmp_path / 'actor_0.exit').exists()


def test_pauses_grow(run, monkeypatch):
  pauses = []
  wait = slurm_task.Job.is_over_within

  def note(job, seconds):
    if seconds >= 1:
      pauses.append(seconds)
      return False
    return wait(job, seconds)

  monkeypatch.setattr(slurm_task.Job, 'is_over_within', note)
  monkeypatch.setattr(restarts, 'PAUSE', 1.0)
  run(_ACTOR, 'exit(3)')
  assert pauses == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0]


def test_leftover_processes_of_a_dead_node_are_ended(run, tmp_path):
  _, log = run(
    _LEARNER,
    'import subprocess, sys',
    'child = subprocess.Popen(["sleep", "3600"])',
    'print(child.pid)',
  )
  _wait_for(lambda: not _is_running(int(log)))


def test_the_end_of_the_job_ends_the_node(run, tmp_path):
  threading.Timer(0.5, (tmp_path / 'end').touch).start()
  code, _ = run(_LEARNER, 'import time', 'time.sleep(3600)')
  assert code is None


def test_a_script_that_is_lost(run, monkeypatch, tmp_path):
  asked = tmp_path / 'asked'
  command = tmp_path / 'bin' / 'scontrol'
  command.parent.mkdir()
  command.write_text(f'#!/bin/sh\necho "$@" >> {asked}\n')
  command.chmod(0o755)
  monkeypatch.setenv('PATH', f'{command.parent}:{os.environ["PATH"]}')
  monkeypatch.setenv('SLURM_JOB_ID', '17')
  monkeypatch.setattr(slurm_task, '_LOST', 0.2)
  (tmp_path / 'alive').touch()
  for task in (_LEARNER, _ACTOR):
    code, _ = run(task, 'import time', 'time.sleep(3600)')
    assert code is None
  assert asked.read_text() == 'requeue 17\n'  # One of them has asked.


def test_a_task_stays_until_the_script_has_seen_its_node_end(tmp_path):
  with open(tasks.functions_path(str(tmp_path)), 'wb') as file:
    cloudpickle.dump([functools.partial(divmod, 1, 0)], file)
  tasks.write(str(tmp_path), [_LEARNER])
  (tmp_path / 'alive').touch()
  task = _start_task(tmp_path)
  _wait_for((tmp_path / 'learner_0.exit').exists)
  with pytest.raises(subprocess.TimeoutExpired):
    task.wait(2)
  (tmp_path / 'end').touch()
  assert task.wait(_PATIENCE) == 1


def test_the_node_of_a_task_that_is_killed_ends(tmp_path):
  hang = 'print(os.getpid(), os.environ["TMPDIR"], flush=True); time.sleep(99)'
  with open(tasks.functions_path(str(tmp_path)), 'wb') as file:
    cloudpickle.dump(
      [functools.partial(exec, f'import os, time; {hang}')], file
    )
  tasks.write(str(tmp_path), [_LEARNER])
  task, log = _start_task(tmp_path), tmp_path / 'learner_0.log'
  _wait_for(lambda: log.exists() and log.read_text().endswith('\n'))
  pid, temporary = log.read_text().split()
  assert os.path.isdir(temporary)
  os.kill(int(pid), signal.SIGSTOP)  # It cannot notice by itself.
  task.kill()
  task.wait()
  _wait_for(lambda: not _is_running(int(pid)) and not os.path.exists(temporary))


def _start_task(folder):
  command = [sys.executable, '-m', 'launch.clusters.slurm_task']
  return subprocess.Popen(
    [*command, str(folder), str(folder)],
    env={**os.environ, 'SLURM_PROCID': '0', 'PYTHONPATH': os.getcwd()},
  )


def _is_running(pid):
  try:
    with open(f'/proc/{pid}/stat', encoding='utf-8') as file:
      return file.read().split()[2] != 'Z'
  except FileNotFoundError:
    return False


def test_a_port_that_is_taken(tmp_path):
  with socket.socket() as other:
    other.bind(('', 0))
    other.listen()
    port = other.getsockname()[1]
    table = [tasks.Task('replay_0', 'replay', (port,), {})]
    tasks.write(str(tmp_path), table)
    status = _start_task(tmp_path).wait(_PATIENCE)
  assert status == 1
  assert (tmp_path / 'replay_0.exit').read_text() == '1'
  log = (tmp_path / 'replay_0.log').read_text()
  assert f'port {port}' in log and '--base_port' in log

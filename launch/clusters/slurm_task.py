"""One task of a job: runs one node, and notes how it ended.

An actor or the evaluator that ends is started again: the program goes on
meanwhile. One that ends soon each time is not: then the fault is its own.
"""

from collections.abc import Callable, Sequence
import contextlib
import itertools
import os
import signal
import socket
import subprocess
import sys
import time
from typing import TextIO

from agents import cuda
from agents import guardian
from launch.clusters import restarts
from launch.clusters import slurm_commands
from launch.clusters import tasks

# Files in the logs' folder.
END = 'end'  # Made by the job's script; ends the tasks.
ALIVE = 'alive'  # Written by the job's script as long as it is there.
QUEUED = 'queued_again'  # Made by the task that notices that it is not.
EXIT = '.exit'  # After a node's name: its exit code.
AGAIN = '.again'  # After a node's name: why it was started again last.
_POLL = 0.5  # Seconds between looks at the node and at the folder.
_LOST = 180.0  # Seconds of silence after which the script is not there.


def main(folder: str, logs: str) -> int:
  """Runs the node whose number is the task's.

  Args:
    folder: of the nodes' files.
    logs: folder for what the nodes print.

  Returns:
    Exit code of the task.
  """
  # A job that is cancelled sends this to every task and to the job's script.
  # The script then has the monitor save, and nodes must go on until it has.
  signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})  # Inherited.
  number = int(os.environ['SLURM_PROCID'])
  task = tasks.read(folder)[number]
  command = tasks.command(tasks.functions_path(folder), number)
  path = os.path.join(logs, f'{task.name}.log')
  job = Job(logs)
  code = 1  # Unless it comes to be known.
  watch = guardian.Guardian()  # Where this task is killed its node ends.
  os.environ['TMPDIR'] = watch.folder
  try:
    with open(path, 'w', encoding='utf-8') as log:
      code = _taken(task, log) or run(task, command, job, log, watch.watch)
  finally:
    if code is not None:
      job.tell(task.name + EXIT, str(code))
  job.wait_until_over()
  return int(code is not None)


def _taken(task: tasks.Task, log: TextIO) -> int | None:
  """1, and a line in the log, if another program has a port of the node.

  Servers would share the port and take each other's calls.
  """
  for port in task.ports:
    with socket.socket() as probe:
      probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
      try:
        probe.bind(('', port))
      except OSError as error:
        log.write(
          f'OSError: port {port} of {socket.gethostname()} cannot be used '
          f'({error.strerror}); choose others with --base_port.\n'
        )
        return 1
  return None


def run(
  task: tasks.Task,
  command: Sequence[str],
  job: 'Job',
  log: TextIO,
  watch: Callable[[int], None],
) -> int | None:
  """Runs a node, again and again if it comes and goes.

  Args:
    task: of the node.
    command: that runs it.
    job: may end the node.
    log: for what the node prints.
    watch: told the process ID of the node, whenever it begins.

  Returns:
    The node's exit code, None if the job has ended it.
  """
  again = restarts.Restarts()
  for number in itertools.count(1):
    began = time.monotonic()
    code = _run_once(command, task.environment, log, job, watch)
    if code is None or not task.comes_and_goes:
      return code
    lived = time.monotonic() - began
    pause = again.after(lived)
    if pause is None:
      return code
    ended = f'signal {-code}' if code < 0 else f'exit code {code}'
    said = (
      f'ended after {lived:.0f} s ({ended}), and begins again in '
      f'{pause:.0f} s: start {number + 1}'
    )
    log.write(f'--- {task.name} {said}.\n')
    log.flush()
    job.tell(task.name + AGAIN, said)
    if job.is_over_within(pause):
      return None


def _run_once(command, environment, log, job, watch) -> int | None:
  """Runs the node; its exit code, None if the job has ended it."""
  node = subprocess.Popen(
    command,
    env={**os.environ, **cuda.environment(), **environment},
    stdin=subprocess.DEVNULL,
    stdout=log,
    stderr=subprocess.STDOUT,
    start_new_session=True,  # It may have processes of its own.
  )
  watch(node.pid)
  try:
    while node.poll() is None:
      if job.is_over_within(_POLL):
        return None
    return node.returncode
  finally:
    with contextlib.suppress(ProcessLookupError):
      os.killpg(node.pid, signal.SIGKILL)
    node.wait()


class Job:
  """What a task sees of its job, in the folder of the logs."""

  def __init__(self, logs: str):
    self._logs = logs
    self._seen, self._silence, self._looked = None, 0.0, time.monotonic()

  def tell(self, name: str, text: str):
    """Writes a file that the job's script looks for."""
    path = os.path.join(self._logs, name)
    with open(f'{path}.tmp', 'w', encoding='utf-8') as file:
      file.write(text)
    os.replace(f'{path}.tmp', path)

  def is_over_within(self, seconds: float) -> bool:
    """Waits; true as soon as the task has to end."""
    deadline = time.monotonic() + seconds
    while not self.is_over() and time.monotonic() < deadline:
      time.sleep(min(_POLL, seconds))
    return self.is_over()

  def wait_until_over(self):
    """Stays as long as there is a script, to notice when it is lost."""
    while self._has_script() and not self.is_over():
      time.sleep(_POLL)

  def is_over(self) -> bool:
    """Whether the task has to end."""
    if os.path.exists(os.path.join(self._logs, END)):
      return True
    if not self._script_is_lost():
      return False
    # With --no-kill Slurm keeps a job whose first host is lost, and with it the
    # script. One of the tasks has it begin again.
    path = os.path.join(self._logs, QUEUED)
    try:
      with open(path, 'x', encoding='utf-8'):
        slurm_commands.requeue()
    except FileExistsError:
      pass
    except ValueError:  # Slurm does not answer; another task will ask.
      os.remove(path)
      return False
    return True

  def _has_script(self) -> bool:
    return os.path.exists(os.path.join(self._logs, ALIVE))

  def _script_is_lost(self) -> bool:
    if not self._has_script():  # It does not say yet.
      return False
    seen = os.stat(os.path.join(self._logs, ALIVE)).st_mtime_ns
    passed, self._looked = time.monotonic() - self._looked, time.monotonic()
    if seen != self._seen:
      self._seen, self._silence = seen, 0.0
    # Not all that has passed: job and task may have been suspended.
    self._silence += min(passed, 2 * _POLL)
    return self._silence > _LOST


if __name__ == '__main__':
  sys.exit(main(*sys.argv[1:]))

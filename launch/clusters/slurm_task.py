"""One task of a job: runs one node, and records how it ended.

It restarts an actor or the evaluator, while the program continues, but gives up
if they end soon after each start.
"""

from collections.abc import Callable, Mapping, Sequence
import contextlib
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
END = 'end'  # Created by the job's script; ends the tasks.
ALIVE = 'alive'  # Written by the job's script while it runs.
QUEUED = 'queued_again'  # Created by the task that requeues the job.
EXIT = '.exit'  # After a node's name: its exit code.
AGAIN = '.again'  # After a node's name: why it was last restarted.
_POLL = 0.5  # Seconds between checks of the node and the folder.
_LOST = 180.0  # Seconds of silence after which the script is lost.


def main(folder: str, logs: str) -> int:
  """Runs the node with the task's index.

  Args:
    folder: of the nodes' files.
    logs: folder for the nodes' output.

  Returns:
    Exit code of the task.
  """
  # A cancelled job sends this to every task and to its script, which makes the
  # monitor save; nodes must run until then.
  signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})  # Inherited.
  number = int(os.environ['SLURM_PROCID'])
  task = tasks.read(folder)[number]
  command = tasks.command(tasks.functions_path(folder), number)
  path = os.path.join(logs, f'{task.name}.log')
  job = Job(logs)
  code: int | None = 1  # If it stays unknown.
  watch = guardian.Guardian()  # Ends the node if this task is killed.
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
  """Returns 1 and logs a line if a port of the node is in use.

  Otherwise servers would share the port and receive each other's calls.
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
  """Runs a node, with restarts if it may be restarted.

  Args:
    task: task of the node.
    command: command that runs it.
    job: may end the node.
    log: file for the node's output.
    watch: receives the node's process ID at each start.

  Returns:
    The node's exit code; None if the job has ended it.
  """
  again = restarts.Restarts()
  starts = 0
  while True:
    starts += 1
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
      f'{pause:.0f} s: start {starts + 1}'
    )
    log.write(f'--- {task.name} {said}.\n')
    log.flush()
    job.tell(task.name + AGAIN, said)
    if job.is_over_within(pause):
      return None


def _run_once(
  command: Sequence[str],
  environment: Mapping[str, str],
  log: TextIO,
  job: 'Job',
  watch: Callable[[int], None],
) -> int | None:
  """Runs the node; returns its exit code, None if the job has ended it."""
  node = subprocess.Popen(
    command,
    env={**os.environ, **cuda.environment(), **environment},
    stdin=subprocess.DEVNULL,
    stdout=log,
    stderr=subprocess.STDOUT,
    start_new_session=True,  # It may have child processes.
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
  """A task's view of its job, in the folder of the logs."""

  def __init__(self, logs: str) -> None:
    self._logs = logs
    self._seen: int | None = None
    self._silence, self._looked = 0.0, time.monotonic()

  def tell(self, name: str, text: str) -> None:
    """Writes a file for the job's script."""
    path = os.path.join(self._logs, name)
    with open(f'{path}.tmp', 'w', encoding='utf-8') as file:
      file.write(text)
    os.replace(f'{path}.tmp', path)

  def is_over_within(self, seconds: float) -> bool:
    """Waits; true as soon as the task must end."""
    deadline = time.monotonic() + seconds
    while not self.is_over() and time.monotonic() < deadline:
      time.sleep(min(_POLL, seconds))
    return self.is_over()

  def wait_until_over(self) -> None:
    """Waits while the script runs, to notice when it is lost."""
    while self._has_script() and not self.is_over():
      time.sleep(_POLL)

  def is_over(self) -> bool:
    """Whether the task must end."""
    if os.path.exists(os.path.join(self._logs, END)):
      return True
    if not self._script_is_lost():
      return False
    # With --no-kill Slurm keeps a job that has lost its first host and script.
    # One of the tasks requeues it.
    path = os.path.join(self._logs, QUEUED)
    try:
      with open(path, 'x', encoding='utf-8'):
        slurm_commands.requeue()
    except FileExistsError:
      pass
    except ValueError:  # Slurm does not respond; another task retries.
      os.remove(path)
      return False
    return True

  def _has_script(self) -> bool:
    return os.path.exists(os.path.join(self._logs, ALIVE))

  def _script_is_lost(self) -> bool:
    if not self._has_script():  # Not yet written.
      return False
    seen = os.stat(os.path.join(self._logs, ALIVE)).st_mtime_ns
    passed, self._looked = time.monotonic() - self._looked, time.monotonic()
    if seen != self._seen:
      self._seen, self._silence = seen, 0.0
    # Time in long gaps does not count: the job may have been suspended.
    self._silence += min(passed, 2 * _POLL)
    return self._silence > _LOST


if __name__ == '__main__':
  sys.exit(main(*sys.argv[1:]))

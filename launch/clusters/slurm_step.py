"""The nodes of a program as the tasks of a Slurm job."""

from collections.abc import Callable, Sequence
import os
import subprocess
import sys
import time
import typing

from agents import node_processes
from launch.clusters import slurm
from launch.clusters import slurm_hosts
from launch.clusters import slurm_task
from launch.clusters import tasks

if typing.TYPE_CHECKING:
  import launchpad as lp

SRUN = 'srun'  # Name of the failed node if no task reports one.
_MARK = 'ald_task'
_GRACE = 15.0  # Seconds for tasks to end.
_POLL = 0.1  # Seconds between checks of tasks that should end.
_SIGN_OF_LIFE = 5.0  # Seconds between updates of the file `ALIVE`.


class Step:
  """All tasks of a job, started and ended together.

  Tasks report their end, and are told to end, by files in the shared folder of
  their logs.
  """

  def __init__(
    self,
    folder: str,
    parts: Sequence[slurm.Component],
    watcher: 'lp.CourierHandle',
    logs: str,
    say: Callable[[str], None] = print,
  ) -> None:
    """Prepares to start the tasks.

    Args:
      folder: folder of the nodes' files.
      parts: components of the job.
      watcher: handle of the monitor.
      logs: existing, empty folder for the nodes' output.
      say: called with messages for the user.
    """
    self._folder, self._parts = folder, parts
    self._watcher, self._logs, self._say = watcher, logs, say
    self._srun: subprocess.Popen | None = None
    self._hosts: slurm_hosts.Hosts | None = None
    self._said: set[str] = set()
    self._alive_at = -_SIGN_OF_LIFE

  def launch(self) -> None:
    """Starts the tasks.

    Raises:
      ValueError: if Slurm cannot start tasks.
    """
    addresses, hosts = self._find_hosts()
    os.environ[tasks.HOSTS] = ','.join(addresses)
    names = (task.name for task in tasks.read(self._folder))
    self._hosts = slurm_hosts.Hosts(dict(zip(names, hosts)), self.log(SRUN))
    command = [sys.executable, '-m', 'launch.clusters.slurm_task']
    command += [self._folder, self._logs]
    with open(self.log(SRUN), 'w', encoding='utf-8') as log:
      self._srun = subprocess.Popen(
        slurm.step(self._parts, command), stdout=log, stderr=subprocess.STDOUT
      )

  def _find_hosts(self) -> tuple[list[str], list[str]]:
    """The host of each task: its address and its name in Slurm.

    A later step of the same form has the same layout.
    """
    # Ignore other output of the host.
    tell = f'echo {_MARK} $SLURM_PROCID $(hostname) $SLURMD_NODENAME'
    done = subprocess.run(
      slurm.step(self._parts, ['sh', '-c', tell]),
      capture_output=True,
      text=True,
      check=False,
    )
    lines = [line.split() for line in done.stdout.splitlines()]
    found = {
      int(line[1]): (line[2], line[3])
      for line in lines
      if len(line) == 4 and line[0] == _MARK
    }
    expected = range(sum(part.tasks for part in self._parts))
    if done.returncode or sorted(found) != list(expected):
      raise ValueError(f'srun cannot start tasks: {done.stderr.strip()}')
    addresses, hosts = zip(*(found[number] for number in expected))
    return list(addresses), list(hosts)

  def _started(self) -> tuple[subprocess.Popen, slurm_hosts.Hosts]:
    assert self._srun and self._hosts, 'launch comes first'
    return self._srun, self._hosts

  def log(self, name: str) -> str:
    """Path of the output of a node or srun."""
    if name != SRUN and name in self._started()[1].lost():
      name = SRUN
    return os.path.join(self._logs, f'{name}.log')

  def failed(self) -> str | None:
    """The node whose failure ends the program, None if there is none."""
    srun, hosts = self._started()
    over = srun.poll() is not None  # First: tasks write, then end.
    self._give_sign_of_life()
    codes = {}
    for name in self._by_age():
      node, kind = os.path.splitext(name)
      if kind == slurm_task.EXIT:
        codes[node] = self._code(node)
      elif kind == slurm_task.AGAIN:
        self._say_once(f'node {node} {self._read(name)}')
    found = node_processes.first_failure(codes) or hosts.first_failure()
    if not found:
      for node, host in hosts.lost().items():
        self._say_once(f'node {node} is lost with its host {host}')
    return found or (SRUN if over else None)

  def _by_age(self) -> list[str]:
    """Names of the files that report the ends of nodes, the oldest first.

    A shared folder may show several at once.
    """
    with os.scandir(self._logs) as entries:
      ages = {
        entry.name: entry.stat().st_mtime_ns
        for entry in entries
        if entry.name.endswith((slurm_task.EXIT, slurm_task.AGAIN))
      }
    return sorted(ages, key=lambda name: ages[name])

  def status(self, name: str) -> str:
    """Describes how a node or srun ended."""
    srun, hosts = self._started()
    if name == SRUN:
      return node_processes.in_words(srun.returncode)
    host = hosts.lost().get(name)
    if host:
      return f'its host {host} is lost'
    return node_processes.in_words(self._code(name))

  @property
  def lost(self) -> bool:
    """Whether lost hosts end the program."""
    return bool(self._hosts and self._hosts.first_failure())

  def _code(self, node: str) -> int:
    return int(self._read(node + slurm_task.EXIT))

  def _read(self, name: str) -> str:
    with open(os.path.join(self._logs, name), encoding='utf-8') as file:
      return file.read()

  def _say_once(self, text: str) -> None:
    if text not in self._said:
      self._said.add(text)
      self._say(text)

  def _give_sign_of_life(self) -> None:
    """Tells tasks that the job's script is alive."""
    if time.monotonic() - self._alive_at >= _SIGN_OF_LIFE:
      with open(os.path.join(self._logs, slurm_task.ALIVE), 'w') as file:
        file.write(str(time.time()))
      self._alive_at = time.monotonic()

  def request_stop(self, reason: str, failed: str = '') -> bool:
    """Asks the monitor to end the run; returns whether it did.

    Args:
      reason: for the summary.
      failed: name of the node that has ended; '' if none has.
    """
    if self._srun is None:
      return False
    return node_processes.ask_to_end(self._watcher, reason, failed)

  def stop(self, urgent: Callable[[], bool] = lambda: False) -> None:
    """Ends all tasks and waits for them.

    Args:
      urgent: called while waiting; true kills them at once.
    """
    if self._srun is None:
      return
    with open(os.path.join(self._logs, slurm_task.END), 'w'):
      pass
    deadline = time.monotonic() + _GRACE
    while self._srun.poll() is None:
      if urgent() or time.monotonic() > deadline:
        self._srun.terminate()  # It kills the tasks.
        self._srun.wait()
      time.sleep(_POLL)

"""The nodes of a program as the tasks of a Slurm job."""

from collections.abc import Sequence
import os
import subprocess
import sys
import typing

from launch.clusters import slurm
from launch.clusters import slurm_task
from launch.clusters import tasks

if typing.TYPE_CHECKING:
  import launchpad as lp

SRUN = 'srun'  # Stands for all tasks where none of them says what failed.
_END = 60.0  # Seconds that the monitor may take; Slurm may allow fewer.
_GRACE = 15.0  # Seconds that tasks may take to end.


class Step:
  """All tasks, begun and ended together; made within a job.

  Tasks tell how they ended, and are told to end, by files in the folder of
  their logs: every host sees that one.
  """

  def __init__(
    self,
    folder: str,
    parts: Sequence[slurm.Component],
    watcher: 'lp.CourierHandle',
    logs: str,
  ):
    """Takes tasks that have not begun.

    Args:
      folder: of the nodes' files.
      parts: of the job.
      watcher: handle of the monitor.
      logs: existing, empty folder for what the nodes print.
    """
    self._folder, self._parts = folder, parts
    self._watcher, self._logs = watcher, logs
    self._srun: subprocess.Popen | None = None

  def launch(self):
    """Starts the tasks.

    Raises:
      ValueError: if Slurm cannot start tasks.
    """
    os.environ[tasks.HOSTS] = ','.join(self._hosts())
    command = [sys.executable, '-m', 'launch.clusters.slurm_task']
    command += [self._folder, self._logs]
    with open(self.log(SRUN), 'w', encoding='utf-8') as log:
      self._srun = subprocess.Popen(
        slurm.step(self._parts, command), stdout=log, stderr=subprocess.STDOUT
      )

  def _hosts(self) -> list[str]:
    """The host of each task: a step of the same form is laid out alike."""
    done = subprocess.run(
      slurm.step(self._parts, ['sh', '-c', 'echo $SLURM_PROCID $(hostname)']),
      capture_output=True,
      text=True,
      check=False,
    )
    pairs = [line.split() for line in done.stdout.splitlines()]
    hosts = {int(number): host for number, host in pairs}
    expected = range(sum(part.tasks for part in self._parts))
    if done.returncode or sorted(hosts) != list(expected):
      raise ValueError(f'srun cannot start tasks: {done.stderr.strip()}')
    return [hosts[number] for number in expected]

  def log(self, name: str) -> str:
    """Path of what a node, or srun, prints."""
    return os.path.join(self._logs, f'{name}.log')

  def failed(self) -> str | None:
    """The name of a node that has ended, None if all are there.

    Until the program's end no node has a reason to end, not even well.
    """
    over = self._srun.poll() is not None  # First: tasks write before they end.
    codes = {
      name.removesuffix(slurm_task.EXIT): self._code(name)
      for name in os.listdir(self._logs)
      if name.endswith(slurm_task.EXIT)
    }
    # Where one drew others after it, those that ended by themselves are last.
    found = max(codes, key=lambda name: codes[name] != 0, default=None)
    return found or (SRUN if over else None)

  def status(self, name: str) -> str:
    """How a node, or srun, ended, in words."""
    if name == SRUN:
      code = self._srun.returncode
    else:
      code = self._code(name + slurm_task.EXIT)
    return f'signal {-code}' if code < 0 else f'exit code {code}'

  def _code(self, name: str) -> int:
    with open(os.path.join(self._logs, name), encoding='utf-8') as file:
      return int(file.read())

  def request_stop(self, reason: str, failed: bool = False):
    """Has the monitor save and write the end, if it is there to.

    Args:
      reason: for the summary.
      failed: whether a node is gone.
    """
    if self._srun is None:
      return
    import courier

    client = courier.Client(
      self._watcher._address.resolve(), call_timeout=_END, wait_for_ready=False
    )
    try:
      client.request_stop(reason, failed)
      client.wait_for_end(_END)
    except Exception:  # It had not started, or hangs: nothing can be saved.
      pass

  def stop(self):
    """Ends all tasks and waits for them."""
    if self._srun is None:
      return
    with open(os.path.join(self._logs, slurm_task.END), 'w'):
      pass
    try:
      self._srun.wait(_GRACE)
    except subprocess.TimeoutExpired:
      self._srun.terminate()  # It kills the tasks.
      self._srun.wait()

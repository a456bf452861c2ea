"""Launches a program on one machine and watches its processes."""

from collections.abc import Mapping, Sequence
import multiprocessing
from multiprocessing import forkserver
from multiprocessing import resource_tracker
import os
import runpy
import signal
import sys
import time
import types
from unittest import mock

from absl import flags
import courier
import launchpad as lp
from launchpad.launch.run_locally import run_locally

_END = 60.0  # Seconds that the monitor may take to write the end.
_GRACE = 8.0  # Seconds that nodes may take to end.
# What ends a whole process group; the launcher alone sees to the end.
_STOPS = (signal.SIGINT, signal.SIGTERM)


def start_fork_server():
  """Begins to import what nodes need, in a process of its own.

  TensorFlow takes seconds of one core to import. The fork server does it once,
  and every node begins as a copy of it: ten nodes start in the time of one.
  """
  # Read when numpy is imported; TensorFlow's threads are set for each node.
  os.environ['OPENBLAS_NUM_THREADS'] = os.environ['OMP_NUM_THREADS'] = '1'
  os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')
  forkserver.set_forkserver_preload(['agents.preload'])
  resource_tracker.ensure_running()  # First: it unblocks signals.
  signal.pthread_sigmask(signal.SIG_BLOCK, _STOPS)  # It inherits this.
  try:
    forkserver.ensure_running()
  finally:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPS)


def _stop_fork_server():
  """Ends it now: by itself it would end a little after this process."""
  server = forkserver._forkserver
  if server._forkserver_pid is not None:
    os.kill(server._forkserver_pid, signal.SIGKILL)  # It may be importing.
  server._stop()


def culprit(codes: Mapping[str, int]) -> str | None:
  """The first cause among nodes that have ended, None if none has.

  Until the program's end no node has a reason to end, not even well.

  Args:
    codes: how nodes ended, by their names.
  """
  # One that failed, if any did: those that ended well were drawn along.
  return max(codes, key=lambda name: codes[name] != 0, default=None)


def in_words(code: int) -> str:
  """How a process ended, from its exit code, or minus its signal."""
  return f'signal {-code}' if code < 0 else f'exit code {code}'


def ask_to_end(watcher: lp.CourierHandle, reason: str, failed: bool):
  """Has the monitor save and write the end, if it is there to.

  Args:
    watcher: handle of the monitor.
    reason: for the summary.
    failed: whether a node is gone.
  """
  client = courier.Client(
    watcher._address.resolve(), call_timeout=_END, wait_for_ready=False
  )
  try:
    client.request_stop(reason, failed)
    client.wait_for_end(_END)
  except Exception:  # It had not started, or hangs: nothing can be saved.
    pass


class Supervisor:
  """The processes of a program, by the names of their nodes.

  Launchpad's own waiting says that a worker failed, but not which.
  """

  def __init__(
    self,
    program: lp.Program,
    resources,
    watcher: lp.CourierHandle,
    logs: str,
  ):
    """Takes a program that was not launched yet.

    Args:
      program: with a monitor node.
      resources: Launchpad's local resources of each group.
      watcher: handle of the monitor.
      logs: existing folder for what the nodes print.
    """
    self._program, self._resources = program, resources
    self._watcher = watcher
    self._logs = logs
    self._nodes: dict[str, multiprocessing.Process] = {}

  def launch(self):
    """Starts the processes; what they print goes to files."""
    if not flags.FLAGS.is_parsed():
      flags.FLAGS.mark_as_parsed()
    # Launchpad makes the commands; of its ways to run them, all start a new
    # interpreter for each, and the fork server is faster by half a minute.
    terminals = run_locally._LOCAL_LAUNCHER_MAP
    with mock.patch.dict(terminals, output_to_files=self._start):
      lp.launch(
        self._program,
        launch_type=lp.LaunchType.LOCAL_MULTI_PROCESSING,
        terminal='output_to_files',
        local_resources=self._resources,
      )

  def _start(self, commands: Sequence[run_locally.CommandToLaunch]):
    context = multiprocessing.get_context('forkserver')
    # Otherwise each child would run the launcher's script as its own.
    with mock.patch.dict(sys.modules, __main__=types.ModuleType('__main__')):
      for command in commands:
        name = command.title.replace('/', '_')
        process = context.Process(
          target=_enter,
          args=(
            command.command_as_list[1:],
            dict(command.env_overrides),
            self.log(name),
          ),
          name=name,
        )
        process.start()
        self._nodes[name] = process

  def log(self, name: str) -> str:
    """Path of what a node prints."""
    return os.path.join(self._logs, f'{name}.log')

  def failed(self) -> str | None:
    """The name of a node that has ended, None if all are there."""
    return culprit(
      {n: p.exitcode for n, p in self._nodes.items() if p.exitcode is not None}
    )

  def status(self, name: str) -> str:
    """How a node's process ended, in words."""
    return in_words(self._nodes[name].exitcode)

  def request_stop(self, reason: str, failed: bool = False):
    """Has the monitor save and write the end, if it is there to.

    Args:
      reason: for the summary.
      failed: whether a node is gone.
    """
    monitor = self._nodes.get('monitor_0')
    if monitor and monitor.exitcode is None:
      ask_to_end(self._watcher, reason, failed)

  def stop(self):
    """Ends every process and waits for them."""
    for process in self._nodes.values():
      if process.exitcode is None:
        process.terminate()
    deadline = time.monotonic() + _GRACE
    for process in self._nodes.values():
      process.join(max(0.0, deadline - time.monotonic()))
      if process.exitcode is None:
        process.kill()
        process.join()
    _stop_fork_server()


def _enter(arguments: Sequence[str], environment: dict[str, str], log: str):
  """Runs Launchpad's entry of a node in a fresh fork."""
  os.setpgrp()  # Signals to the launcher's group stop short of the nodes.
  signal.signal(signal.SIGINT, signal.SIG_IGN)  # One may have come before.
  signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPS)
  with open(log, 'w', encoding='utf-8') as file:
    os.dup2(file.fileno(), 1)
    os.dup2(file.fileno(), 2)
  os.environ.update(environment)
  sys.argv = list(arguments)
  runpy.run_path(arguments[0], run_name='__main__')

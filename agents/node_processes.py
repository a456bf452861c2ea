"""The processes of a program's nodes on one machine: start, watch, end."""

from collections.abc import Callable, Mapping, Sequence
import contextlib
from multiprocessing import context
from multiprocessing import process
import os
import runpy
import select
import signal
import sys
import tempfile
import time

from absl import flags
import courier
import launchpad as lp
from launchpad.launch.run_locally import run_locally
from launchpad.nodes.python import local_multi_processing

from agents import cuda
from agents import guardian
from agents import internals
from ald_acme import processes

FORK_SERVER = 'fork_server'  # Its name among those of the nodes.
_ANSWER = 5.0  # Seconds for the monitor to acknowledge the end.
_END = 60.0  # Seconds for the monitor to save the run.
_GRACE = 8.0  # Seconds for nodes to end.
_REPORT = 2.0  # Seconds for the fork server to report an exit code.
_UNKNOWN = 255  # Exit code if it does not.
_POLL = 0.05  # Seconds between checks of nodes that should end.
# Signals to a whole process group; only the launcher handles them.
_STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class ForkServer:
  """A process with all imports done, from which nodes are forked.

  Importing TensorFlow takes seconds of one core: this way ten nodes start in
  the time of one. From now on this process, the server and the nodes share a
  temporary folder, which a guardian process removes when this one ends or is
  killed.
  """

  def __init__(self, modules: Sequence[str] = ('agents.preload',)) -> None:
    """Starts importing, in the background.

    Args:
      modules: names of the modules to import.
    """
    # Read when numpy is imported; TensorFlow's threads are set per node.
    os.environ['OPENBLAS_NUM_THREADS'] = os.environ['OMP_NUM_THREADS'] = '1'
    os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')
    self._guardian = guardian.Guardian()
    os.environ['TMPDIR'] = tempfile.tempdir = self._guardian.folder
    internals.start_fork_server(modules, _STOPS)
    pid = internals.fork_server_pid()
    assert pid is not None, 'it was started'
    self._descriptor = os.pidfd_open(pid)
    self._status = ''  # How it ended.

  def start(
    self,
    name: str,
    target: Callable[..., None],
    *args: object,
    fresh: bool = False,
  ) -> 'Node':
    """Starts a process that calls a function of a module.

    Args:
      name: name of the process.
      target: the function.
      *args: the function's arguments.
      fresh: whether the process starts without the server's imports.
    """
    kind = context.SpawnProcess if fresh else context.ForkServerProcess
    started = kind(target=target, args=args, name=name)
    with processes.without_main():
      started.start()
    node = Node(started)
    self._guardian.watch(node.pid)
    return node

  def has_ended(self) -> bool:
    """Whether the server has ended; exit codes of nodes are then unknown."""
    if not self._status and _is_ready(self._descriptor):
      how = os.WEXITED | os.WNOHANG | os.WNOWAIT
      ended = os.waitid(os.P_PIDFD, self._descriptor, how)
      assert ended is not None, 'it is ready'
      killed = ended.si_code != os.CLD_EXITED
      self._status = in_words(-ended.si_status if killed else ended.si_status)
    return bool(self._status)

  def status(self) -> str:
    """How the server ended, in words."""
    return self._status

  def stop(self) -> None:
    """Ends the server."""
    internals.stop_fork_server()
    os.close(self._descriptor)


def _is_ready(descriptor: int) -> bool:
  poll = select.poll()
  poll.register(descriptor, select.POLLIN)
  return bool(poll.poll(0))


class Node:
  """A process of the fork server.

  Attributes:
    pid: its process ID, which is also its process group.
  """

  def __init__(self, started: process.BaseProcess) -> None:
    assert started.pid is not None, 'it was started'
    self._process = started
    self.pid = started.pid
    self._ended_at: float | None = None
    self._descriptor: int | None = None
    with contextlib.suppress(ProcessLookupError):  # It may have ended.
      self._descriptor = os.pidfd_open(self.pid)

  @property
  def exitcode(self) -> int | None:
    """As `multiprocessing.Process.exitcode`; None while it runs.

    The fork server reports it. If that hangs, it is 255 after a while, as in
    `multiprocessing` if the server has ended.
    """
    code = self._process.exitcode
    if code is None and not self.is_alive():
      self._ended_at = self._ended_at or time.monotonic()
      if time.monotonic() > self._ended_at + _REPORT:
        return _UNKNOWN
    return code

  def is_alive(self) -> bool:
    """Whether it runs, even if the fork server has ended."""
    return self._descriptor is not None and not _is_ready(self._descriptor)

  def send(self, number: int) -> None:
    """Sends a signal, unless it has ended."""
    if self._descriptor is not None:
      with contextlib.suppress(ProcessLookupError):
        signal.pidfd_send_signal(self._descriptor, number)

  def kill_group(self) -> None:
    """Kills it and its children."""
    self.send(signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError):
      os.killpg(self.pid, signal.SIGKILL)


def first_failure(codes: Mapping[str, int]) -> str | None:
  """The node that caused the program's end; None if none has ended.

  Prefers a node with a non-zero exit code: nodes that exited cleanly were
  probably stopped as a consequence.

  Args:
    codes: exit codes of nodes by name; minus the signal if killed by one.
  """
  return max(codes, key=lambda name: codes[name] != 0, default=None)


def in_words(code: int) -> str:
  """Describes how a process ended, from its exit code or minus its signal."""
  return f'signal {-code}' if code < 0 else f'exit code {code}'


def ask_to_end(watcher: lp.CourierHandle, reason: str, failed: str) -> bool:
  """Asks the monitor to save and end the run.

  Args:
    watcher: handle of the monitor.
    reason: for the summary.
    failed: name of the node that has ended; '' if none has.

  Returns:
    Whether the monitor did so; false if it has not started or hangs.
  """
  address = internals.address_of(watcher)

  def client(timeout: float) -> courier.Client:
    return courier.Client(address, call_timeout=timeout, wait_for_ready=False)

  try:
    client(_ANSWER).request_stop(reason, failed)
    return client(_END + _ANSWER).wait_for_end(_END)
  except Exception:  # Courier's exception is not public.
    return False


class NodeProcesses:
  """The processes of a program, by the names of their nodes.

  Launchpad's own `wait` does not tell which node failed.
  """

  def __init__(
    self,
    program: lp.Program,
    resources: Mapping[str, local_multi_processing.PythonProcess],
    watcher: lp.CourierHandle,
    logs: str,
    server: ForkServer,
  ) -> None:
    """Prepares to launch a program.

    Args:
      program: with a monitor node.
      resources: Launchpad's local resources of each group.
      watcher: handle of the monitor.
      logs: existing folder for the nodes' output.
      server: starts the nodes, and is stopped with them.
    """
    self._program, self._resources = program, resources
    self._watcher = watcher
    self._logs = logs
    self._server = server
    self._nodes: dict[str, Node] = {}

  def launch(self) -> None:
    """Starts the processes, with their output in files."""
    if not flags.FLAGS.is_parsed():
      flags.FLAGS.mark_as_parsed()
    with internals.launching_with(self._start) as terminal:
      lp.launch(
        self._program,
        launch_type=lp.LaunchType.LOCAL_MULTI_PROCESSING,
        terminal=terminal,
        local_resources=self._resources,
      )

  def _start(self, commands: Sequence[run_locally.CommandToLaunch]) -> None:
    for command in commands:
      name = command.title.replace('/', '_')
      self._nodes[name] = self._server.start(
        name,
        _enter,
        command.command_as_list[1:],
        dict(command.env_overrides),
        self.log(name),
        fresh=cuda.LOAD in command.env_overrides,
      )

  def log(self, name: str) -> str:
    """Path of a node's output."""
    return os.path.join(self._logs, f'{name}.log')

  def failed(self) -> str | None:
    """The name of a node that has ended; None if none has."""
    if self._server.has_ended():
      return FORK_SERVER
    return first_failure(
      {n: p.exitcode for n, p in self._nodes.items() if p.exitcode is not None}
    )

  def status(self, name: str) -> str:
    """Describes how a node's process ended."""
    if name == FORK_SERVER:
      return self._server.status()
    code = self._nodes[name].exitcode
    return 'running' if code is None else in_words(code)

  def request_stop(self, reason: str, failed: str = '') -> bool:
    """Asks the monitor to end the run; returns whether it did.

    Args:
      reason: for the summary.
      failed: name of the node that has ended; '' if none has.
    """
    monitor = self._nodes.get('monitor_0')
    if monitor is None or not monitor.is_alive():
      return False
    return ask_to_end(self._watcher, reason, failed)

  def stop(self, urgent: Callable[[], bool] = lambda: False) -> None:
    """Ends every process and waits for them.

    Args:
      urgent: called while waiting; true kills them at once.
    """
    nodes = self._nodes.values()
    for node in nodes:
      node.send(signal.SIGTERM)
      node.send(signal.SIGCONT)  # Resumes a suspended node.
    deadline = time.monotonic() + _GRACE
    while any(node.is_alive() for node in nodes):
      if urgent() or time.monotonic() > deadline:
        break
      time.sleep(_POLL)
    for node in nodes:
      node.kill_group()
    while any(node.is_alive() for node in nodes):
      time.sleep(_POLL)
    self._server.stop()


def _enter(
  arguments: Sequence[str], environment: dict[str, str], log: str
) -> None:
  """Runs Launchpad's entry of a node in a fresh fork."""
  os.setpgrp()  # Nodes do not receive signals to the launcher's group.
  for number in (signal.SIGINT, signal.SIGHUP):  # One may be pending.
    signal.signal(number, signal.SIG_IGN)
  signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPS)
  with open(log, 'w', encoding='utf-8') as file:
    os.dup2(file.fileno(), 1)
    os.dup2(file.fileno(), 2)
  os.environ.update(environment)
  if cuda.LOAD in environment:
    cuda.load()  # This module does not import TensorFlow.
  sys.argv = list(arguments)
  runpy.run_path(arguments[0], run_name='__main__')

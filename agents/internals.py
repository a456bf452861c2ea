"""The private APIs of Launchpad and `multiprocessing` that we use.

There is no public alternative. They are kept together so that an update of
either library is checked against one file.
"""

from collections.abc import Callable, Iterator, Sequence
import contextlib
from multiprocessing import forkserver
from multiprocessing import resource_tracker
import os
import signal
import threading
from typing import Any

import launchpad as lp
from launchpad.launch import worker_manager
from launchpad.launch.run_locally import run_locally

_TERMINAL = 'output_to_files'  # The launch mode that is replaced.


@contextlib.contextmanager
def launching_with(
  start: Callable[[Sequence[run_locally.CommandToLaunch]], Any],
) -> Iterator[str]:
  """Makes Launchpad pass the commands of a program's nodes to a function.

  Launchpad's own modes start a new interpreter per node, which takes ten nodes
  half a minute longer than the fork server.

  Args:
    start: starts the nodes' commands.

  Yields:
    The `terminal` argument of `lp.launch`.
  """
  ways = run_locally._LOCAL_LAUNCHER_MAP
  own = ways[_TERMINAL]
  ways[_TERMINAL] = start
  try:
    yield _TERMINAL
  finally:
    ways[_TERMINAL] = own


def stop_loops_on_signals() -> Callable[[], bool]:
  """Makes SIGINT and SIGTERM end the `run` of Acme's environment loops.

  Such a loop registers with Launchpad's signal dispatcher, whose stop handlers
  only run inside a Launchpad program: elsewhere signals would be lost. The
  first signal ends the loop at its next step; the second, or the first without
  a loop, ends the process.

  Returns:
    A function that tells whether a loop was interrupted. Acme raises SystemExit
    in its thread; TensorFlow may turn that into another error while it traces a
    function.
  """
  told = threading.Event()

  def stop(number: int, _: Any) -> None:
    # The next signal gets the default handler.
    signal.signal(number, signal.SIG_DFL)
    if worker_manager._SIGNAL_HANDLERS[signal.SIGUSR1]:
      told.set()
      worker_manager._signal_dispatcher(signal.SIGUSR1)
    else:
      os.kill(os.getpid(), number)

  for number in (signal.SIGINT, signal.SIGTERM):
    worker_manager._register_signal_handler(number, stop)
  return told.is_set


def address_of(handle: lp.CourierHandle) -> str:
  """A handle's 'host:port', after the launch."""
  return handle._address.resolve()


def initialize_for_vertex_ai(node: Any) -> None:
  """Prepares a node for `bind_addresses`, as Launchpad's own launcher does."""
  node._initialize_context(lp.LaunchType.VERTEX_AI, None)


def start_fork_server(modules: Sequence[str], blocked: Sequence[int]) -> None:
  """Starts `multiprocessing`'s fork server.

  Args:
    modules: names of the modules that it imports.
    blocked: signals blocked in it and in its children.
  """
  forkserver.set_forkserver_preload(list(modules))
  signal.pthread_sigmask(signal.SIG_BLOCK, blocked)
  try:
    # Start the tracker first, because that unblocks signals.
    resource_tracker.ensure_running()
    signal.pthread_sigmask(signal.SIG_BLOCK, blocked)
    forkserver.ensure_running()
  finally:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, blocked)


def fork_server_pid() -> int | None:
  """Process ID of the fork server; None if not started."""
  return _server()._forkserver_pid


def stop_fork_server() -> None:
  """Kills the fork server, even while it imports."""
  server = _server()
  if server._forkserver_pid is not None:
    with contextlib.suppress(ProcessLookupError):
      os.kill(server._forkserver_pid, signal.SIGKILL)
  with contextlib.suppress(ChildProcessError):  # It was already waited for.
    server._stop()


def _server() -> Any:
  """The fork server; type checkers do not know its private names."""
  return forkserver._forkserver

"""Supervision of a run from launch to end, on any platform."""

from __future__ import annotations

from collections.abc import Callable
import contextlib
import os
import re
import signal
import tempfile
import threading
import time
import typing

from ald_acme.runs import checkpoints
from ald_acme.runs import curves
from ald_acme.runs import files
from ald_acme.runs import folder as run_folder
from ald_acme.runs import heartbeats
from ald_acme.runs import progress
from launch import command_line

if typing.TYPE_CHECKING:
  from rich import console as rich_console

_MONITOR = 'monitor_0'
_POLL = 0.25  # Seconds between checks of the nodes.
# Python's exceptions, those of modules by any name (`module.Name: text`), and
# errors and fatal errors in C++ logs.
_ERROR = re.compile(
  r'[\w.]*(Error|Exception|Interrupt)\b|(\w+\.)+[A-Z]\w*: |[EF]\d{4} '
)


class Supervisor(typing.Protocol):
  """The nodes of a program, by their names."""

  def launch(self) -> None:
    """Starts all nodes."""

  def failed(self) -> str | None:
    """The node whose failure ends the program; None if there is none."""

  def status(self, name: str) -> str:
    """Describes how a node ended."""

  def log(self, name: str) -> str:
    """Path of a node's output."""

  def request_stop(self, reason: str, failed: str = '') -> bool:
    """Asks the monitor to end the run; returns whether it did.

    Args:
      reason: for the summary.
      failed: name of the node that has ended; '' if none has.
    """

  def stop(self, urgent: Callable[[], bool] = lambda: False) -> None:
    """Ends all remaining nodes, and waits for them.

    Args:
      urgent: called while waiting; true kills them at once.
    """


class Interruptions:
  """Counts requests to end the run: Ctrl-C, SIGTERM and SIGHUP.

  The first requests an orderly end, the second an immediate one, unless it is
  SIGHUP, which a closing terminal may send repeatedly.
  """

  def __init__(self) -> None:
    """Installs the signal handlers."""
    self._count = 0
    self._terminals = [fd for fd in (0, 1, 2) if os.isatty(fd)]
    signal.signal(signal.SIGINT, self._interrupt)
    signal.signal(signal.SIGTERM, self._interrupt)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # `nohup`.
      signal.signal(signal.SIGHUP, self._hang_up)

  def _interrupt(self, *_: object) -> None:
    self._count += 1

  def _hang_up(self, *_: object) -> None:
    self._count = max(self._count, 1)
    # Writing to a closed terminal would fail.
    null = os.open(os.devnull, os.O_RDWR)
    for terminal in self._terminals:
      os.dup2(null, terminal)
    os.close(null)

  def asked(self) -> bool:
    """Whether an end was requested."""
    return self._count > 0

  def urgent(self) -> bool:
    """Whether an end without saving was requested."""
    return self._count > 1


def supervise(
  folder: run_folder.RunFolder,
  make_supervisor: Callable[[str], Supervisor],
  console: rich_console.Console,
  stall_warning: float = 40.0,
  stall_limit: float = 0.0,
) -> int:
  """Runs a program to its end, and displays its progress.

  SIGINT, SIGTERM and SIGHUP save and end it; a second SIGINT or SIGTERM ends it
  immediately. If a node fails, a one-line error tells why.

  Args:
    folder: the run's folder, locked.
    make_supervisor: called with an empty folder for the nodes' output.
    console: console for the output.
    stall_warning: seconds without progress of the monitor before a warning.
    stall_limit: seconds without progress of the monitor after which the run
      ends; 0: never.

  Returns:
    Exit status of the process.
  """
  logs = folder.next_node_logs()
  for path in (folder.progress, folder.summary):  # Files of an earlier launch.
    with contextlib.suppress(FileNotFoundError):
      os.remove(path)
  interruptions = Interruptions()
  before = _newest_checkpoint(folder)
  failed, hangs, stopped_by_user, in_order = None, '', False, True
  news = _News(folder)
  with progress.Display(folder, console) as display:
    display.show(None)
    supervisor = make_supervisor(logs)
    try:
      if not interruptions.asked():
        supervisor.launch()
      while not (failed or interruptions.asked() or _has_ended(folder)):
        display.show(_progress(folder))
        time.sleep(_POLL)
        silence = news.silence()
        if silence > stall_warning:
          display.warn(
            _MONITOR,
            f'node {_MONITOR} has written no progress for {silence:.0f} s'
            f'{_write_problem(folder)}',
          )
        # In this order: nodes may end once the summary is written.
        failed = supervisor.failed()
        if not failed and 0 < stall_limit < silence:
          failed, hangs = _MONITOR, f'no progress for {silence:.0f} s'
        failed = None if _has_ended(folder) else failed
      # The program's end also sends a signal, which is no interruption.
      stopped_by_user = not (failed or _has_ended(folder))
      if failed:
        in_order = _request_stop(
          supervisor, f'node {failed} failed', failed, interruptions.urgent
        )
      elif stopped_by_user:
        console.print('Stopping; Ctrl-C again ends at once, without saving.')
        in_order = _request_stop(
          supervisor, 'interrupted', '', interruptions.urgent
        )
    finally:  # Leave no process behind.
      supervisor.stop(interruptions.urgent)

  newest = _newest_checkpoint(folder)
  if _has_ended(folder):
    curves.draw(folder)
    progress.print_summary(
      files.read_json(folder.summary), folder, newest, console
    )
  if failed:
    log = supervisor.log(failed)
    says = _and_says(log) or _write_problem(folder)
    command_line.fail(
      f'node {failed} failed ({hangs or supervisor.status(failed)}); its log '
      f'is {log}{says}. The last good checkpoint is {newest or "none"}.',
      status=1,
    )
  if not stopped_by_user:
    reason = files.read_json(folder.summary)['stopped_because']
    if reason not in run_folder.GOALS:
      command_line.fail(
        f'the run failed: {reason}. The last good checkpoint is '
        f'{newest or "none"}.',
        status=1,
      )
  if stopped_by_user and not in_order and newest == before:
    console.print('The last state was not saved.')
  return command_line.INTERRUPTED if stopped_by_user else 0


def _request_stop(
  supervisor: Supervisor,
  reason: str,
  failed: str,
  urgent: Callable[[], bool],
) -> bool:
  """Waits for the monitor to end the run; returns whether it did.

  It uses a thread, because Python handles no signals during a blocking call.
  """
  answers = []
  thread = threading.Thread(
    target=lambda: answers.append(supervisor.request_stop(reason, failed)),
    daemon=True,
  )
  thread.start()
  while thread.is_alive() and not urgent():
    thread.join(_POLL)
  return answers == [True]


def _newest_checkpoint(folder: run_folder.RunFolder) -> str | None:
  paths = checkpoints.CheckpointFolder(folder.checkpoints).paths()
  return paths[0] if paths else None


def _has_ended(folder: run_folder.RunFolder) -> bool:
  """Whether the monitor has written the summary."""
  return (_progress(folder) or {}).get('state') == 'ended'


def _progress(folder: run_folder.RunFolder) -> dict | None:
  try:
    return files.read_json(folder.progress)
  except FileNotFoundError:
    return None


class _News:
  """Measures the time since the monitor last wrote progress."""

  def __init__(self, folder: run_folder.RunFolder) -> None:
    self._path = folder.progress
    self._seen: int | None = None
    self._silence, self._looked = 0.0, time.monotonic()

  def silence(self) -> float:
    """Seconds since the last progress; 0 before the first.

    Time in long gaps does not count: the machine may have been suspended.
    """
    passed, self._looked = time.monotonic() - self._looked, time.monotonic()
    try:
      written = os.stat(self._path).st_mtime_ns
    except FileNotFoundError:
      return 0.0
    if written != self._seen:
      self._seen, self._silence = written, 0.0
    else:
      self._silence += min(passed, heartbeats.GAP)
    return self._silence


def _write_problem(folder: run_folder.RunFolder) -> str:
  """Why a run's folder cannot be written; '' if it can."""
  try:
    with tempfile.TemporaryFile(dir=folder.path) as file:
      file.write(bytes(4096))
  except OSError as error:
    return f'; the folder {folder.path} cannot be written ({error.strerror})'
  return ''


def _and_says(path: str) -> str:
  """The line of a node's log that tells why it ended; '' if there is none."""
  try:
    with open(path, encoding='utf-8', errors='replace') as file:
      lines = [line.strip() for line in file]
  except FileNotFoundError:  # It ended before it wrote a log.
    return ''
  errors = [line for line in lines if _ERROR.match(line)]
  return f', and says: {errors[-1][:300].removesuffix(".")}' if errors else ''

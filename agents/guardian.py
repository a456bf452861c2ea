"""Cleans up after a killed process: its nodes and its temporary folder.

It runs as a separate program on the standard library alone. It reads a pipe
that closes when that process ends: first the path of a temporary folder, then
the process IDs of nodes, one per line.
"""

import atexit
import contextlib
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile

_GRACE_MS = 5000  # Orphaned nodes may end by themselves.


class Guardian:
  """Starts this module as a program that watches the calling process.

  Attributes:
    folder: a temporary folder that is removed when the process has ended.
  """

  def __init__(self) -> None:
    """Creates the folder and starts the program."""
    self.folder = tempfile.mkdtemp(prefix='ald-')
    self._process = subprocess.Popen(  # Its pipe stays open until we end.
      [sys.executable, '-I', '-S', __file__],
      stdin=subprocess.PIPE,
      text=True,
      start_new_session=True,
    )
    self._tell(self.folder)
    self._owner = os.getpid()
    atexit.register(self._clean_alone)

  def watch(self, pid: int) -> None:
    """Registers a process to be killed at the end, with its process group."""
    self._tell(pid)

  def _clean_alone(self) -> None:
    """Removes the folder at exit if the program was killed."""
    if os.getpid() == self._owner and self._process.poll() is not None:
      shutil.rmtree(self.folder, ignore_errors=True)

  def _tell(self, line: object) -> None:
    assert self._process.stdin
    with contextlib.suppress(BrokenPipeError):  # The program was killed.
      self._process.stdin.write(f'{line}\n')
      self._process.stdin.flush()


def main() -> None:
  folder = sys.stdin.readline().rstrip('\n')
  nodes = {}
  for line in sys.stdin:
    with contextlib.suppress(ProcessLookupError):  # It has ended.
      nodes[int(line)] = os.pidfd_open(int(line))
  for pid, descriptor in nodes.items():
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    if not poll.poll(_GRACE_MS):
      signal.pidfd_send_signal(descriptor, signal.SIGKILL)
    # A node leads a process group, which may hold its children.
    with contextlib.suppress(ProcessLookupError):
      os.killpg(pid, signal.SIGKILL)
  shutil.rmtree(folder, ignore_errors=True)


if __name__ == '__main__':
  main()

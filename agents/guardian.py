"""Cleans up after a process that was killed: its nodes, its temporary folder.

Run as a program, with nothing but Python's own library, beside that process. It
reads from a pipe that ends with it, however it ends: first the path of a
temporary folder, then the process IDs of nodes, one a line.
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

_GRACE_MS = 5000  # Nodes may notice too that they are alone, and end.


class Guardian:
  """The program of this module, watching the process that makes it.

  Attributes:
    folder: a temporary folder that is removed when the process has ended.
  """

  def __init__(self) -> None:
    """Makes the folder and starts the program."""
    self.folder = tempfile.mkdtemp(prefix='ald-')
    self._process = subprocess.Popen(  # Its pipe stays open to the end.
      [sys.executable, '-I', '-S', __file__],
      stdin=subprocess.PIPE,
      text=True,
      start_new_session=True,
    )
    self._tell(self.folder)
    self._owner = os.getpid()
    atexit.register(self._clean_alone)

  def watch(self, pid: int) -> None:
    """Kills a process, and the group that it leads, at the end."""
    self._tell(pid)

  def _clean_alone(self) -> None:
    """Removes the folder at the end, if the program was killed before."""
    if os.getpid() == self._owner and self._process.poll() is not None:
      shutil.rmtree(self.folder, ignore_errors=True)

  def _tell(self, line: object) -> None:
    assert self._process.stdin
    with contextlib.suppress(BrokenPipeError):  # It was killed.
      self._process.stdin.write(f'{line}\n')
      self._process.stdin.flush()


def main() -> None:
  folder = sys.stdin.readline().rstrip('\n')
  nodes = {}
  for line in sys.stdin:
    with contextlib.suppress(ProcessLookupError):  # It has ended already.
      nodes[int(line)] = os.pidfd_open(int(line))
  for pid, descriptor in nodes.items():
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    if not poll.poll(_GRACE_MS):
      signal.pidfd_send_signal(descriptor, signal.SIGKILL)
    # A node leads a group; processes that it started may be left in it.
    with contextlib.suppress(ProcessLookupError):
      os.killpg(pid, signal.SIGKILL)
  shutil.rmtree(folder, ignore_errors=True)


if __name__ == '__main__':
  main()

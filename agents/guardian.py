"""Cleans up after a launcher that was killed.

Run as a program, with nothing but Python's own library, beside the launcher. It
reads from a pipe that ends with the launcher, however that ends: first the path
of a temporary folder, then the process IDs of nodes, one a line.
"""

import contextlib
import os
import select
import shutil
import signal
import sys

_GRACE_MS = 5000  # Nodes notice too that the launcher is gone, and end.


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

"""Files that are removed with and without the guardian."""

import os
import select
import subprocess
import sys

import pytest

# The process ends in order once its guardian was killed, or is killed itself.
PROGRAM = """
import os, signal, sys
from agents import guardian
watched = guardian.Guardian()
open(os.path.join(watched.folder, 'file'), 'w').close()
print(watched.folder, watched._process.pid, flush=True)
if sys.argv[1] == 'guardian':
  watched._process.kill()
  watched._process.wait()
else:
  os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize('killed', ['guardian', 'process'])
def test_the_temporary_folder_is_removed(killed):
  done = subprocess.run(
    [sys.executable, '-c', PROGRAM, killed],
    capture_output=True,
    text=True,
    timeout=60,
    check=False,
  )
  folder, pid = done.stdout.split()
  if killed == 'process':  # Its guardian ends when it has cleaned up.
    _wait_for(int(pid))
  assert not os.path.exists(folder), done.stderr


def _wait_for(pid):
  try:
    descriptor = os.pidfd_open(pid)
  except ProcessLookupError:  # It has ended already.
    return
  try:
    assert select.select([descriptor], [], [], 30)[0]
  finally:
    os.close(descriptor)

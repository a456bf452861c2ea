"""Importing the agent has no side effects."""

import subprocess
import sys

_PROGRAM = """
import os, signal, sys, threading
import acme, tensorflow  # What these do is not ours.

def world():
  handlers = [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)]
  return dict(os.environ), list(sys.path), list(sys.argv), handlers

before = world()
from agents.ald import (
    ALD, ALDBuilder, ALDConfig, DistributedALD, make_default_networks)
assert world() == before
assert threading.enumerate() == [threading.main_thread()]
assert not [m for m in sys.modules if m.split('.')[0] == 'launch']

from absl import flags
ours = [m for m in flags.FLAGS.flags_by_module_dict()
        if m.split('.')[0] in ('agents', 'ald_acme', '__main__')]
assert not ours, ours
assert not flags.FLAGS.is_parsed()

from tensorflow.python.eager import context
assert not context.context()._initialized  # No device was taken.
"""


def test_imports_have_no_side_effects():
  done = subprocess.run(
    [sys.executable, '-c', _PROGRAM],
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.returncode == 0, done.stderr

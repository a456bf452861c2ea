"""Signals to a whole process group: the launcher alone hears them."""

import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))

_LAUNCHER = """
import multiprocessing, os, signal, sys, time
from agents import supervision

folder = sys.argv[1]
script, log = os.path.join(folder, 'node.py'), os.path.join(folder, 'log')
heard = []
for number in (signal.SIGINT, signal.SIGTERM):
  signal.signal(number, lambda number, _: heard.append(number))
supervision.start_fork_server()
context = multiprocessing.get_context('forkserver')
node = context.Process(target=supervision._enter, args=([script], {}, log))
node.start()
while not (os.path.exists(log) and 'ready' in open(log).read()):
  assert node.is_alive()
  time.sleep(0.1)
for number in (signal.SIGINT, signal.SIGTERM):
  os.killpg(0, number)
node.join(1.0)
print(len(heard), node.exitcode)
node.terminate()
node.join(30.0)
print(node.exitcode)
"""


def test_nodes_outlive_signals_to_the_group(tmp_path):
  (tmp_path / 'node.py').write_text(
    'import time; print("ready", flush=True); time.sleep(60)'
  )
  result = subprocess.run(
    [sys.executable, '-c', _LAUNCHER, str(tmp_path)],
    env={**os.environ, 'PYTHONPATH': ROOT},
    capture_output=True,
    text=True,
    timeout=200,
    start_new_session=True,
    check=False,
  )
  assert result.stdout.split() == ['2', 'None', '-15'], result.stderr[-2000:]

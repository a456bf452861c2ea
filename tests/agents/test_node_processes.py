"""Processes of nodes: signals to their group, death of the fork server."""

import os
import shutil
import signal
import subprocess
import sys
import time

import psutil

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))

_LAUNCHER = """
import os, signal, sys, tempfile, time
from agents import node_processes

folder = sys.argv[1]
script, log = os.path.join(folder, 'node.py'), os.path.join(folder, 'log')
heard = []
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
  signal.signal(number, lambda number, _: heard.append(number))
server = node_processes.ForkServer(())
print(tempfile.gettempdir())
node = server.start('node', node_processes._enter, [script], {}, log)
print(node.pid, flush=True)
while not (os.path.exists(log) and 'ready' in open(log).read()):
  assert node.is_alive()
  time.sleep(0.1)
"""
_SIGNALS = """
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
  os.killpg(0, number)
time.sleep(1.0)
print(len(heard), node.exitcode)
node.send(signal.SIGTERM)
while node.is_alive():
  time.sleep(0.1)
print(node.exitcode, server.has_ended())
server.stop()
"""
_SERVER_DIES = """
os.kill(node_processes.internals.fork_server_pid(), signal.SIGKILL)
while not server.has_ended():
  time.sleep(0.1)
print(node.is_alive())
node.kill_group()
server.stop()
print(server.status())
"""
_SERVER_HANGS = """
os.kill(node_processes.internals.fork_server_pid(), signal.SIGSTOP)
node.kill_group()
while node.exitcode is None:
  time.sleep(0.1)
print(node.exitcode)
server.stop()
"""
_NODE = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])
print('ready', child.pid, flush=True)
time.sleep(60)
"""


def _launch(folder, then):
  (folder / 'node.py').write_text(_NODE)
  return subprocess.Popen(
    [sys.executable, '-c', _LAUNCHER + then, str(folder)],
    env={**os.environ, 'PYTHONPATH': ROOT},
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
    start_new_session=True,
  )


def _becomes_true(condition):
  deadline = time.monotonic() + 15
  while not condition() and time.monotonic() < deadline:
    time.sleep(0.1)
  return condition()


def _ends(pid):
  """Whether a process ends soon."""

  def has_ended():
    try:
      return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
      return True

  return _becomes_true(has_ended)


def _is_removed(folder):
  return _becomes_true(lambda: not os.path.exists(folder))


def test_nodes_outlive_signals_to_the_group(tmp_path):
  out, error = _launch(tmp_path, _SIGNALS).communicate(timeout=200)
  temporary, _, *said = out.splitlines()
  assert said == ['3 None', '-15 False'], error[-2000:]
  assert _is_removed(temporary)


def test_the_fork_server_dies(tmp_path):
  out, error = _launch(tmp_path, _SERVER_DIES).communicate(timeout=200)
  temporary, pid, *said = out.splitlines()
  assert said == ['True', 'signal 9'], error[-2000:]
  assert _is_removed(temporary)
  assert _ends(int(pid))


def test_a_node_dies_while_the_fork_server_hangs(tmp_path):
  out, error = _launch(tmp_path, _SERVER_HANGS).communicate(timeout=200)
  temporary, _, said = out.splitlines()
  assert said == '255', error[-2000:]
  assert _is_removed(temporary)


def test_a_killed_launcher_leaves_no_process(tmp_path):
  launcher = _launch(tmp_path, 'time.sleep(60)')
  temporary = launcher.stdout.readline().strip()
  node = int(launcher.stdout.readline())
  while (
    not (log := tmp_path / 'log').exists() or 'ready' not in log.read_text()
  ):
    assert launcher.poll() is None
    time.sleep(0.1)
  child = int(log.read_text().split()[1])
  os.kill(node, signal.SIGSTOP)  # A stopped process cannot notice.
  launcher.kill()
  assert _ends(node) and _ends(child)
  assert _is_removed(temporary)


_ACCELERATED = """
import sys
with open('/proc/self/maps') as maps:
  print('nvidia/cuda_runtime' in maps.read(), 'tensorflow' in sys.modules)
"""
_FRESH = """
import os, sys
from agents import cuda, node_processes
folder = sys.argv[1]
server = node_processes.ForkServer(('tensorflow',))
for name, environment in (('fresh', {cuda.LOAD: '1'}), ('copy', {})):
  script, log = os.path.join(folder, 'node.py'), os.path.join(folder, name)
  node = server.start(
    name, node_processes._enter, [script], environment, log,
    fresh=bool(environment),
  )
  while node.is_alive():
    pass
  print(name, open(log).read().strip())
server.stop()
"""


def test_cuda_is_loaded_before_tensorflow(tmp_path):
  stub = tmp_path / 'nvidia' / 'cuda_runtime' / 'lib' / 'libcudart.so.11.0'
  stub.parent.mkdir(parents=True)
  some = next(
    line.split()[-1]
    for line in open('/proc/self/maps', encoding='utf-8')
    if '/libm.so' in line or '/libm-' in line
  )
  shutil.copy(some, stub)
  (tmp_path / 'node.py').write_text(_ACCELERATED)
  done = subprocess.run(
    [sys.executable, '-c', _FRESH, str(tmp_path)],
    env={**os.environ, 'PYTHONPATH': f'{ROOT}:{tmp_path}'},
    stdout=subprocess.PIPE,
    text=True,
    timeout=200,
    check=True,
  )
  assert done.stdout.splitlines() == ['fresh True False', 'copy False True']

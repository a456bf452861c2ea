"""A local run's ports are private unless the command line opts out."""

import os
import socket
import subprocess
import sys

import pytest

from launch import isolation

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))
LOCAL = os.path.join(ROOT, 'launch', 'local.py')
_SERVE = """
import ctypes, encodings.idna, os, socket, sys
from launch import isolation
if '--as_nobody' in sys.argv:
  os.setgid(65534)
  os.setuid(65534)
  ctypes.CDLL(None).prctl(4, 1)  # As after an exec: /proc/self is its own.
found = isolation.begin(sys.argv)
with socket.create_server(('0.0.0.0', 0)) as server:
  port = server.getsockname()[1]
  socket.create_connection(('localhost', port)).close()
  print(found.is_on, port, os.readlink('/proc/self/ns/net'),
        os.getuid(), os.getgid(), found.refused, flush=True)
  sys.stdin.read()
"""


def _serve(*flags):
  """Has a process listen on all interfaces; what it says."""
  process = subprocess.Popen(
    [sys.executable, '-c', _SERVE, *flags],
    stdin=subprocess.PIPE,
    stdout=subprocess.PIPE,
    text=True,
    env={**os.environ, 'PYTHONPATH': ROOT},
  )
  with process:
    said = process.stdout.readline().split()
    with socket.socket() as probe:
      reached = not probe.connect_ex(('127.0.0.1', int(said[1])))
    process.stdin.close()
  return reached, said


@pytest.mark.parametrize(
  'flags',
  [(), ('--isolate=on',), ('-isolate', 'on'), ('--as_nobody',)],
  ids=str,
)
def test_no_network_access(flags):
  user, group = os.getuid(), os.getgid()
  if '--as_nobody' in flags:
    if user:
      pytest.skip('the user is unprivileged already')
    user = group = 65534
  reached, said = _serve(*flags)
  if said[0] == 'False':
    pytest.skip(f'this kernel does not allow it: {said[5:]}')
  assert not reached
  assert said[2] != os.readlink('/proc/self/ns/net')
  assert said[3:5] == [str(user), str(group)]


def test_it_can_be_turned_off():
  reached, said = _serve('--isolate=on', '--isolate=off')
  assert reached and said[0] == 'False'
  assert said[2] == os.readlink('/proc/self/ns/net')


def test_a_kernel_that_does_not_allow_it(monkeypatch):
  def refuse(_):
    raise PermissionError(1, 'Operation not permitted', 'unshare')

  monkeypatch.setattr(isolation, '_enter', refuse)
  found = isolation.begin(['local.py'])
  assert not found.is_on and 'not permitted' in found.refused
  assert 'can run code as you' in found.warning('auto')
  assert isolation.begin(['local.py', '--isolate=off']).refused is None
  demanded = isolation.begin(['local.py', '--isolate=on'])
  with pytest.raises(ValueError, match='must be on the command line'):
    demanded.warning('off')
  with pytest.raises(ValueError, match=r'not permitted.*--isolate=off'):
    demanded.warning('on')


def test_an_environment_that_needs_the_network_says_so(tmp_path, monkeypatch):
  (tmp_path / 'remote.py').write_text(
    'import socket\n'
    'def make():\n'
    '  socket.create_connection(("192.0.2.1", 9), timeout=0.2)\n'
  )
  monkeypatch.setenv('PYTHONPATH', str(tmp_path))
  command = [sys.executable, LOCAL, '--environment=remote:make']
  result = subprocess.run(
    command, capture_output=True, text=True, cwd=tmp_path, check=False
  )
  assert result.returncode == 2
  (line,) = (x for x in result.stderr.splitlines() if x.startswith('error: '))
  assert 'Network is unreachable' not in line or '--isolate=off' in line


def test_logging_to_a_server_needs_the_network(monkeypatch):
  monkeypatch.delenv('WANDB_MODE', raising=False)
  isolated = isolation.Isolation('auto', None)
  with pytest.raises(ValueError, match=r'=mazes .*--isolate=off'):
    isolated.check_wandb('mazes')
  isolated.check_wandb(None)
  isolation.Isolation('auto', 'the kernel').check_wandb('mazes')
  monkeypatch.setenv('WANDB_MODE', 'offline')
  isolated.check_wandb('mazes')

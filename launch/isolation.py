"""Network isolation: a network namespace with loopback alone.

Courier and Reverb listen on all interfaces and know no passwords: on a shared
network any host that reaches a port runs code as the user. So where the kernel
allows it a local run has a network namespace of its own: its nodes reach each
other, and nothing outside reaches them. Files, users, processes and devices
stay as they are.
"""

from collections.abc import Sequence
import ctypes
import fcntl
import os
import re
import socket
import struct

from absl import flags

_NAME = 'isolate'
_AUTO, _ON, _OFF = _CHOICES = ('auto', 'on', 'off')
flags.DEFINE_enum(
  _NAME,
  _AUTO,
  _CHOICES,
  'Whether the run has a network of its own, which no other program reaches: '
  'auto, where the kernel allows it; on, or it does not begin; off, for '
  'environments that need the network.',
)
# Of <linux/sched.h> and <linux/sockios.h>.
_NEW_USER, _NEW_NETWORK = 0x10000000, 0x40000000
_GET_FLAGS, _SET_FLAGS, _UP = 0x8913, 0x8914, 0x1
_REQUEST = '16sH14x'  # Name of an interface, and its flags.
_OPEN = (
  'This kernel allows no network of its own to the run ({}): whatever reaches '
  "its ports can run code as you, so see to a firewall, or a container's "
  'network (SECURITY.md).'
)
_NO_NETWORK = re.compile(
  r'Network is unreachable|Name or service not known|name resolution|'
  r'Connection refused|No route to host'
)


class Isolation:
  """The result of asking for a network namespace.

  Attributes:
    wanted: 'auto', 'on' or 'off'.
    refused: why the kernel does not allow it, None if it does.
  """

  def __init__(self, wanted: str, refused: str | None):
    self.wanted, self.refused = wanted, refused

  @property
  def is_on(self) -> bool:
    """Whether the process is in a network of its own."""
    return self.wanted != _OFF and self.refused is None

  def warning(self, flag: str) -> str | None:
    """A warning for the console, None if there is none.

    Args:
      flag: its value, now that all flags are read.

    Raises:
      ValueError: if the flags say otherwise than the command line did, or if
        the isolation was demanded and cannot be had.
    """
    if flag != self.wanted:  # As in a --flagfile.
      raise ValueError(
        f'--{_NAME}={flag} must stand on the command line itself: it '
        'counts before files of flags are read.'
      )
    if self.wanted == _ON and self.refused:
      raise ValueError(
        f'--{_NAME}={_ON}: this kernel allows no network of its own to the '
        f'run ({self.refused}); allow user namespaces, or run it in a '
        f'container without a network and with --{_NAME}={_OFF}.'
      )
    return _OPEN.format(self.refused) if self.refused else None

  def check_wandb(self, project: str | None):
    """Raises ValueError if a run cannot reach the server that it logs to.

    Args:
      project: of Weights & Biases, None for none.
    """
    mode = os.environ.get('WANDB_MODE', 'online')
    if project is not None and self.is_on and mode == 'online':
      raise ValueError(
        f'--wandb_project={project} needs the network, and the run has one of '
        f'its own; give --{_NAME}={_OFF} (SECURITY.md), or set '
        'WANDB_MODE=offline and upload with "wandb sync" later.'
      )

  def hint(self, error: Exception) -> str:
    """A hint for errors that a missing network may explain, '' for others."""
    if self.is_on and _NO_NETWORK.search(str(error)):
      return (
        ' The run has no network but its own; if the environment needs one, '
        f'give --{_NAME}={_OFF}.'
      )
    return ''


def begin(arguments: Sequence[str]) -> Isolation:
  """Enters a new network namespace, unless --isolate=off.

  Call it while the process has one thread: before numpy is imported.

  Args:
    arguments: of the command line.
  """
  wanted = _wanted(arguments)
  if wanted == _OFF:
    return Isolation(wanted, None)
  # Root may keep its powers over files: it needs no other users' namespace.
  refused = ''
  for what in (_NEW_NETWORK, _NEW_USER | _NEW_NETWORK):
    if what == _NEW_NETWORK and os.geteuid() != 0:
      continue
    refused = _try(what)
    if not refused:
      _enter(what)
      return Isolation(wanted, None)
  return Isolation(wanted, refused)


def _wanted(arguments: Sequence[str]) -> str:
  """The flag's value before flags are parsed; the default if it is wrong."""
  wanted = _AUTO
  for argument, following in zip(arguments, [*arguments[1:], '']):
    name, equals, value = argument.lstrip('-').partition('=')
    if argument.startswith('-') and name == _NAME:
      wanted = value if equals else following
  return wanted if wanted in _CHOICES else _AUTO


def _try(what: int) -> str:
  """Why a child process cannot isolate itself, '' if it can."""
  read, write = os.pipe()
  child = os.fork()
  if not child:
    said = b'it ended'
    try:
      _enter(what)
      _call_oneself()
      said = b''
    except Exception as error:
      said = str(error).encode()
    finally:
      os.write(write, said)
      os._exit(0)
  os.close(write)
  os.waitpid(child, 0)
  with os.fdopen(read, 'rb') as file:
    return file.read().decode()


def _enter(what: int):
  user, group = os.geteuid(), os.getegid()
  libc = ctypes.CDLL(None, use_errno=True)
  if libc.unshare(what):
    number = ctypes.get_errno()
    raise OSError(number, os.strerror(number), 'unshare')
  if what & _NEW_USER:  # User and group IDs stay the same.
    for name, text in (
      ('setgroups', 'deny'),
      ('uid_map', f'{user} {user} 1'),
      ('gid_map', f'{group} {group} 1'),
    ):
      with open(f'/proc/self/{name}', 'w', encoding='utf-8') as file:
        file.write(text)
  with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
    request = struct.pack(_REQUEST, b'lo', 0)
    answer = fcntl.ioctl(any_socket, _GET_FLAGS, request)
    name, state = struct.unpack(_REQUEST, answer)
    request = struct.pack(_REQUEST, name, state | _UP)
    fcntl.ioctl(any_socket, _SET_FLAGS, request)


def _call_oneself():
  """Raises OSError if there is no loopback."""
  with socket.create_server(('127.0.0.1', 0)) as server:
    socket.create_connection(server.getsockname(), timeout=5).close()

"""Network isolation: a network namespace with only a loopback interface.

Courier and Reverb listen on all interfaces without authentication: any host
that reaches a port can run code as the user. So a local run has its own network
namespace if the kernel permits it: its nodes reach each other and are
unreachable from outside. Files, users, processes and devices are not isolated.
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
  'Run in a separate network namespace that no other program can reach: auto, '
  'if the kernel permits it; on, or fail; off, for environments that need the '
  'network.',
)
# Of <linux/sched.h> and <linux/sockios.h>.
_NEW_USER, _NEW_NETWORK = 0x10000000, 0x40000000
_GET_FLAGS, _SET_FLAGS, _UP = 0x8913, 0x8914, 0x1
_REQUEST = '16sH14x'  # Name and flags of an interface.
_OPEN = (
  'This kernel permits no network isolation ({}): any program that reaches '
  "the run's ports can run code as you; use a firewall or a container's "
  'network (SECURITY.md).'
)
_NO_NETWORK = re.compile(
  r'Network is unreachable|Name or service not known|name resolution|'
  r'Connection refused|No route to host'
)


class Isolation:
  """The result of requesting a network namespace.

  Attributes:
    wanted: 'auto', 'on' or 'off'.
    refused: why the kernel does not permit it; None if it does.
  """

  def __init__(self, wanted: str, refused: str | None) -> None:
    self.wanted, self.refused = wanted, refused

  @property
  def is_on(self) -> bool:
    """Whether the process is isolated."""
    return self.wanted != _OFF and self.refused is None

  def warning(self, flag: str) -> str | None:
    """A warning for the console; None if there is none.

    Args:
      flag: the flag's value after parsing.

    Raises:
      ValueError: if the flag was set elsewhere than on the command line, or if
        isolation is required but not permitted.
    """
    if flag != self.wanted:  # As in a --flagfile.
      raise ValueError(
        f'--{_NAME}={flag} must be on the command line itself, because it is '
        'needed before flag files are read.'
      )
    if self.wanted == _ON and self.refused:
      raise ValueError(
        f'--{_NAME}={_ON}: this kernel permits no network isolation '
        f'({self.refused}); enable user namespaces, or run in a container '
        f'without a network with --{_NAME}={_OFF}.'
      )
    return _OPEN.format(self.refused) if self.refused else None

  def check_wandb(self, project: str | None) -> None:
    """Raises ValueError if an isolated run would log to a server.

    Args:
      project: project of Weights & Biases; None for none.
    """
    mode = os.environ.get('WANDB_MODE', 'online')
    if project is not None and self.is_on and mode == 'online':
      raise ValueError(
        f'--wandb_project={project} needs the network, but the run is '
        f'isolated; give --{_NAME}={_OFF} (SECURITY.md), or set '
        'WANDB_MODE=offline and upload with "wandb sync" later.'
      )

  def hint(self, error: Exception) -> str:
    """A hint for errors that isolation may explain; '' for others."""
    if self.is_on and _NO_NETWORK.search(str(error)):
      return (
        ' The run is isolated from the network; if the environment needs it, '
        f'give --{_NAME}={_OFF}.'
      )
    return ''


def begin(arguments: Sequence[str]) -> Isolation:
  """Enters a new network namespace, unless --isolate=off.

  Call it while the process has one thread: before numpy is imported.

  Args:
    arguments: the command line's arguments.
  """
  wanted = _wanted(arguments)
  if wanted == _OFF:
    return Isolation(wanted, None)
  # Root needs no user namespace, and keeps its access to files.
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
  """The flag's value before flags are parsed; the default if it is invalid."""
  wanted = _AUTO
  for argument, following in zip(arguments, [*arguments[1:], '']):
    name, equals, value = argument.lstrip('-').partition('=')
    if argument.startswith('-') and name == _NAME:
      wanted = value if equals else following
  return wanted if wanted in _CHOICES else _AUTO


def _try(what: int) -> str:
  """Why a child process cannot isolate itself; '' if it can."""
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


def _enter(what: int) -> None:
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


def _call_oneself() -> None:
  """Raises OSError if there is no loopback."""
  with socket.create_server(('127.0.0.1', 0)) as server:
    socket.create_connection(server.getsockname(), timeout=5).close()

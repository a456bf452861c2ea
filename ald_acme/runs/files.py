"""Atomic writes of files."""

from collections.abc import Iterator
import contextlib
import errno
import json
import os
import re
from typing import Any, BinaryIO

_TEMPORARY = re.compile(r'.+\.\d+\.tmp')  # Names used by `atomic`.


@contextlib.contextmanager
def atomic(path: str, durable: bool = False) -> Iterator[BinaryIO]:
  """Opens a file for writing that replaces `path` when complete.

  Args:
    path: path of the file; its folder must exist.
    durable: whether to sync to disk, so that the file survives a crash of the
      machine.

  Yields:
    A binary file. If the body raises, `path` stays unchanged.
  """
  temporary = f'{path}.{os.getpid()}.tmp'
  try:
    with open(temporary, 'wb') as file:
      yield file
      if durable:
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
  except BaseException:
    with contextlib.suppress(FileNotFoundError):
      os.remove(temporary)
    raise
  if durable:
    _sync_folder(os.path.dirname(os.path.abspath(path)))


def _sync_folder(path: str) -> None:
  """Syncs a folder's entries to disk."""
  descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
  try:
    os.fsync(descriptor)
  except OSError as error:
    if error.errno != errno.EINVAL:  # Unsupported by some network file systems.
      raise
  finally:
    os.close(descriptor)


def remove_leftovers(folder: str) -> None:
  """Removes temporary files of `atomic` after its process was killed.

  Args:
    folder: no other process may write in it; it need not exist.
  """
  with contextlib.suppress(FileNotFoundError):
    for name in os.listdir(folder):
      if _TEMPORARY.fullmatch(name):
        os.remove(os.path.join(folder, name))


def make_folders(path: str) -> None:
  """Creates a folder and its missing parents.

  Raises:
    OSError: if it cannot be created; also if `os.makedirs`, which is recursive,
      runs out of stack.
  """
  try:
    os.makedirs(path, exist_ok=True)
  except RecursionError as error:
    number = errno.ENAMETOOLONG
    raise OSError(number, os.strerror(number), path) from error


def write_json(path: str, value: Any) -> None:
  """Writes indented JSON, atomically."""
  with atomic(path) as file:
    file.write(json.dumps(value, indent=2).encode() + b'\n')


def read_json(path: str) -> Any:
  """Reads a JSON file; ValueError names the path if it is not JSON."""
  with open(path, encoding='utf-8') as file:
    try:
      return json.load(file)
    # Also for undecodable bytes and too many brackets.
    except (ValueError, RecursionError) as error:
      raise ValueError(f'{path} is not valid JSON: {error}') from error

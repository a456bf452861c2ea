"""Writing files so that a reader sees the old or the new, never a part."""

from collections.abc import Iterator
import contextlib
import errno
import json
import os
import re
from typing import Any, BinaryIO

_TEMPORARY = re.compile(r'.+\.\d+\.tmp')  # As `atomic` names its own.


@contextlib.contextmanager
def atomic(path: str, durable: bool = False) -> Iterator[BinaryIO]:
  """Opens a file to write that takes the place of `path` when complete.

  Args:
    path: of the file; its folder must exist.
    durable: whether to wait for the disk, so that the file and its name also
      survive a crash of the machine.

  Yields:
    A binary file. If the body raises, `path` is left as it was.
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
  """Waits until the names in a folder are on the disk."""
  descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
  try:
    os.fsync(descriptor)
  except OSError as error:
    if error.errno != errno.EINVAL:  # Some network file systems cannot.
      raise
  finally:
    os.close(descriptor)


def remove_leftovers(folder: str) -> None:
  """Removes what `atomic` left in a folder when its process was killed.

  Args:
    folder: in which no other process writes; it need not exist.
  """
  with contextlib.suppress(FileNotFoundError):
    for name in os.listdir(folder):
      if _TEMPORARY.fullmatch(name):
        os.remove(os.path.join(folder, name))


def make_folders(path: str) -> None:
  """Makes a folder and those above it, where they are missing.

  Raises:
    OSError: if it cannot be made; also where `os.makedirs`, which calls itself
      for each level, runs out of stack.
  """
  try:
    os.makedirs(path, exist_ok=True)
  except RecursionError as error:
    number = errno.ENAMETOOLONG
    raise OSError(number, os.strerror(number), path) from error


def write_json(path: str, value: Any) -> None:
  """Writes JSON for people to read, atomically."""
  with atomic(path) as file:
    file.write(json.dumps(value, indent=2).encode() + b'\n')


def read_json(path: str) -> Any:
  """Reads a JSON file; ValueError names the path if it is not JSON."""
  with open(path, encoding='utf-8') as file:
    try:
      return json.load(file)
    # Also of bytes that are no text, and of a thousand brackets.
    except (ValueError, RecursionError) as error:
      raise ValueError(f'{path} is not valid JSON: {error}') from error

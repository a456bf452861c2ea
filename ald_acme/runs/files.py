"""Writing files so that a reader sees the old or the new, never a part."""

from collections.abc import Iterator
import contextlib
import json
import os
from typing import Any, BinaryIO


@contextlib.contextmanager
def atomic(path: str, durable: bool = False) -> Iterator[BinaryIO]:
  """Opens a file to write that takes the place of `path` when complete.

  Args:
    path: of the file; its folder must exist.
    durable: whether to wait for the disk, so that the file also survives a
      crash of the machine.

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


def write_json(path: str, value: Any):
  """Writes JSON for people to read, atomically."""
  with atomic(path) as file:
    file.write(json.dumps(value, indent=2).encode() + b'\n')


def read_json(path: str) -> Any:
  """Reads a JSON file; ValueError names the path if it is not JSON."""
  with open(path, encoding='utf-8') as file:
    try:
      return json.load(file)
    except ValueError as error:  # Also of bytes that are no text.
      raise ValueError(f'{path} is not valid JSON: {error}') from error

"""Reads and writes checkpoints."""

import glob
import os
import re
from typing import Any, NamedTuple

from absl import logging
import numpy as np

from ald_acme.runs import files

State = dict[str, Any]  # Nested dictionaries of arrays and numbers.
_SEPARATOR = '/'


class Checkpoint(NamedTuple):
  """A checkpoint and its path."""

  path: str
  state: State

  @property
  def frames(self) -> int:
    """Number of frames of the run; ValueError if it is missing."""
    try:
      return int(self.state['counts']['frames'])
    except (KeyError, IndexError, TypeError, ValueError) as error:
      raise ValueError(
        f'Checkpoint {self.path} has no number of frames (counts/frames); '
        'remove it to use the one before.'
      ) from error


class CheckpointFolder:
  """Writes numbered checkpoints atomically and keeps the last few.

  A checkpoint is a numpy `.npz` file, whose zip checksums detect damage.
  """

  def __init__(self, directory: str, kept: int = 3) -> None:
    """Uses a folder, which need not exist yet.

    Args:
      directory: folder of the checkpoints.
      kept: number of checkpoints to keep; older ones are removed.
    """
    self._directory, self._kept = directory, kept

  def paths(self) -> list[str]:
    """The checkpoints' files, newest first."""
    found = glob.glob(
      os.path.join(glob.escape(self._directory), 'checkpoint-*.npz')
    )
    return sorted(filter(_number, found), key=_number, reverse=True)

  def save(self, state: State) -> str:
    """Writes the next checkpoint and returns its path."""
    files.make_folders(self._directory)
    paths = self.paths()
    number = _number(paths[0]) + 1 if paths else 1
    path = os.path.join(self._directory, f'checkpoint-{number:06d}.npz')
    with files.atomic(path, durable=True) as file:
      np.savez(file, **_flatten(state))
    for old in self.paths()[self._kept :]:
      os.remove(old)
    return path

  def latest(self) -> Checkpoint | None:
    """The newest readable checkpoint; None if there is none.

    Damaged ones are skipped with a warning.
    """
    for path in self.paths():
      try:
        return Checkpoint(path, read(path))
      except (OSError, ValueError) as error:  # A link may be broken.
        logging.warning('%s Trying the one before.', error)
    return None


def read(path: str) -> State:
  """Reads a checkpoint.

  Raises:
    ValueError: if the file is damaged, or `check` rejects the state.
    FileNotFoundError: if there is no file.
  """
  try:
    with np.load(path, allow_pickle=False) as arrays:
      flat = {name: arrays[name] for name in arrays.files}
    check(flat)
    return _unflatten(flat)
  except FileNotFoundError:
    raise
  except Exception as error:  # zipfile may raise anything on damaged files.
    raise ValueError(f'Checkpoint {path} is damaged ({error}).') from error


def check(state: State) -> None:
  """Raises ValueError if a state cannot be read from a checkpoint.

  It must hold numbers, and arrays without NaN or infinity; a scalar may be NaN
  for unknown.
  """
  for name, value in _flatten(state).items():
    if value.dtype.kind not in 'biuf':
      raise ValueError(f'{name} holds {value.dtype}, not numbers')
    if value.ndim and not np.isfinite(value).all():
      raise ValueError(f'{name} holds NaN or infinite numbers')


def _number(path: str) -> int:
  match = re.search(r'checkpoint-(\d+)\.npz$', path)
  return int(match.group(1)) if match else 0


def _flatten(state: State, prefix: str = '') -> dict[str, np.ndarray]:
  flat = {}
  for name, value in state.items():
    if isinstance(value, dict):
      flat.update(_flatten(value, prefix + name + _SEPARATOR))
    else:
      flat[prefix + name] = np.asarray(value)
  return flat


def _unflatten(flat: dict[str, np.ndarray]) -> State:
  state: State = {}
  for path, value in flat.items():
    *folders, name = path.split(_SEPARATOR)
    inner = state
    for folder in folders:
      inner = inner.setdefault(folder, {})
    inner[name] = value
  return state

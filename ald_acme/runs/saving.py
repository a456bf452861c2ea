"""Checkpoints of parts in one process."""

from collections.abc import Mapping
import time
from typing import Any, Protocol

from acme.utils import counting
import numpy as np

from ald_acme.runs import checkpoints

_COUNTS = 'counts'


class Saveable(Protocol):
  """A part whose state is a dictionary of arrays, nested or not."""

  def save(self) -> dict[str, Any]:
    """The state."""

  def restore(self, state: dict[str, Any]) -> None:
    """Restores a state returned by `save`."""


class Saver:
  """Writes checkpoints in the format of a run.

  So checkpoints of a run can be restored here, and vice versa. Replay,
  environments and random streams are not saved.
  """

  def __init__(
    self,
    parts: Mapping[str, Saveable],
    counter: counting.Counter,
    directory: str,
    period: float = 600.0,
    kept: int = 3,
  ) -> None:
    """Uses a folder; reads and writes nothing yet.

    Args:
      parts: parts by their names in the checkpoint.
      counter: its counts, including its parent's, are saved too.
      directory: folder of the checkpoints, which need not exist.
      period: seconds between the checkpoints of `save_if_due`.
      kept: number of checkpoints to keep.
    """
    self._parts, self._counter = dict(parts), counter
    self._folder = checkpoints.CheckpointFolder(directory, kept)
    self._directory, self._period = directory, period
    self._due = time.monotonic() + period

  def save(self) -> str:
    """Writes a checkpoint now; returns its path."""
    state = {name: part.save() for name, part in self._parts.items()}
    self._due = time.monotonic() + self._period
    return self._folder.save({**state, _COUNTS: self._counter.get_counts()})

  def save_if_due(self) -> None:
    """Writes a checkpoint if the last one is old enough."""
    if time.monotonic() >= self._due:
      self.save()

  def restore(self) -> bool:
    """Restores the newest readable checkpoint.

    It sets the counts of the counter and its parent: restore before anything is
    counted.

    Returns:
      Whether there was a checkpoint.

    Raises:
      ValueError: if there are checkpoints but none is readable, or if a part is
        missing or does not match.
    """
    checkpoint = self._folder.latest()
    if checkpoint is None:
      if self._folder.paths():
        raise ValueError(
          f'no checkpoint in {self._directory} can be read; choose another '
          'folder, or remove them to start over.'
        )
      return False
    state = checkpoint.state
    missing = sorted(self._parts.keys() - state.keys())
    if missing:
      raise ValueError(
        f'{checkpoint.path} has no {missing[0]!r}: it is of other parts '
        f'({", ".join(sorted(state))}); choose another folder.'
      )
    for name, part in self._parts.items():
      part.restore(state[name])
    # Empty before anything is counted.
    saved = state.get(_COUNTS, {})
    counts = {name: np.asarray(x).item() for name, x in saved.items()}
    self._counter.restore({'counts': counts, 'cache': {}})
    return True

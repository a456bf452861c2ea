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
  """Writes checkpoints as those of a run are, with the same names of parts.

  So the checkpoints of a run can be restored here, and the other way round.
  Replay, environments and random streams are not saved.
  """

  def __init__(
    self,
    parts: Mapping[str, Saveable],
    counter: counting.Counter,
    directory: str,
    period: float = 600.0,
    kept: int = 3,
  ) -> None:
    """Opens the folder; nothing is read or written.

    Args:
      parts: by their names in the checkpoint.
      counter: whose counts are saved too, those of its parent included.
      directory: for the checkpoints; it need not exist.
      period: seconds between the checkpoints of `save_if_due`.
      kept: how many checkpoints to keep.
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
    """Restores the newest checkpoint that can be read.

    The counter is set to the counts, for itself and its parent: restore before
    anything is counted.

    Returns:
      Whether there was one.

    Raises:
      ValueError: if there are checkpoints and none can be read, or if one of
        the parts is not in it or does not fit.
    """
    checkpoint = self._folder.latest()
    if checkpoint is None:
      if self._folder.paths():
        raise ValueError(
          f'no checkpoint in {self._directory} can be read; choose another '
          'folder, or remove them to begin anew.'
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
    # Before anything was counted there are none.
    saved = state.get(_COUNTS, {})
    counts = {name: np.asarray(x).item() for name, x in saved.items()}
    self._counter.restore({'counts': counts, 'cache': {}})
    return True

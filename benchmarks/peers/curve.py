"""The learning curve of a peer, as a CSV file."""

import collections
import csv
import os
import time

_EPISODES = 100  # Episodes in a mean, as in one of our evaluations.
_PERIOD = 5_000  # Frames between rows.


class Curve:
  """Mean returns of the last 100 training episodes, against frames.

  Peers have no separate evaluation; they sample actions, as our evaluations do.
  """

  def __init__(self, path: str):
    """Starts without points; `finish` writes the file.

    Args:
      path: path of the file.
    """
    self._path = path
    self._rows: list[tuple[int, float, float]] = []
    self._returns = collections.deque(maxlen=_EPISODES)
    self._began = time.time()
    self._due = _PERIOD

  def episode(self, total: float):
    """Records the return of a completed episode."""
    self._returns.append(total)

  def frames(self, frames: int):
    """Records the number of frames so far; adds a row when due."""
    if frames >= self._due and self._returns:
      self._add(frames)
      self._due += _PERIOD * (1 + (frames - self._due) // _PERIOD)

  def finish(self, frames: int):
    """Writes the file."""
    if self._returns:
      self._add(frames)
    part = f'{self._path}.part'
    with open(part, 'w', encoding='utf-8', newline='') as file:
      writer = csv.writer(file, lineterminator='\n')
      writer.writerow(['frames', 'return', 'wall_seconds'])
      writer.writerows(self._rows)
    os.replace(part, self._path)

  def _add(self, frames: int):
    mean = sum(self._returns) / len(self._returns)
    self._rows.append((frames, mean, round(time.time() - self._began, 1)))

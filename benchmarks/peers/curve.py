"""The learning curve of a peer, as a CSV file."""

import collections
import csv
import os
import time

_EPISODES = 100  # In the mean, as many as an evaluation of ours has.
_PERIOD = 5_000  # Frames between rows.


class Curve:
  """Mean returns of the last 100 training episodes, against frames.

  Peers have no evaluation beside training; their actions are sampled, as ours
  are when we evaluate.
  """

  def __init__(self, path: str):
    """Begins a curve; the file appears when it is whole.

    Args:
      path: of the file.
    """
    self._path = path
    self._rows: list[tuple[int, float, float]] = []
    self._returns = collections.deque(maxlen=_EPISODES)
    self._began = time.time()
    self._due = _PERIOD

  def episode(self, total: float):
    """Takes the return of an episode that ended."""
    self._returns.append(total)

  def frames(self, frames: int):
    """Takes the frames so far; writes a row where one is due."""
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

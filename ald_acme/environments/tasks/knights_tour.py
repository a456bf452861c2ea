"""The knight's tour: a board on which few moves are legal.

An example and a test of action masks: without one, most actions have no effect.
"""

from collections.abc import Sequence

import dm_env
from dm_env import specs
import numpy as np

from ald_acme import validation
from ald_acme.environments.interface import base
from ald_acme.environments.interface import masks
from ald_acme.environments.tasks import arrays
from ald_acme.environments.tasks import streams

_MOVES = [(r, c) for r in range(-2, 3) for c in range(-2, 3) if abs(r * c) == 2]
_LIGHT, _DARK = (240, 240, 230), (190, 190, 180)
_VISITED, _KNIGHT = (90, 140, 200), (220, 60, 50)
_PIXELS = 12  # Side of a rendered cell.


class BatchedKnightsTour(arrays.ArrayEnvironment):
  """Knight's tour: visit every cell of a board once, as a knight moves.

  An action is a cell. Unvisited cells a knight's move away are legal, at most
  8. A legal move has reward 1 / (cells - 1), so a whole tour has return 1. An
  episode ends when no legal move is left. The knight starts on a random cell;
  if the number of cells is odd, on one of the majority colour, since no tour
  starts on the other.

  Observations are `visited` and `knight`, each float32 `[cells]`, and with a
  mask `legal`, bool `[cells]`, row by row.
  """

  def __init__(
    self,
    batch_size: int = 1,
    size: int = 5,
    masked: bool = True,
    seed: int = 0,
  ) -> None:
    """Builds the boards.

    Args:
      batch_size: E, the number of boards.
      size: side in cells, at least 5: smaller boards have no tour.
      masked: whether observations have the action mask. Without it an illegal
        move has no effect, and an episode also ends after 2 size^2 moves.
      seed: seed of the starts; board i does not depend on the batch size.

    Raises:
      ValueError: if an argument is out of its range.
    """
    super().__init__(batch_size, seed)
    validation.integer('size', size, 5)
    validation.flag('masked', masked)
    self._size, self._masked = size, masked
    self._cells = size * size
    self._reach = reach(size)
    rows, columns = np.divmod(np.arange(self._cells), size)
    usable = (rows + columns) % 2 == 0 if size % 2 else rows >= 0
    self._starts = np.flatnonzero(usable)
    self._moves = np.zeros(batch_size, np.int64)  # In the episode.
    self._knight = np.zeros(batch_size, np.int64)
    self._visited = np.zeros((batch_size, self._cells), bool)
    self._illegal = 0

  def observation_spec(self) -> dict[str, specs.Array]:
    flags = specs.BoundedArray((self._cells,), np.float32, 0.0, 1.0)
    spec = {
      'visited': flags.replace(name='visited'),
      'knight': flags.replace(name='knight'),
    }
    if self._masked:
      spec['legal'] = masks.MaskSpec(self._cells, 'legal')
    return spec

  def action_spec(self) -> specs.DiscreteArray:
    return specs.DiscreteArray(self._cells, dtype=np.int32, name='cell')

  def action_names(self) -> Sequence[str]:
    """Names of cells: a letter for the column, a number from the bottom."""
    return [
      f'{chr(ord("a") + cell % self._size)}{self._size - cell // self._size}'
      for cell in range(self._cells)
    ]

  def step(self, action: np.ndarray) -> dm_env.TimeStep:
    first = self._finished
    moves = ~first & self._legal()[self._index, action]
    self._illegal += int((~first & ~moves).sum())
    self._moves += 1
    self._begin(first)
    self._knight = np.where(moves, action, self._knight)
    self._visited[self._index, self._knight] = True
    legal = self._legal()
    last = ~first & (~legal.any(-1) | (self._moves >= 2 * self._cells))
    self._finished = last
    observation = {
      'visited': self._visited.astype(np.float32),
      'knight': np.eye(self._cells, dtype=np.float32)[self._knight],
    }
    if self._masked:
      observation['legal'] = legal
    return base.timestep(first, last, moves / (self._cells - 1), observation)

  def _legal(self) -> np.ndarray:
    """Each knight's legal moves, bool `[E, cells]`."""
    return self._reach[self._knight] & ~self._visited

  def _begin(self, which: np.ndarray) -> None:
    """Starts new episodes where `which` is set."""
    self._episode[which] += 1
    self._moves[which] = 0
    self._visited[which] = False
    draws = streams.integers(
      self._seed, len(self._starts), self._index[which], self._episode[which]
    )
    self._knight[which] = self._starts[draws]

  def metrics(self) -> dict[str, float]:
    """Number of illegal moves so far, on all boards."""
    return {'illegal_moves': float(self._illegal)}

  def render(self, index: int = 0) -> np.ndarray:
    rows, columns = np.divmod(np.arange(self._cells), self._size)
    dark = (rows + columns)[:, np.newaxis] % 2
    colours = np.where(dark, _DARK, _LIGHT).astype(np.uint8)
    colours[self._visited[index]] = _VISITED
    colours[self._knight[index]] = _KNIGHT
    picture = colours.reshape(self._size, self._size, 3)
    return picture.repeat(_PIXELS, axis=0).repeat(_PIXELS, axis=1)


def reach(size: int) -> np.ndarray:
  """Pairs of cells a knight's move apart, bool `[cells, cells]`."""
  found = np.zeros((size, size, size, size), bool)
  for row in range(size):
    for column in range(size):
      for down, right in _MOVES:
        to = (row + down, column + right)
        if 0 <= min(to) and max(to) < size:
          found[row, column][to] = True
  return found.reshape(size * size, size * size)

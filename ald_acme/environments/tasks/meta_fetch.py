"""Meta-Fetch: find out in which order to fetch the objects of a room.

```
  # # # # # # #     A: the agent
  # . . . . . #     1, 2, 3: objects, each of a colour of its own; which is
  # . 2 . . . #       which the agent must find out
  # . . . A . #
  # . . . . 1 #     1, 2, 3 in turn: a reward of 1 each, and it disappears
  # . 3 . . . #     another: all reappear, and 1 is next again
  # # # # # # #
```

Places, colours and order are random in every episode (in trials, in every
trial), so the agent must learn to find them by trial and error, from memory.
After the task in Parisotto & Salakhutdinov, 2021, "Efficient Transformers in
Reinforcement Learning using Actor-Learner Distillation"
(https://arxiv.org/abs/2104.01655). The paper does not specify the size of the
room, the number of objects, the observation, the end of an episode and whether
the sequence repeats: these are arguments. With more objects there is more to
remember, and a memoryless agent earns less.

With the default arguments a scripted agent with perfect memory has a mean
return of 39.2 and a random one of 3.2, over 200 episodes, seed 0:

  python -m ald_acme.environments.tasks.experts

The scripted agent is not an upper bound: it does not plan its tour.
`results/earlier/meta_fetch.md` has results with and without memory.
"""

from typing import Any

import dm_env
from dm_env import specs
import numpy as np

from ald_acme import validation
from ald_acme.environments.interface import base
from ald_acme.environments.tasks import arrays
from ald_acme.environments.tasks import gridworlds
from ald_acme.environments.tasks import streams

CHANNELS = ('wall', 'empty', 'red', 'green', 'blue')
WALL, EMPTY = 0, 1
# Added to the colour of an object, so that black ones are visible.
COLOUR_OFFSET = 0.2


class BatchedMetaFetch(arrays.ArrayEnvironment):
  """Meta-Fetch: find out in which order to fetch the objects.

  A step of all E rooms is a few array operations. Rooms are stored as rendered,
  padded with walls by half the window.
  """

  def __init__(
    self,
    batch_size: int = 1,
    size: int = 7,
    objects: int = 5,
    view: int = 5,
    limit: int = 150,
    repeat: bool = True,
    apart: bool = True,
    truncate: bool = False,
    seed: int = 0,
  ) -> None:
    """Builds the rooms.

    Args:
      batch_size: E, the number of rooms.
      size: side in cells, walls included; at least 4.
      objects: K, number of objects, less than the number of cells within the
        walls.
      view: side of the square window that the agent sees; odd.
      limit: steps after which an episode ends.
      repeat: whether the complete sequence repeats until the limit; otherwise
        it ends the episode.
      apart: whether no object lies next to another, while there is room.
        Otherwise alternating between the first object and a wrong one often
        pays more than learning the order.
      truncate: whether the limit truncates an episode (discount 1) instead of
        terminating it (discount 0).
      seed: seed of the episodes; room i does not depend on the batch size.

    Raises:
      ValueError: if an argument is out of its range.
    """
    super().__init__(batch_size, seed)
    validation.integer('size', size, 4)
    validation.integer('objects', objects, 1)
    validation.integer('view', view, 1, odd=True)
    validation.integer('limit', limit, 1)
    validation.flag('repeat', repeat)
    validation.flag('apart', apart)
    validation.flag('truncate', truncate)
    cells = (size - 2) ** 2
    if objects >= cells:
      raise ValueError(
        f'objects must be at most {cells - 1} in a room of size {size}, but '
        f'received {objects}; raise size.'
      )
    self._size, self._view, self._limit = size, view, limit
    self._repeat, self._apart = repeat, apart
    self._truncate = truncate

    margin = view // 2
    side = size + 2 * margin
    self._empty_room = np.zeros((side, side, len(CHANNELS)), np.float32)
    self._empty_room[..., WALL] = 1.0
    inner = slice(margin + 1, margin + size - 1)
    self._empty_room[inner, inner] = np.eye(len(CHANNELS))[EMPTY]
    self._empty_room = self._empty_room.reshape(side**2, len(CHANNELS))
    # Below, a cell is its flat index: row times `side` plus column.
    self._free = self._empty_room[:, WALL] == 0.0
    self._free_cells = np.flatnonzero(self._free)
    self._moves = gridworlds.MOVES @ [side, 1]
    self._near = np.array([0, *self._moves])  # A cell and its neighbours.
    span = np.arange(-margin, margin + 1)
    self._window = (side * span[:, np.newaxis] + span).ravel()

    self._step = np.zeros(batch_size, np.int64)
    self._cell = np.full(batch_size, self._free_cells[0])
    self._objects = np.zeros((batch_size, objects), np.int64)  # Their cells.
    self._colours = np.zeros((batch_size, objects, 3), np.float32)
    self._next = np.zeros(batch_size, np.int64)  # The next object to fetch.
    self._looks = np.tile(self._empty_room, (batch_size, 1, 1))

  def observation_spec(self) -> specs.BoundedArray:
    """The window around the agent, float32 `[view, view, 5]`.

    In the order of `CHANNELS`: 1 for a wall, 1 for an empty cell, or the red,
    green and blue of an object, each 0.2 to 1.2.
    """
    shape = (self._view, self._view, len(CHANNELS))
    high = 1.0 + COLOUR_OFFSET
    return specs.BoundedArray(shape, np.float32, 0.0, high, name='window')

  def action_spec(self) -> specs.DiscreteArray:
    return gridworlds.action_spec()

  def step(self, action: np.ndarray) -> dm_env.TimeStep:
    first = self._finished
    there = self._cell + self._moves[action]
    moved = self._free[there] & ~first
    self._cell = np.where(moved, there, self._cell)
    self._step += 1
    entered = np.where(moved, there, -1)  # No cell for a bump into a wall.
    touched = self._objects == entered[:, np.newaxis]
    right = touched[self._index, self._next]
    wrong = (touched & self._present()).any(-1) & ~right
    self._next = np.where(wrong, 0, self._next + right)
    complete = self._next == self._objects.shape[1]
    self._next[complete] = 0
    over = complete & (not self._repeat)
    last = (over | (self._step >= self._limit)) & ~first
    truncated = ~over & self._truncate
    if first.any():
      self._begin(first)
    self._finished = last
    return base.timestep(first, last, right, self._observe(), truncated)

  def _present(self) -> np.ndarray:
    """Objects not fetched yet, bool `[E, K]`."""
    return np.arange(self._objects.shape[1]) >= self._next[:, np.newaxis]

  def _begin(self, which: np.ndarray) -> None:
    """Starts new episodes where `which` is set."""
    self._episode[which] += 1
    cells, (_, objects) = len(self._free_cells), self._objects.shape
    draws = streams.uniform(
      self._seed,
      self._index[which, np.newaxis],
      self._episode[which, np.newaxis],
      np.arange(cells + 3 * objects),
    )
    shuffled = self._free_cells[draws[:, :cells].argsort(-1)]
    placed = self._place(shuffled)
    new = self._renew[which] | (not self._keeps)
    self._renew[which] = False
    renewed = np.flatnonzero(which)[new]
    self._objects[renewed] = placed[new]
    self._colours[renewed] = draws[new, cells:].reshape(-1, objects, 3)
    # The agent starts in the first cell without an object.
    taken = shuffled[:, :, np.newaxis] == self._objects[which, np.newaxis]
    self._cell[which] = _first(shuffled, ~taken.any(-1))
    self._next[which] = 0
    self._step[which] = 0
    self._looks[which] = self._empty_room

  def _place(self, shuffled: np.ndarray) -> np.ndarray:
    """Chooses cells for objects, int64 `[n, K]`.

    Args:
      shuffled: all free cells of n rooms in random order, int64 `[n, cells]`.
    """
    number = self._objects.shape[1]
    if not self._apart:
      return shuffled[:, :number]
    rooms = np.arange(len(shuffled))[:, np.newaxis]
    clear = np.tile(self._free, (len(shuffled), 1))
    empty = clear.copy()
    placed = np.zeros((len(shuffled), number), np.int64)
    for k in range(number):
      # Without a cell that is apart, use any empty one.
      fits = clear[rooms, shuffled]
      fits |= empty[rooms, shuffled] & ~fits.any(-1, keepdims=True)
      placed[:, k] = _first(shuffled, fits)
      empty[rooms[:, 0], placed[:, k]] = False
      clear[rooms, placed[:, k, np.newaxis] + self._near] = False
    return placed

  def _observe(self) -> np.ndarray:
    """Places the objects and returns the windows around the agents."""
    empty_cell = self._empty_room[self._free_cells[0]]
    look = np.tile(empty_cell, (*self._objects.shape, 1))
    present = self._present()
    look[present, EMPTY] = 0.0
    look[present, EMPTY + 1 :] = self._colours[present] + COLOUR_OFFSET
    rooms = self._index[:, np.newaxis]
    self._looks[rooms, self._objects] = look
    window = self._looks[rooms, self._cell[:, np.newaxis] + self._window]
    return window.reshape(-1, self._view, self._view, len(CHANNELS))

  def action_names(self) -> tuple[str, ...]:
    return gridworlds.ACTIONS

  def agent_in_window(self) -> tuple[int, int]:
    return self._view // 2, self._view // 2

  def render(self, index: int = 0) -> np.ndarray:
    """Renders the room from above, uint8 `[12 size, 12 size, 3]`."""
    look = self._looks[index]
    colours = 255 * (look[:, EMPTY + 1 :] - COLOUR_OFFSET)
    colours[look[:, WALL] > 0] = gridworlds.WALL_COLOUR
    colours[look[:, EMPTY] > 0] = gridworlds.EMPTY_COLOUR
    margin = self._view // 2
    side = self._size + 2 * margin
    room = slice(margin, margin + self._size)
    colours = colours.astype(np.uint8).reshape(side, side, 3)[room, room]
    row, column = divmod(self._cell[index], side)
    agent = (row - margin) * self._size + column - margin
    return gridworlds.draw(colours, agent)


def _first(cells: np.ndarray, fit: np.ndarray) -> np.ndarray:
  """The first cell of each row that fits; both arguments `[n, cells]`."""
  return cells[np.arange(len(cells)), fit.argmax(-1)]


class MetaFetch(base.Single):
  """One room as a `dm_env.Environment`; arguments as in `BatchedMetaFetch`."""

  def __init__(self, **kwargs: Any) -> None:
    super().__init__(BatchedMetaFetch(batch_size=1, **kwargs))

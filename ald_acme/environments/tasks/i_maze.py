"""I-Maze: remember a colour seen at the start until the far end of the maze.

```
  # # # # # # # # #     I: indicator, blue or pink with equal probability
  # I A . . . . . #     A: the agent's first cell
  # # # # . # # # #     G, R: green and red goals
  # # # # . # # # #
  # # # # . # # # #     blue asks for green, pink for red
  # # # # . # # # #
  # # # # . # # # #
  # G . . . . . R #
  # # # # # # # # #
```

The maze of the I-Maze results in Parisotto & Salakhutdinov, 2021, "Efficient
Transformers in Reinforcement Learning using Actor-Learner Distillation"
(https://arxiv.org/abs/2104.01655).
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

CELLS = ('wall', 'empty', 'blue', 'pink', 'green', 'red')
WALL, EMPTY, BLUE, PINK, GREEN, RED = range(len(CELLS))
_COLOURS = np.array(
  [
    gridworlds.WALL_COLOUR,
    gridworlds.EMPTY_COLOUR,
    [60, 90, 230],
    [240, 130, 200],
    [60, 180, 90],
    [220, 60, 50],
  ],
  np.uint8,
)


class BatchedIMaze(arrays.ArrayEnvironment):
  """I-Maze: remember a colour from the start to the far end of the maze.

  A step of all E mazes is a few array look-ups: transitions and observations
  are tabulated at creation, by variant of the maze and cell.

  Attributes:
    solved_return: mean return at which the maze counts as solved.
  """

  solved_return = 0.95

  def __init__(
    self,
    batch_size: int = 1,
    size: int = 9,
    view: int = 3,
    limit: int | None = None,
    correct_reward: float = 1.0,
    wrong_reward: float = 0.0,
    limit_reward: float = 0.0,
    random_goals: bool = False,
    random_start: bool = False,
    hidden_rule: bool = False,
    truncate: bool = False,
    seed: int = 0,
  ) -> None:
    """Builds the mazes.

    Args:
      batch_size: E, the number of mazes.
      size: side in cells, walls included; odd, at least 5.
      view: side of the agent's square window; odd.
      limit: steps after which an episode ends; by default 25 (size - 5), so
        100 at size 9 and 250 at size 15, but at least 25.
      correct_reward: reward for entering the goal that the indicator asks for.
      wrong_reward: reward for entering the other goal.
      limit_reward: reward for reaching the limit.
      random_goals: whether green and red swap sides at random.
      random_start: whether the agent starts in a random empty cell of the top
        row.
      hidden_rule: whether the indicator looks like a wall. Its colour is then a
        task, the same in all episodes of a trial
        (`ald_acme.environments.Trials`), which can be found by trial and error.
      truncate: whether the limit truncates an episode (discount 1) instead of
        terminating it (discount 0).
      seed: seed of the episodes; maze i does not depend on the batch size.

    Raises:
      ValueError: if an argument is out of its range.
    """
    super().__init__(batch_size, seed)
    validation.integer('size', size, 5, odd=True)
    validation.integer('view', view, 1, odd=True)
    if limit is not None:
      validation.integer('limit', limit, 1)
    validation.number('correct_reward', correct_reward)
    validation.number('wrong_reward', wrong_reward)
    validation.number('limit_reward', limit_reward)
    validation.flag('random_goals', random_goals)
    validation.flag('random_start', random_start)
    validation.flag('hidden_rule', hidden_rule)
    validation.flag('truncate', truncate)
    self._size, self._view = size, view
    self._limit = max(25, 25 * (size - 5)) if limit is None else limit
    self._rewards = np.array([wrong_reward, correct_reward], np.float32)
    self._limit_reward = limit_reward
    self._random_goals, self._random_start = random_goals, random_start
    self._hidden_rule, self._truncate = hidden_rule, truncate

    self._step = np.zeros(batch_size, np.int64)
    self._variant = np.zeros(batch_size, np.int64)
    self._cell = np.zeros(batch_size, np.int64)

    # A variant is 2 * (indicator is pink) + (green is on the right).
    grids = np.stack([_grid(size, v // 2, v % 2) for v in range(4)])
    self._grids = grids
    seen = grids.copy()
    if hidden_rule:
      seen[:, 1, 1] = WALL
    self._views = _views(seen, view)
    self._next_cell = _next_cells(grids[0])
    self._start_cells = size + np.arange(2, size - 1)
    self._left_goal, self._right_goal = _goals(size)

  def observation_spec(self) -> specs.BoundedArray:
    """One-hot cells, float32 `[view, view, 6]`, in the order of `CELLS`."""
    shape = (self._view, self._view, len(CELLS))
    return specs.BoundedArray(shape, np.float32, 0.0, 1.0, name='window')

  def action_spec(self) -> specs.DiscreteArray:
    return gridworlds.action_spec()

  def step(self, action: np.ndarray) -> dm_env.TimeStep:
    first = self._finished.copy()
    self._cell = cell = self._next_cell[self._cell, action]
    self._step += 1
    on_right = cell == self._right_goal
    at_goal = ((cell == self._left_goal) | on_right) & ~first
    # Pink asks for red, which is on the right unless green is.
    asks_right = (self._variant // 2) ^ (self._variant % 2)
    correct = on_right == asks_right
    reward = np.where(at_goal, self._rewards[correct.astype(np.int64)], 0.0)
    at_limit = (self._step >= self._limit) & ~at_goal & ~first
    reward = np.where(at_limit, self._limit_reward, reward)
    last = at_goal | at_limit
    if first.any():
      self._begin(first)
    self._finished = last
    observation = self._views[self._variant, self._cell]
    truncated = at_limit & self._truncate
    return base.timestep(first, last, reward, observation, truncated)

  def _begin(self, which: np.ndarray) -> None:
    """Starts new episodes where `which` is set."""
    mazes = self._index[which]
    self._episode[which] += 1
    episode = self._episode[which]
    seed = self._seed
    pink = streams.integers(seed, 2, mazes, episode, 0)
    if self._hidden_rule and self._keeps:
      pink = np.where(self._renew[which], pink, self._variant[which] // 2)
      self._renew[which] = False
    variant = 2 * pink
    if self._random_goals:
      variant += streams.integers(seed, 2, mazes, episode, 1)
    start: np.ndarray | int = 0
    if self._random_start:
      starts = len(self._start_cells)
      start = streams.integers(seed, starts, mazes, episode, 2)
    self._variant[which] = variant
    self._cell[which] = self._start_cells[start]
    self._step[which] = 0
    self._finished[which] = False

  def action_names(self) -> tuple[str, ...]:
    return gridworlds.ACTIONS

  def agent_in_window(self) -> tuple[int, int]:
    return self._view // 2, self._view // 2

  def render(self, index: int = 0) -> np.ndarray:
    """Renders the maze from above, uint8 `[12 size, 12 size, 3]`."""
    colours = _COLOURS[self._grids[self._variant[index]]]
    return gridworlds.draw(colours, self._cell[index])


class IMaze(base.Single):
  """One I-Maze as a `dm_env.Environment`; arguments as in `BatchedIMaze`."""

  def __init__(self, **kwargs: Any) -> None:
    super().__init__(BatchedIMaze(batch_size=1, **kwargs))


def _goals(size: int) -> tuple[int, int]:
  """Flat indices of the left and the right goal."""
  row = (size - 2) * size
  return row + 1, row + size - 2


def _grid(size: int, pink: int, green_on_right: int) -> np.ndarray:
  """Cells of one variant of the maze, int64 `[size, size]`."""
  grid = np.full((size, size), WALL)
  grid[[1, -2], 1:-1] = EMPTY
  grid[1:-1, size // 2] = EMPTY
  grid[1, 1] = PINK if pink else BLUE
  goals = [GREEN, RED]
  grid.flat[list(_goals(size))] = goals[::-1] if green_on_right else goals
  return grid


def _next_cells(grid: np.ndarray) -> np.ndarray:
  """Flat index of the cell after each action, int64 `[cells, actions]`."""
  size = len(grid)
  open_cell = np.isin(grid, (EMPTY, GREEN, RED))
  here = np.indices(grid.shape).reshape(2, -1).T  # [cells, 2]
  there = np.clip(here[:, np.newaxis] + gridworlds.MOVES, 0, size - 1)
  moves = open_cell[there[..., 0], there[..., 1]]
  there = np.where(moves[..., np.newaxis], there, here[:, np.newaxis])
  return there[..., 0] * size + there[..., 1]


def _views(grids: np.ndarray, view: int) -> np.ndarray:
  """Observations, float32 `[variants, cells, view, view, kinds of cell]`."""
  margin = view // 2
  padded = np.pad(
    grids, ((0, 0), (margin, margin), (margin, margin)), constant_values=WALL
  )
  windows = np.lib.stride_tricks.sliding_window_view(padded, (1, view, view))
  one_hot = np.eye(len(CELLS), dtype=np.float32)
  return one_hot[windows].reshape(len(grids), -1, view, view, len(CELLS))

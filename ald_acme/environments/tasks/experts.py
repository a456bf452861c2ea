"""Reference returns: scripted agents with perfect memory, and random ones.

The experts act on the agent's observations and rewards. They know the rules,
but not an episode's random draws. With the default arguments, seed 0:

```
$ python -m ald_acme.environments.tasks.experts
mean return of 200 episodes   expert   random
i_maze                          1.000    0.075
i_maze size=15                  1.000    0.015
meta_fetch                     39.210    3.200
knights_tour                    0.925    0.562
```
"""

import abc
import collections
from collections.abc import Callable
import functools
import math
from typing import Any

import dm_env
import numpy as np

from ald_acme.environments.interface import actions
from ald_acme.environments.interface import base
from ald_acme.environments.interface import masks
from ald_acme.environments.tasks import gridworlds
from ald_acme.environments.tasks import i_maze
from ald_acme.environments.tasks import knights_tour
from ald_acme.environments.tasks import meta_fetch

_FIRST, _LAST = int(dm_env.StepType.FIRST), int(dm_env.StepType.LAST)
_EPISODES = 200  # Per printed mean.
_Cell = tuple[int, int]  # Row and column.


class Agent(abc.ABC):
  """Acts in a batch of environments."""

  @abc.abstractmethod
  def step(self, timestep: dm_env.TimeStep) -> Any:
    """Selects actions, leaves `[E, ...]`, after a batched time step."""


class RandomAgent(Agent):
  """Samples actions uniformly within the bounds of an action spec.

  With an action mask it samples uniformly among legal actions.
  """

  def __init__(
    self, action_spec: Any, seed: int = 0, observation_spec: Any = None
  ) -> None:
    """Creates the agent.

    Args:
      action_spec: action spec of one environment.
      seed: seed of the actions.
      observation_spec: observation spec of one environment, if it may have an
        action mask.
    """
    self._action_spec = action_spec
    self._observation_spec = observation_spec
    self._rng = np.random.default_rng(seed)

  def step(self, timestep: dm_env.TimeStep) -> Any:
    if self._observation_spec is None:
      size = len(timestep.step_type)
      return actions.uniform(self._action_spec, size, self._rng)
    return masks.uniform(
      self._action_spec,
      self._observation_spec,
      timestep.observation,
      self._rng,
    )


class _Expert(Agent):
  """Keeps a memory per environment, reset at each episode."""

  def __init__(self, make_memory: Callable[[], '_Memory']) -> None:
    self._make_memory = make_memory
    self._memories: dict[int, _Memory] = {}

  def step(self, timestep: dm_env.TimeStep) -> np.ndarray:
    for i in np.flatnonzero(timestep.step_type == _FIRST):
      self._memories[i] = self._make_memory()
    seen = enumerate(zip(timestep.observation, timestep.reward))
    return np.array([self._memories[i].act(*step) for i, step in seen])


class IMazeExpert(_Expert):
  """Solves every I-Maze whose `view` is at least 3."""

  def __init__(self) -> None:
    super().__init__(_IMazeMemory)


class MetaFetchExpert(_Expert):
  """Plays Meta-Fetch with perfect memory; `view` must be at least 3.

  It tries the nearest object that may be next, explores if there is none, and
  repeats the known sequence on shortest paths that avoid other objects. This is
  not optimal: if the first object and a wrong one are neighbours, alternating
  between them may pay more.
  """

  def __init__(self) -> None:
    super().__init__(_MetaFetchMemory)


class KnightsTourExpert(Agent):
  """Moves to the cell with the fewest onward moves (Warnsdorff, 1823)."""

  def step(self, timestep: dm_env.TimeStep) -> np.ndarray:
    observation = timestep.observation
    legal = observation['legal']
    free = observation['visited'] == 0
    reach = knights_tour.reach(math.isqrt(legal.shape[1]))
    onward = (free[:, np.newaxis] & reach).sum(-1)
    return np.where(legal, onward, len(reach)).argmin(-1)


def mean_return(
  environment: base.BatchedEnvironment, agent: Agent, episodes: int = 1
) -> float:
  """Plays `episodes` in each environment; returns the mean return."""
  played = np.zeros(environment.batch_size, np.int64)
  total = 0.0
  timestep = environment.reset()
  while (playing := played < episodes).any():
    timestep = environment.step(agent.step(timestep))
    total += timestep.reward[playing].sum()
    played += timestep.step_type == _LAST
  return total / (episodes * environment.batch_size)


class _Memory(abc.ABC):
  """The memory of an expert within one episode."""

  @abc.abstractmethod
  def act(self, window: np.ndarray, reward: float) -> int:
    """Updates the memory and selects an action."""


class _IMazeMemory(_Memory):
  """Walks on, and turns around unless floor or the right goal is ahead.

  Once the indicator is known, it moves down where possible.
  """

  def __init__(self) -> None:
    self._asked: int | None = None  # The right goal.
    self._heading = gridworlds.LEFT

  def act(self, window: np.ndarray, reward: float) -> int:
    kinds = window.argmax(-1)
    middle = len(kinds) // 2
    for indicator, goal in (
      (i_maze.BLUE, i_maze.GREEN),
      (i_maze.PINK, i_maze.RED),
    ):
      if (kinds == indicator).any():
        self._asked = goal
    if self._asked and kinds[middle + 1, middle] == i_maze.EMPTY:
      # The goal's side unless `random_goals` swapped it.
      green = self._asked == i_maze.GREEN
      self._heading = gridworlds.LEFT if green else gridworlds.RIGHT
      return gridworlds.DOWN
    _, across = gridworlds.MOVES[self._heading]
    if kinds[middle, middle + across] not in (i_maze.EMPTY, self._asked):
      self._heading = gridworlds.LEFT + gridworlds.RIGHT - self._heading
    return self._heading


class _MetaFetchMemory(_Memory):
  """A map of the room, relative to the agent's first cell."""

  def __init__(self) -> None:
    self._here: _Cell = (0, 0)
    self._action: int | None = None
    self._walls: set[_Cell] = set()
    self._floor: set[_Cell] = set()
    self._objects: set[_Cell] = set()
    self._order: list[_Cell] = []  # Cells of the known start of the sequence.
    self._fetched = 0  # Number of them fetched.
    self._not_next: set[_Cell] = set()  # Objects known not to follow.

  def act(self, window: np.ndarray, reward: float) -> int:
    if self._action is not None:
      there = _neighbour(self._here, self._action)
      if there not in self._walls:
        self._here = there
        if there in self._present():
          middle = len(window) // 2
          self._touch(reward > 0, _is_object(window[middle, middle]))
    self._look(window)
    self._action = self._choose()
    return self._action

  def _present(self) -> set[_Cell]:
    return self._objects.difference(self._order[: self._fetched])

  def _touch(self, right: bool, stays: bool) -> None:
    """Updates the memory with the object that the agent stepped on."""
    is_trial = self._fetched == len(self._order)
    if right and is_trial:
      self._order.append(self._here)
      self._not_next.clear()
    elif is_trial:
      self._not_next.add(self._here)
    # A right object reappears only after a complete sequence.
    self._fetched = 0 if stays else self._fetched + 1

  def _look(self, window: np.ndarray) -> None:
    """Adds the window to the map."""
    row, column = np.subtract(self._here, len(window) // 2).tolist()
    for i, j in np.ndindex(window.shape[:2]):
      cell = row + i, column + j
      if not self._is_unknown(cell):
        continue
      if window[i, j, meta_fetch.WALL]:
        self._walls.add(cell)
      else:
        self._floor.add(cell)
      if _is_object(window[i, j]):
        self._objects.add(cell)

  def _is_unknown(self, cell: _Cell) -> bool:
    return cell not in self._walls and cell not in self._floor

  def _choose(self) -> int:
    if self._fetched < len(self._order):
      goals = {self._order[self._fetched]}
    else:
      goals = self._present() - self._not_next
    is_goal = goals.__contains__ if goals else self._is_unknown
    action = self._toward(is_goal, self._present() - goals)
    if action is None:  # Blocked by objects: restart the sequence.
      action = self._toward(is_goal, set())
    assert action is not None, 'a room is connected'
    return action

  def _toward(
    self, is_goal: Callable[[_Cell], bool], avoid: set[_Cell]
  ) -> int | None:
    """The first move of a shortest path; None if there is none."""
    reached = self._walls | avoid
    # The agent's own cell counts as a goal only on return.
    queue: collections.deque[tuple[_Cell, int | None]] = collections.deque(
      [(self._here, None)]
    )
    while queue:
      cell, first = queue.popleft()
      for action in range(len(gridworlds.ACTIONS)):
        there = _neighbour(cell, action)
        if there in reached:
          continue
        reached.add(there)
        way = action if first is None else first
        if is_goal(there):
          return way
        if there in self._floor:
          queue.append((there, way))
    return None


def _neighbour(cell: _Cell, action: int) -> _Cell:
  down, across = gridworlds.MOVES[action].tolist()
  return cell[0] + down, cell[1] + across


def _is_object(look: np.ndarray) -> bool:
  return not (look[meta_fetch.WALL] or look[meta_fetch.EMPTY])


def main() -> None:
  """Prints the mean returns of the experts and of a random agent."""
  print(f'mean return of {_EPISODES} episodes   expert   random')
  cases: list[tuple[str, Callable[[int], base.BatchedEnvironment], Agent]] = [
    ('i_maze', i_maze.BatchedIMaze, IMazeExpert()),
    (
      'i_maze size=15',
      functools.partial(i_maze.BatchedIMaze, size=15),
      IMazeExpert(),
    ),
    ('meta_fetch', meta_fetch.BatchedMetaFetch, MetaFetchExpert()),
    ('knights_tour', knights_tour.BatchedKnightsTour, KnightsTourExpert()),
  ]
  for name, make, expert in cases:
    spec = make(1)
    chance = RandomAgent(
      spec.action_spec(), observation_spec=spec.observation_spec()
    )
    returns = [
      mean_return(make(_EPISODES), agent) for agent in (expert, chance)
    ]
    print(f'{name:28}' + ''.join(f'{r:9.3f}' for r in returns))


if __name__ == '__main__':
  main()

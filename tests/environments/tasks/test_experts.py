"""Experts reach the best returns from observations alone."""

import itertools

import dm_env
from dm_env import specs
import numpy as np
import pytest

from ald_acme.environments.batches import stacking
from ald_acme.environments.tasks import experts
from ald_acme.environments.tasks import i_maze
from ald_acme.environments.tasks import knights_tour
from ald_acme.environments.tasks import meta_fetch


@pytest.mark.parametrize('size', [5, 7, 9, 15])
@pytest.mark.parametrize('random_goals', [False, True])
@pytest.mark.parametrize('random_start', [False, True])
def test_i_maze_is_solved(size, random_goals, random_start):
  mazes = i_maze.BatchedIMaze(
    32, size=size, random_goals=random_goals, random_start=random_start
  )
  assert experts.mean_return(mazes, experts.IMazeExpert(), episodes=2) == 1.0


@pytest.mark.parametrize('view', [5, 9])
def test_i_maze_is_solved_with_wide_views(view):
  mazes = i_maze.BatchedIMaze(32, view=view, random_goals=True, wrong_reward=-1)
  assert experts.mean_return(mazes, experts.IMazeExpert()) == 1.0


def test_i_maze_takes_the_shortest_way():
  maze = i_maze.BatchedIMaze(16, size=9, limit=2 + 6 + 3)
  assert experts.mean_return(maze, experts.IMazeExpert()) == 1.0


def _room(**kwargs):
  return meta_fetch.BatchedMetaFetch(20, seed=1, **kwargs)


def test_meta_fetch_is_beyond_chance():
  expert, chance = (
    experts.mean_return(_room(), agent)
    for agent in (
      experts.MetaFetchExpert(),
      experts.RandomAgent(specs.DiscreteArray(4)),
    )
  )
  assert expert > 30
  assert chance < 6


@pytest.mark.parametrize(
  'size, objects, view',
  [
    (4, 1, 3),
    (4, 2, 3),
    (5, 3, 3),
    (7, 3, 3),
    (7, 6, 5),
    (10, 4, 3),
    (9, 3, 9),
  ],
)
def test_meta_fetch_completes_the_sequence(size, objects, view):
  # In small rooms objects may shut each other in, so not each can be completed.
  rooms = _room(
    size=size, objects=objects, view=view, limit=60 * objects, repeat=False
  )
  expert = experts.MetaFetchExpert()
  timestep, fetched = rooms.reset(), np.zeros(20)
  completed = np.zeros(20, bool)
  playing = np.ones(20, bool)
  for t in itertools.count(1):
    timestep = rooms.step(expert.step(timestep))
    last = timestep.step_type == int(dm_env.StepType.LAST)
    fetched += timestep.reward * playing
    completed |= playing & last & (timestep.reward == 1) & (t < 60 * objects)
    playing &= ~last
    if not playing.any():
      break
  assert (fetched[completed] >= objects).all()
  assert completed.mean() >= 0.8


@pytest.mark.parametrize(
  'rooms, make_expert',
  [
    (meta_fetch.BatchedMetaFetch(8, limit=20), experts.MetaFetchExpert),
    (i_maze.BatchedIMaze(8, random_goals=True), experts.IMazeExpert),
  ],
)
def test_experts_forget_the_episode_before(rooms, make_expert):
  veteran = make_expert()
  experts.mean_return(rooms, veteran, episodes=3)
  novice = make_expert()
  timestep = rooms.reset()
  for _ in range(20):
    action = veteran.step(timestep)
    np.testing.assert_array_equal(novice.step(timestep), action)
    timestep = rooms.step(action)


def test_random_agent_is_uniform_and_seeded():
  timestep = i_maze.BatchedIMaze(1000).reset()
  one, same, other = (
    experts.RandomAgent(specs.DiscreteArray(4), seed) for seed in (0, 0, 1)
  )
  actions = np.stack([one.step(timestep) for _ in range(10)])
  assert actions.shape == (10, 1000)
  shares = np.bincount(actions.ravel(), minlength=4) / actions.size
  np.testing.assert_allclose(shares, 0.25, atol=0.02)
  np.testing.assert_array_equal(same.step(timestep), actions[0])
  assert (other.step(timestep) != actions[0]).any()


class Numbered(dm_env.Environment):
  """Episodes of `length` steps; the n-th pays n at its end."""

  def __init__(self, length):
    self._length, self._episode, self._left = length, 0, None

  def reset(self):
    self._episode, self._left = self._episode + 1, self._length
    return dm_env.restart(np.zeros(1))

  def step(self, action):
    if not self._left:
      return self.reset()
    self._left -= 1
    if self._left:
      return dm_env.transition(0.0, np.zeros(1))
    return dm_env.termination(float(self._episode), np.zeros(1))

  def observation_spec(self):
    return specs.Array((1,), np.float64)

  def action_spec(self):
    return specs.DiscreteArray(2)


@pytest.mark.parametrize('episodes, mean', [(1, 1.0), (2, 1.5), (3, 2.0)])
def test_mean_return_takes_as_many_episodes_of_each(episodes, mean):
  stacked = stacking.Stacked([Numbered(1), Numbered(5)])
  agent = experts.RandomAgent(specs.DiscreteArray(2))
  assert experts.mean_return(stacked, agent, episodes) == mean


def test_a_random_agent_takes_legal_actions():
  """All of them, each as often."""
  boards = knights_tour.BatchedKnightsTour(3000)
  agent = experts.RandomAgent(
    boards.action_spec(), observation_spec=boards.observation_spec()
  )
  step = boards.reset()
  for _ in range(30):
    step = boards.step(agent.step(step))
  assert boards.metrics() == {'illegal_moves': 0}
  first = boards.reset()
  central = first.observation['knight'][:, 12] > 0
  counts = np.bincount(agent.step(first)[central], minlength=25)
  assert (counts > 0).sum() == 8
  assert counts.max() < 3 * counts[counts > 0].min()


def test_the_knight_is_beyond_chance():
  made = [knights_tour.BatchedKnightsTour(200) for _ in range(2)]
  expert = experts.mean_return(made[0], experts.KnightsTourExpert())
  chance = experts.RandomAgent(
    made[0].action_spec(), observation_spec=made[0].observation_spec()
  )
  assert expert > 0.9
  assert experts.mean_return(made[1], chance) < 0.75

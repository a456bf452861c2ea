"""I-Maze against a slow maze written from the text of the task."""

import itertools

from absl.testing import absltest
import dm_env
from dm_env import test_utils
import numpy as np
import pytest

from ald_acme.environments.tasks import i_maze

FIRST, MID, LAST = (int(step_type) for step_type in dm_env.StepType)
UP, DOWN, LEFT, RIGHT = range(4)
RANDOM = {'random_goals': True, 'random_start': True}
KINDS = {'#': 0, '.': 1, 'blue': 2, 'pink': 3, 'green': 4, 'red': 5}


class SlowMaze:
  """One episode in plain loops."""

  def __init__(self, size, view, limit, rewards, drawn):
    self.pink, self.green_right, (self.row, self.column) = drawn
    self.view, self.limit, self.rewards, self.steps = view, limit, rewards, 0
    self.cells = {}
    for k in range(1, size - 1):
      self.cells[1, k] = self.cells[size - 2, k] = '.'
      self.cells[k, size // 2] = '.'
    self.cells[1, 1] = 'pink' if self.pink else 'blue'
    left, right = ('red', 'green') if self.green_right else ('green', 'red')
    self.cells[size - 2, 1], self.cells[size - 2, size - 2] = left, right

  def step(self, action):
    """Moves; returns the type of the step and its reward."""
    down, across = {UP: (-1, 0), DOWN: (1, 0), LEFT: (0, -1), RIGHT: (0, 1)}[
      action
    ]
    cell = self.row + down, self.column + across
    if self.cells.get(cell, '#') not in ('#', 'blue', 'pink'):
      self.row, self.column = cell
    self.steps += 1
    here = self.cells[self.row, self.column]
    correct, wrong, at_limit = self.rewards
    if here in ('green', 'red'):
      return LAST, correct if (here == 'red') == self.pink else wrong
    if self.steps == self.limit:
      return LAST, at_limit
    return MID, 0

  def window(self):
    """The agent's observation, one-hot."""
    seen = np.zeros([self.view, self.view, len(KINDS)], np.float32)
    for i, j in itertools.product(range(self.view), repeat=2):
      cell = self.row + i - self.view // 2, self.column + j - self.view // 2
      seen[i, j, KINDS[self.cells.get(cell, '#')]] = 1
    return seen


def _drawn(window, size):
  """The layout of an episode, read from a window that shows the whole maze."""
  kinds = window.argmax(-1)
  (indicator,) = np.argwhere(np.isin(kinds, (KINDS['blue'], KINDS['pink'])))
  corner = indicator - 1
  here = np.array([len(kinds) // 2] * 2) - corner
  maze = kinds[corner[0] :, corner[1] :][:size, :size]
  green_right = maze[size - 2, size - 2] == KINDS['green']
  return maze[1, 1] == KINDS['pink'], bool(green_right), tuple(here)


def _rows(timestep):
  return [
    timestep._replace(**{k: v[i] for k, v in timestep._asdict().items()})
    for i in range(len(timestep.reward))
  ]


def _assert_same(timestep, other):
  for mine, theirs in zip(timestep, other):
    np.testing.assert_array_equal(mine, theirs)


def _path(size, right):
  """The shortest way from the usual start to a goal."""
  side = [RIGHT if right else LEFT] * (size // 2 - 1)
  return [RIGHT] * (size // 2 - 2) + [DOWN] * (size - 3) + side


def _wander(*shape):
  """Actions `[T, ...]` that often come to a goal: down, or on to one side."""
  rng = np.random.RandomState(0)
  turned = np.cumsum(rng.rand(*shape) < 0.1, axis=0) % 2
  action = np.where(turned, LEFT, RIGHT)
  action[rng.rand(*shape) < 0.1] = UP
  action[rng.rand(*shape) < 0.4] = DOWN
  return action


class IMazeTest(test_utils.EnvironmentTestMixin, absltest.TestCase):
  """The contract of `dm_env`."""

  def make_object_under_test(self):
    return i_maze.IMaze(limit=30)

  def make_action_sequence(self):
    yield from _path(9, right=True)
    yield from _wander(100)


@pytest.mark.parametrize(
  'size, view, random_goals, random_start, rewards',
  [
    (9, 3, False, False, (1, 0, 0)),
    (9, 5, True, False, (1, -0.5, -1)),
    (15, 3, True, True, (2, -1, -0.25)),
    (15, 5, False, True, (1, -1, 0)),
    (5, 1, True, True, (1, 0, -1)),
  ],
)
def test_steps_match_the_slow_maze(
  size, view, random_goals, random_start, rewards
):
  batch_size, limit = 8, 6 * size
  names = ('correct_reward', 'wrong_reward', 'limit_reward')
  kwargs = dict(
    batch_size=batch_size,
    size=size,
    limit=limit,
    random_goals=random_goals,
    random_start=random_start,
    seed=3,
    **dict(zip(names, rewards)),
  )
  mazes = i_maze.BatchedIMaze(view=view, **kwargs)
  # A copy that sees everything reveals what was drawn, but not what follows.
  twins = i_maze.BatchedIMaze(view=2 * size - 1, **kwargs)
  slow, ended = [None] * batch_size, [True] * batch_size
  ends = set()
  for actions in _wander(800, batch_size):
    timestep, twin = mazes.step(actions), twins.step(actions)
    for i, step in enumerate(_rows(timestep)):
      if ended[i]:
        drawn = _drawn(twin.observation[i], size)
        assert random_goals or not drawn[1]
        assert random_start or drawn[2] == (1, 2)
        slow[i] = SlowMaze(size, view, limit, rewards, drawn)
        step_type, reward = FIRST, 0
      else:
        step_type, reward = slow[i].step(actions[i])
      ended[i] = step_type == LAST
      assert step.step_type == step_type
      assert step.reward == reward
      assert step.discount == (0 if ended[i] else 1)
      np.testing.assert_array_equal(step.observation, slow[i].window())
      if ended[i]:
        goal = slow[i].cells[slow[i].row, slow[i].column]
        ends.add((goal, slow[i].pink))
  # The comparison has seen every way to end.
  goals = set(itertools.product(('green', 'red'), (False, True)))
  assert goals <= ends
  assert len(ends) > len(goals)


@pytest.mark.parametrize('size', [5, 9, 15])
@pytest.mark.parametrize('wrong_reward', [0.0, -1.0])
@pytest.mark.parametrize('right', [False, True])
def test_rewards_of_the_goals(size, wrong_reward, right):
  mazes = i_maze.BatchedIMaze(16, size=size, wrong_reward=wrong_reward)
  timestep = mazes.reset()
  pink = timestep.observation[:, 1, 0, KINDS['pink']] == 1
  blue = timestep.observation[:, 1, 0, KINDS['blue']] == 1
  assert pink.any() and blue.any() and (pink ^ blue).all()
  for action in _path(size, right):
    assert not (timestep.step_type == LAST).any()
    timestep = mazes.step(np.full(16, action))
  assert (timestep.step_type == LAST).all()
  np.testing.assert_array_equal(timestep.discount, 0)
  np.testing.assert_array_equal(
    timestep.reward, np.where(pink == right, 1, wrong_reward)
  )


@pytest.mark.parametrize(
  'size, limit, steps',
  [(5, None, 25), (9, None, 100), (15, None, 250), (9, 1, 1), (9, 7, 7)],
)
@pytest.mark.parametrize('truncate', [False, True])
def test_limit_ends_the_episode(size, limit, steps, truncate):
  maze = i_maze.IMaze(
    size=size, limit=limit, limit_reward=-0.5, truncate=truncate
  )
  for _ in range(2):
    maze.reset()
    for _ in range(steps - 1):
      timestep = maze.step(UP)
      assert timestep.mid()
      assert (timestep.reward, timestep.discount) == (0, 1)
    timestep = maze.step(UP)
    assert timestep.last()
    assert (timestep.reward, timestep.discount) == (-0.5, truncate)


@pytest.mark.parametrize('right', [False, True])
def test_goal_counts_at_the_limit(right):
  path = _path(9, right)
  mazes = i_maze.BatchedIMaze(
    8, limit=len(path), wrong_reward=-1, limit_reward=-9, truncate=True
  )
  mazes.reset()
  for action in path:
    timestep = mazes.step(np.full(8, action))
  assert set(timestep.reward) == {1, -1}
  np.testing.assert_array_equal(timestep.discount, 0)


def test_reset_forgets_the_steps_before():
  maze = i_maze.IMaze(limit=3)
  for _ in range(3):
    assert maze.reset().first()
    assert maze.step(UP).mid()
    assert maze.step(UP).mid()


def test_single_and_batched_give_the_same_steps():
  kwargs = {'seed': 5, 'limit': 20, **RANDOM}
  maze, mazes = i_maze.IMaze(**kwargs), i_maze.BatchedIMaze(**kwargs)
  plain, batched = maze.reset(), mazes.reset()
  for action in _wander(200):
    (row,) = _rows(batched)
    if plain.first():
      assert (row.reward, row.discount) == (0, 1)
      row = dm_env.restart(row.observation)
    assert plain.step_type == row.step_type
    _assert_same(plain, row)
    plain, batched = maze.step(action), mazes.step(action[np.newaxis])


def test_episodes_do_not_depend_on_batch_size():
  kwargs = {'seed': 2, 'limit': 15, 'view': 17, **RANDOM}
  few, many = (i_maze.BatchedIMaze(n, **kwargs) for n in (3, 8))
  actions = _wander(100, 8)
  _assert_same(few.reset().observation, many.reset().observation[:3])
  for action in actions:
    _assert_same(few.step(action[:3]), [leaf[:3] for leaf in many.step(action)])


def test_mazes_do_not_depend_on_each_other():
  kwargs = {'size': 5, 'seed': 2, 'view': 9, **RANDOM}
  one, other = (i_maze.BatchedIMaze(4, **kwargs) for _ in range(2))
  actions = _wander(300, 2, 4)
  actions[:, 1, 2] = actions[:, 0, 2]
  for mine, theirs in actions:
    _assert_same(
      [leaf[2] for leaf in one.step(mine)],
      [leaf[2] for leaf in other.step(theirs)],
    )


def test_seeds_and_mazes_have_their_own_episodes():
  # Each row: the starts and the colours of a maze over its first episodes.
  rows = set()
  for seed in range(4):
    mazes = i_maze.BatchedIMaze(
      4, size=15, view=29, random_start=True, seed=seed
    )
    windows = [mazes.reset().observation for _ in range(20)]
    rows |= {np.stack(w).tobytes() for w in zip(*windows)}
  assert len(rows) == 16


def test_draws_are_uniform():
  size, count = 9, 4000
  mazes = i_maze.BatchedIMaze(
    count // 4, view=2 * size - 1, random_goals=True, random_start=True
  )
  drawn = [
    _drawn(window, size)
    for _ in range(4)
    for window in mazes.reset().observation
  ]
  pink, green_right, cells = zip(*drawn)
  assert abs(np.mean(pink) - 0.5) < 0.04
  assert abs(np.mean(green_right) - 0.5) < 0.04
  assert abs(np.corrcoef(pink, green_right)[0, 1]) < 0.06
  rows, columns = np.transpose(cells)
  assert set(rows) == {1}
  starts, counts = np.unique(columns, return_counts=True)
  np.testing.assert_array_equal(starts, range(2, size - 1))
  np.testing.assert_allclose(counts / count, 1 / len(starts), atol=0.03)


def test_step_after_last_ignores_the_action():
  mazes = [i_maze.BatchedIMaze(4, limit=1) for _ in range(4)]
  begun = []
  for action, maze in enumerate(mazes):
    maze.reset()
    assert (maze.step(np.full(4, UP)).step_type == LAST).all()
    begun.append(maze.step(np.full(4, action)))
  for timestep in begun:
    _assert_same(timestep, begun[0])
  assert (begun[0].step_type == FIRST).all()
  np.testing.assert_array_equal(begun[0].reward, 0)
  np.testing.assert_array_equal(begun[0].discount, 1)


def test_hidden_rule_stays_until_new_tasks():
  size, path = 5, _path(5, right=True)
  mazes = i_maze.BatchedIMaze(32, size=size, view=9, hidden_rule=True)
  mazes.keep_tasks()

  def play():
    """Rewards of correct goals, when the indicator is hidden."""
    timestep = mazes.reset()
    for action in path:
      colours = timestep.observation[..., [KINDS['blue'], KINDS['pink']]]
      np.testing.assert_array_equal(colours, 0)
      timestep = mazes.step(np.full(32, action))
    assert (timestep.step_type == LAST).all()
    return timestep.reward

  paid = play()
  assert 0 < paid.sum() < 32
  for _ in range(3):
    np.testing.assert_array_equal(play(), paid)
  renewed = np.arange(32) < 16
  mazes.new_tasks(renewed)
  again = play()
  np.testing.assert_array_equal(again[~renewed], paid[~renewed])
  assert (again != paid).any()
  np.testing.assert_array_equal(play(), again)


def test_by_default_a_hidden_rule_lasts_an_episode():
  mazes = i_maze.BatchedIMaze(200, size=5, hidden_rule=True)
  paid = []
  for _ in range(5):
    timestep = mazes.reset()
    for action in _path(5, right=True):
      timestep = mazes.step(np.full(200, action))
    paid.append(timestep.reward)
  assert abs(np.corrcoef(paid)[np.triu_indices(5, 1)]).max() < 0.25


@pytest.mark.parametrize('view', [1, 3, 5])
def test_steps_keep_to_the_specs(view):
  mazes = i_maze.BatchedIMaze(3, view=view, limit=9)
  assert mazes.batch_size == 3
  assert mazes.action_spec().num_values == 4
  timestep = mazes.reset()
  for action in _wander(30, 3):
    assert timestep.step_type.dtype == np.int64
    for row in _rows(timestep):
      mazes.observation_spec().validate(row.observation)
      mazes.reward_spec().validate(row.reward)
      mazes.discount_spec().validate(row.discount)
    np.testing.assert_array_equal(timestep.observation.sum(-1), 1)
    timestep = mazes.step(action)


def test_returned_steps_may_be_changed():
  mine, other = (i_maze.BatchedIMaze(2, limit=3) for _ in range(2))
  for _ in range(9):
    timestep = mine.step(np.full(2, RIGHT))
    _assert_same(timestep, other.step(np.full(2, RIGHT)))
    for leaf in timestep:
      leaf[:] = 7


@pytest.mark.parametrize('size', [5, 9])
def test_render_draws_the_agent(size):
  mazes = i_maze.BatchedIMaze(2, size=size, seed=1)
  mazes.reset()
  before, other = mazes.render(0), mazes.render(1)
  mazes.step(np.array([RIGHT, UP]))
  after = mazes.render(0)
  assert before.dtype == np.uint8
  assert before.shape == (12 * size, 12 * size, 3)
  np.testing.assert_array_equal(mazes.render(1), other)

  changed = (before != after).any(-1).reshape(size, 12, size, 12)
  np.testing.assert_array_equal(
    np.argwhere(changed.all((1, 3))), [[1, 2], [1, 3]]
  )
  assert not (changed.any((1, 3)) ^ changed.all((1, 3))).any()
  agent, empty = before[18, 30], after[18, 30]
  np.testing.assert_array_equal(after[18, 42], agent)
  assert (agent != empty).any()
  # Walls, empty cells, the indicator, both goals and the agent.
  assert len(np.unique(before.reshape(-1, 3), axis=0)) == 6


@pytest.mark.parametrize(
  'field, value',
  [
    ('batch_size', 0),
    ('batch_size', 2.0),
    ('size', 8),
    ('size', 3),
    ('size', 9.5),
    ('size', '9'),
    ('size', True),
    ('size', None),
    ('view', 2),
    ('view', 0),
    ('view', -3),
    ('view', '3'),
    ('limit', 0),
    ('limit', 9.0),
    ('limit', True),
    ('seed', -1),
    ('seed', None),
    ('correct_reward', '1'),
    ('wrong_reward', None),
    ('wrong_reward', float('-inf')),
    ('limit_reward', float('nan')),
    ('limit_reward', True),
    ('random_goals', 1),
    ('random_start', 'yes'),
    ('hidden_rule', 1),
    ('truncate', 1),
  ],
)
def test_bad_arguments_are_named(field, value):
  with pytest.raises(ValueError) as error:
    i_maze.BatchedIMaze(**{field: value})
  assert field in str(error.value)
  assert repr(value) in str(error.value)


def test_numpy_integers_are_integers():
  maze = i_maze.IMaze(size=np.int64(9), view=np.int32(5), seed=np.int64(3))
  assert maze.reset().observation.shape == (5, 5, 6)

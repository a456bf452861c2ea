"""Trials against plain loops over the wrapped environment."""

from absl.testing import absltest
import dm_env
from dm_env import specs
from dm_env import test_utils
import numpy as np
import pytest

from ald_acme.environments.batches import stacking
from ald_acme.environments.batches import trials
from ald_acme.environments.interface import base
from ald_acme.environments.tasks import bandit
from ald_acme.environments.tasks import i_maze
from ald_acme.environments.tasks import meta_fetch

FIRST, MID, LAST = (int(step_type) for step_type in dm_env.StepType)
METRICS = ['first_episode_return', 'last_episode_return']


class Truncated(dm_env.Environment):
  """Ends after `length` steps, with a discount of 0.5; rewards are actions."""

  def __init__(self, length):
    self._length, self._left = length, None

  def reset(self):
    self._left = self._length
    return dm_env.restart(np.float32([self._left]))

  def step(self, action):
    if not self._left:
      return self.reset()
    self._left -= 1
    observation = np.float32([self._left])
    if self._left:
      return dm_env.transition(float(action), observation)
    return dm_env.truncation(float(action), observation, discount=0.5)

  def observation_spec(self):
    return specs.Array((1,), np.float32)

  def action_spec(self):
    return specs.DiscreteArray(100)


class Recorder(bandit.BatchedBandit):
  """Keeps the steps at which it was asked for new tasks."""

  def __init__(self, *args, **kwargs):
    super().__init__(*args, **kwargs)
    self.asked = []

  def new_tasks(self, which):
    self.asked.append(which.copy())
    super().new_tasks(which)


class BanditTrialsTest(test_utils.EnvironmentTestMixin, absltest.TestCase):
  """The contract of `dm_env`."""

  def make_object_under_test(self):
    return base.Single(trials.Trials(bandit.BatchedBandit(), episodes=3))


class MetaFetchTrialsTest(test_utils.EnvironmentTestMixin, absltest.TestCase):
  """The contract of `dm_env`."""

  def make_object_under_test(self):
    environment = meta_fetch.BatchedMetaFetch(limit=10)
    return base.Single(trials.Trials(environment, episodes=2))

  def make_action_sequence(self):
    yield from np.random.RandomState(0).randint(4, size=100)


def test_steps_by_hand():
  stacked = stacking.Stacked([Truncated(1), Truncated(2)])
  environment = trials.Trials(stacked, episodes=2)
  assert environment.batch_size == 2
  steps, metrics = [environment.reset()], [environment.metrics()]
  for action in range(1, 9):
    steps.append(environment.step(np.array([action, 10 * action])))
    metrics.append(environment.metrics())
  np.testing.assert_array_equal(
    np.transpose([step.step_type for step in steps]),
    [
      [FIRST, MID, MID, LAST, FIRST, MID, MID, LAST, FIRST],
      [FIRST, MID, MID, MID, MID, LAST, FIRST, MID, MID],
    ],
  )
  np.testing.assert_array_equal(
    np.transpose([step.reward for step in steps]),
    [[0, 1, 0, 3, 0, 5, 0, 7, 0], [0, 10, 20, 0, 40, 50, 0, 70, 80]],
  )
  np.testing.assert_array_equal(
    np.transpose([step.discount for step in steps]),
    [[1, 1, 1, 0.5, 1, 1, 1, 0.5, 1], [1, 1, 1, 1, 1, 0.5, 1, 1, 1]],
  )
  np.testing.assert_array_equal(
    np.transpose([step.observation['episode_end'][:, 0] for step in steps]),
    [[0, 1, 0, 1, 0, 1, 0, 1, 0], [0, 0, 1, 0, 0, 1, 0, 0, 1]],
  )
  np.testing.assert_array_equal(
    np.transpose([step.observation['observation'][:, 0] for step in steps]),
    [[1, 0, 1, 0, 1, 0, 1, 0, 1], [2, 1, 0, 2, 1, 0, 2, 1, 0]],
  )
  # Only in the first, then in both; then again in the first.
  nan, none = float('nan'), 3
  expected = [(nan, nan)] * none + [(1, 3)] * 2 + [(15.5, 46.5)] * 2
  expected += [(17.5, 48.5)] * 2
  assert [list(row) for row in metrics] == [METRICS] * 9
  rows = [list(row.values()) for row in metrics]
  np.testing.assert_array_equal(rows, expected)


def _slow(environment, episodes, actions):
  """Trials of a single environment, in plain loops."""
  timestep, begun, done = environment.reset(), True, 0
  for action in actions:
    kind = int(timestep.step_type[0])
    reward, discount = timestep.reward[0], timestep.discount[0]
    ends = kind == LAST
    done += ends
    over = done == episodes
    if kind == FIRST:
      kind = FIRST if begun else MID
    elif ends and not over:
      kind, discount = MID, 1
    yield kind, reward, discount, float(ends), timestep.observation[0]
    begun = over
    if over:
      done = 0
    timestep = environment.step(np.array([action]))


@pytest.mark.parametrize('episodes', [1, 2, 5])
def test_steps_match_the_slow_trials(episodes):
  kwargs = {'size': 5, 'limit': 9, 'random_start': True, 'random_goals': True}
  kwargs['wrong_reward'] = -1.0
  joined = trials.Trials(i_maze.BatchedIMaze(1, **kwargs), episodes)
  actions = np.random.RandomState(0).choice(4, 600, p=[0.1, 0.4, 0.25, 0.25])
  slow = _slow(i_maze.BatchedIMaze(1, **kwargs), episodes, actions)
  timestep, types = joined.reset(), []
  for action, expected in zip(actions, slow, strict=True):
    types.append(expected[0])
    np.testing.assert_array_equal(timestep.step_type, expected[:1])
    np.testing.assert_array_equal(timestep.reward, expected[1:2])
    np.testing.assert_array_equal(timestep.discount, expected[2:3])
    seen = timestep.observation
    np.testing.assert_array_equal(seen['episode_end'], [expected[3:4]])
    np.testing.assert_array_equal(seen['observation'], expected[4:5])
    assert timestep.step_type.dtype == np.int64
    assert timestep.reward.dtype == timestep.discount.dtype == np.float32
    timestep = joined.step(np.array([action]))
  assert types.count(LAST) > 10


def test_trials_do_not_depend_on_batch_size():
  def make(batch_size):
    mazes = i_maze.BatchedIMaze(batch_size, size=5, limit=9, random_start=True)
    return trials.Trials(mazes, 3)

  few, many = make(2), make(6)
  for action in np.random.RandomState(0).randint(4, size=[200, 6]):
    mine, theirs = few.step(action[:2]), many.step(action)
    for leaf in ('step_type', 'reward', 'discount'):
      np.testing.assert_array_equal(
        getattr(mine, leaf), getattr(theirs, leaf)[:2]
      )
    for name, leaf in mine.observation.items():
      np.testing.assert_array_equal(leaf, theirs.observation[name][:2])


def test_a_trial_has_one_task_and_the_next_another():
  episodes, size = 100, 200
  bandits = trials.Trials(bandit.BatchedBandit(size, arms=1), episodes)
  rewards = []
  for _ in range(3):
    timestep = bandits.step(np.zeros(size, np.int64))
    assert (timestep.step_type == FIRST).all()
    for _ in range(2 * episodes - 1):
      assert not (timestep.step_type == LAST).any()
      timestep = bandits.step(np.zeros(size, np.int64))
      rewards.append(timestep.reward)
    assert (timestep.step_type == LAST).all()
  rewards = np.reshape(rewards, [3, -1, size])
  first, second = rewards[:, :episodes].mean(1), rewards[:, episodes:].mean(1)
  for trial in range(3):
    assert np.corrcoef(first[trial], second[trial])[0, 1] > 0.9
    other = second[(trial + 1) % 3]
    assert abs(np.corrcoef(first[trial], other)[0, 1]) < 0.3


def test_new_tasks_are_drawn_where_a_trial_begins():
  recorder = Recorder(3)
  environment = trials.Trials(recorder, episodes=2)
  timestep = environment.reset()
  np.testing.assert_array_equal(recorder.asked, [[True] * 3])
  for t in range(1, 20):
    timestep = environment.step(np.zeros(3, np.int64))
    # A trial takes 4 steps: two episodes of a first step and a pull.
    assert (timestep.step_type == FIRST).all() == (t % 4 == 0)
    assert len(recorder.asked) == 1 + t // 4
  environment.reset()
  np.testing.assert_array_equal(recorder.asked, [[True] * 3] * 6)


def test_new_tasks_are_drawn_one_at_a_time():
  asked = []

  class Uneven(stacking.Stacked):
    def new_tasks(self, which):
      asked.append(which.tolist())

  environment = trials.Trials(Uneven([Truncated(1), Truncated(2)]), 2)
  for _ in range(7):  # A trial of the first takes 4 steps, of the second 6.
    environment.step(np.zeros(2, np.int64))
  assert asked == [[True, True], [True, False], [False, True]]


def test_reset_begins_a_trial():
  environment = trials.Trials(stacking.Stacked([Truncated(1)]), 2)
  for _ in range(2):
    timestep = environment.reset()
    types, rewards = [], []
    for action in (5, 6, 7):
      types.append(timestep.step_type[0])
      timestep = environment.step(np.array([action]))
      rewards.append(timestep.reward[0])
    types.append(timestep.step_type[0])
    assert types == [FIRST, MID, MID, LAST]
    assert rewards == [5, 0, 7]
  # A trial that was broken off counts nowhere.
  environment.reset()
  environment.step(np.array([50]))
  environment.reset()
  assert list(environment.metrics().values()) == [5, 7]


def test_metrics_are_those_of_the_trials():
  environment = trials.Trials(i_maze.BatchedIMaze(8, size=5, limit=8), 3)
  assert list(environment.metrics()) == METRICS
  assert np.isnan(list(environment.metrics().values())).all()
  timestep = environment.reset()
  returns = [[[]] for _ in range(8)]  # By environment, trial and episode.
  newest = [None] * 8
  rng = np.random.RandomState(0)
  for _ in range(200):
    timestep = environment.step(rng.choice(4, 8, p=[0.1, 0.5, 0.2, 0.2]))
    for i in range(8):
      returns[i][-1].append(timestep.reward[i])
      if timestep.observation['episode_end'][i, 0]:
        returns[i].append([])
      if timestep.step_type[i] == LAST:
        newest[i] = [sum(rewards) for rewards in returns[i][:3]]
        assert len(returns[i]) == 4
        returns[i] = [[]]
    finished = [trial for trial in newest if trial is not None]
    if finished:
      mean = np.mean(finished, axis=0)
      np.testing.assert_allclose(
        list(environment.metrics().values()), mean[[0, 2]]
      )
  assert len(finished) == 8


def test_own_metrics_are_passed_on():
  class Measured(bandit.BatchedBandit):
    def metrics(self):
      return {'luck': 0.5}

  environment = trials.Trials(Measured(2), 2)
  assert list(environment.metrics()) == ['luck', *METRICS]
  assert environment.metrics()['luck'] == 0.5
  assert bandit.BatchedBandit(2).metrics() == {}


def test_passes_on_specs_render_and_close():
  closed = []

  class Maze(i_maze.BatchedIMaze):
    def close(self):
      closed.append(True)

  maze = Maze(2, size=5)
  environment = trials.Trials(maze, 2)
  environment.reset()
  spec = environment.observation_spec()
  assert set(spec) == {'observation', 'episode_end'}
  assert spec['observation'] == maze.observation_spec()
  assert (spec['episode_end'].shape, spec['episode_end'].dtype) == ((1,), 'f4')
  for name in ('action', 'reward', 'discount'):
    mine = getattr(environment, f'{name}_spec')()
    assert mine == getattr(maze, f'{name}_spec')()
  np.testing.assert_array_equal(environment.render(1), maze.render(1))
  environment.close()
  assert closed == [True]


@pytest.mark.parametrize('episodes', [0, -1, 2.0, True, '3', None])
def test_bad_episodes_are_named(episodes):
  with pytest.raises(ValueError, match='episodes must be') as error:
    trials.Trials(bandit.BatchedBandit(), episodes)
  assert repr(episodes) in str(error.value)

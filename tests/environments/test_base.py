"""The `dm_env` faces of batched environments, and batches of `dm_env`s."""

from absl.testing import absltest
import dm_env
from dm_env import specs
from dm_env import test_utils
import numpy as np
import pytest

from ald_acme.environments import base
from ald_acme.environments import i_maze

FIRST, MID, LAST = (int(step_type) for step_type in dm_env.StepType)


class Countdown(dm_env.Environment):
  """Ends after `length` steps; the reward tells the action."""

  def __init__(self, length=2):
    self._length, self._left = length, None
    self.closed = False

  def reset(self):
    self._left = self._length
    return dm_env.restart(self._observation())

  def step(self, action):
    if not self._left:
      return self.reset()
    self._left -= 1
    make = dm_env.transition if self._left else dm_env.termination
    return make(10.0 + action, self._observation())

  def _observation(self):
    return {'left': np.array([self._left], np.uint8)}

  def observation_spec(self):
    return {'left': specs.Array((1,), np.uint8)}

  def action_spec(self):
    return specs.DiscreteArray(3)

  def close(self):
    self.closed = True


class Continuous(Countdown):
  """Countdown with an action without bounds."""

  def action_spec(self):
    return specs.Array((2,), np.float32)


class SingleStackedTest(test_utils.EnvironmentTestMixin, absltest.TestCase):
  """The contract of `dm_env`, through both wrappers."""

  def make_object_under_test(self):
    return base.Single(base.Stacked([Countdown(3)]))


def test_stacked_steps():
  stacked = base.Stacked([Countdown(1), Countdown(2)])
  assert stacked.batch_size == 2
  steps = [stacked.reset()]
  steps += [stacked.step(np.array(a)) for a in ([0, 1], [2, 0], [1, 2])]
  for step in steps:
    assert step.step_type.dtype == np.int64
    assert step.reward.dtype == step.discount.dtype == np.float32
    assert step.observation['left'].dtype == np.uint8
    assert step.observation['left'].shape == (2, 1)
  # The first ends at once, so its next action only begins an episode.
  np.testing.assert_array_equal(
    [s.step_type for s in steps],
    [[FIRST, FIRST], [LAST, MID], [FIRST, LAST], [LAST, FIRST]],
  )
  np.testing.assert_array_equal(
    [s.reward for s in steps], [[0, 0], [10, 11], [0, 10], [11, 0]]
  )
  np.testing.assert_array_equal(
    [s.discount for s in steps], [[1, 1], [0, 1], [1, 0], [0, 1]]
  )
  np.testing.assert_array_equal(
    [s.observation['left'][:, 0] for s in steps],
    [[1, 2], [0, 1], [1, 0], [0, 2]],
  )


def test_stacked_mazes_step_as_batched_ones():
  kwargs = {'limit': 12, 'random_goals': True, 'random_start': True}
  stacked = base.Stacked([i_maze.IMaze(seed=s, **kwargs) for s in range(3)])
  batches = [i_maze.BatchedIMaze(1, seed=s, **kwargs) for s in range(3)]
  rng = np.random.RandomState(0)
  step, others = stacked.reset(), [b.reset() for b in batches]
  for _ in range(40):
    for row, other in enumerate(others):
      for mine, theirs in zip(step, other):
        np.testing.assert_array_equal(mine[row], theirs[0])
        assert mine.dtype == theirs.dtype
    action = rng.randint(4, size=3)
    step = stacked.step(action)
    others = [b.step(a[np.newaxis]) for b, a in zip(batches, action)]


def test_stacked_passes_on_specs_render_and_close():
  maze = i_maze.IMaze()
  stacked = base.Stacked([i_maze.IMaze(size=5), maze])
  for name in ('observation', 'action', 'reward', 'discount'):
    mine = getattr(stacked, f'{name}_spec')()
    theirs = getattr(maze, f'{name}_spec')()
    assert (mine.shape, mine.dtype) == (theirs.shape, theirs.dtype)
  stacked.reset()
  np.testing.assert_array_equal(stacked.render(1), maze.render())

  environments = [Countdown(), Countdown()]
  base.Stacked(environments).close()
  assert all(environment.closed for environment in environments)


@pytest.mark.parametrize(
  'make, message',
  [
    (lambda: base.Stacked([]), 'at least one environment'),
    (
      lambda: base.Stacked([Continuous()]),
      'action of Continuous .* give it bounds',
    ),
    (lambda: base.Stacked([Countdown()]).render(), 'Countdown cannot render'),
    (lambda: base.Stacked([Countdown()]).step([0, 0]), 'shorter|longer'),
    (lambda: base.Single(i_maze.BatchedIMaze(2)), 'batch_size=2'),
  ],
)
def test_misuse_is_refused(make, message):
  with pytest.raises(ValueError, match=message):
    make()


@pytest.mark.parametrize('action', [-1, 4, 100])
def test_single_refuses_actions_that_there_are_not(action):
  maze = i_maze.IMaze()
  maze.reset()
  with pytest.raises(ValueError, match=f'0 to 3, but received {action}'):
    maze.step(action)


def test_new_tasks_are_passed_on_to_who_has_tasks():
  class Tasked(Countdown):
    drawn = 0

    def new_task(self):
      self.drawn += 1

  made = [Tasked(1), Countdown(1), Tasked(1)]
  stacked = base.Stacked(made)
  stacked.keep_tasks()
  stacked.reset()
  stacked.new_tasks(np.array([True, True, False]))
  stacked.new_tasks(np.array([True, False, False]))
  assert [e.drawn for e in (made[0], made[2])] == [2, 0]


def test_else_every_episode_has_a_new_task():
  class Tasked(Countdown):
    drawn = 0

    def new_task(self):
      self.drawn += 1

  made = [Tasked(1), Tasked(2)]
  stacked = base.Stacked(made)
  drawn, begun = [], np.zeros(2, int)
  for t in range(12):
    step = stacked.reset() if t in (0, 7) else stacked.step([0, 0])
    begun += step.step_type == dm_env.StepType.FIRST
    drawn.append([e.drawn for e in made])
    np.testing.assert_array_equal(drawn[-1], begun)
  assert begun[0] > begun[1] > 3


def test_single_gives_plain_steps():
  single = base.Single(base.Stacked([Countdown(1)]))
  first, last = single.reset(), single.step(2)
  assert first.step_type is dm_env.StepType.FIRST
  assert first.reward is first.discount is None
  assert last.step_type is dm_env.StepType.LAST
  assert (last.reward, last.discount) == (12, 0)
  np.testing.assert_array_equal(last.observation['left'], [0])

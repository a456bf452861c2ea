"""Conversions between batched environments and `dm_env`s."""

from absl.testing import absltest
import dm_env
from dm_env import specs
from dm_env import test_utils
import numpy as np
import pytest
import tree

from ald_acme.environments.batches import members
from ald_acme.environments.batches import stacking
from ald_acme.environments.batches import staggering
from ald_acme.environments.batches import trials
from ald_acme.environments.interface import base
from ald_acme.environments.tasks import i_maze

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
    return base.Single(stacking.Stacked([Countdown(3)]))


def test_stacked_steps():
  stacked = stacking.Stacked([Countdown(1), Countdown(2)])
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
  stacked = stacking.Stacked([i_maze.IMaze(seed=s, **kwargs) for s in range(3)])
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
  stacked = stacking.Stacked([i_maze.IMaze(size=5), maze])
  for name in ('observation', 'action', 'reward', 'discount'):
    mine = getattr(stacked, f'{name}_spec')()
    theirs = getattr(maze, f'{name}_spec')()
    assert (mine.shape, mine.dtype) == (theirs.shape, theirs.dtype)
  stacked.reset()
  np.testing.assert_array_equal(stacked.render(1), maze.render())

  environments = [Countdown(), Countdown()]
  stacking.Stacked(environments).close()
  assert all(environment.closed for environment in environments)


@pytest.mark.parametrize(
  'make, message',
  [
    (lambda: stacking.Stacked([]), 'give at least one'),
    (
      lambda: stacking.Stacked([Continuous()]),
      'action of Continuous .* give it bounds',
    ),
    (
      lambda: stacking.Stacked([Countdown()]).render(),
      'Countdown cannot render',
    ),
    (lambda: stacking.Stacked([Countdown()]).step([0, 0]), 'shorter|longer'),
    (lambda: base.Single(i_maze.BatchedIMaze(2)), 'batch_size=2'),
  ],
)
def test_misuse_is_refused(make, message):
  with pytest.raises(ValueError, match=message):
    make()


@pytest.mark.parametrize('action', [-1, 4, 100])
def test_single_rejects_invalid_actions(action):
  maze = i_maze.IMaze()
  maze.reset()
  with pytest.raises(ValueError, match=f'0 to 3, but received {action}'):
    maze.step(action)


def test_new_tasks_reach_environments_with_tasks():
  class Tasked(Countdown):
    drawn = 0

    def new_task(self):
      self.drawn += 1

  made = [Tasked(1), Countdown(1), Tasked(1)]
  stacked = stacking.Stacked(made)
  stacked.keep_tasks()
  stacked.reset()
  stacked.new_tasks(np.array([True, True, False]))
  stacked.new_tasks(np.array([True, False, False]))
  assert [e.drawn for e in (made[0], made[2])] == [2, 0]


def test_by_default_every_episode_has_a_new_task():
  class Tasked(Countdown):
    drawn = 0

    def new_task(self):
      self.drawn += 1

  made = [Tasked(1), Tasked(2)]
  stacked = stacking.Stacked(made)
  drawn, begun = [], np.zeros(2, int)
  for t in range(12):
    step = stacked.reset() if t in (0, 7) else stacked.step([0, 0])
    begun += step.step_type == dm_env.StepType.FIRST
    drawn.append([e.drawn for e in made])
    np.testing.assert_array_equal(drawn[-1], begun)
  assert begun[0] > begun[1] > 3


def test_single_gives_plain_steps():
  single = base.Single(stacking.Stacked([Countdown(1)]))
  first, last = single.reset(), single.step(2)
  assert first.step_type is dm_env.StepType.FIRST
  assert first.reward is first.discount is None
  assert last.step_type is dm_env.StepType.LAST
  assert (last.reward, last.discount) == (12, 0)
  np.testing.assert_array_equal(last.observation['left'], [0])


class Stuck(Countdown):
  """Does not restart after LAST: it returns LAST again."""

  def step(self, action):
    if not self._left:
      return dm_env.termination(0.0, self._observation())
    return super().step(action)


def test_environments_that_do_not_restart_are_reset():
  stuck, sound = (
    stacking.Stacked([kind(1), kind(3)]) for kind in (Stuck, Countdown)
  )
  step, expected = stuck.reset(), sound.reset()
  for _ in range(12):
    for mine, theirs in zip(tree.flatten(step), tree.flatten(expected)):
      np.testing.assert_array_equal(mine, theirs)
    step, expected = stuck.step([1, 2]), sound.step([1, 2])


def test_some_environments_may_restart():
  stacked = stacking.Stacked([Countdown(5), Countdown(5), Countdown(5)])
  stacked.reset()
  stacked.step([0, 0, 0])
  assert stacked.restart(np.array([False, True, False]))
  step = stacked.step([0, 0, 0])
  np.testing.assert_array_equal(step.step_type, [MID, FIRST, MID])
  np.testing.assert_array_equal(step.observation['left'][:, 0], [3, 5, 3])


class Fails(Countdown):
  """Raises in one method, at the last step where that is `step`."""

  def __init__(self, method=None, seed=0):
    self._method, self._seed = method, seed
    super().__init__(3)

  def _fail(self, method):
    if self._method == method:
      raise IndexError('no such room')

  def reset(self):
    self._fail('reset')
    return super().reset()

  def step(self, action):
    if self._left == 1:
      self._fail('step')
    return super().step(action)

  def new_task(self):
    self._fail('new_task')

  def render(self):
    self._fail('render')

  def observation_spec(self):
    self._fail('observation_spec')
    return super().observation_spec()

  def action_spec(self):
    self._fail('action_spec')
    return super().action_spec()


@pytest.mark.parametrize(
  'method, step',
  [
    ('reset', 0),
    ('step', 3),
    ('new_task', 0),
    ('render', 1),
    ('observation_spec', 0),
    ('action_spec', 0),
  ],
)
def test_environments_that_raise_are_named(method, step):
  number = 0 if method.endswith('spec') else 1  # Others' specs are not asked.
  environments = [Fails(), Fails()]
  environments[number] = Fails(method)
  message = (
    f"^environment 'x', number {4 + number}, step {step}: {method} raised "
    'IndexError: no such room$'
  )
  with pytest.raises(members.Failure, match=message):
    stacked = stacking.Stacked(environments, "environment 'x'", first=4)
    stacked.reset()
    if method == 'render':
      stacked.render(1)
    for _ in range(4):
      stacked.step([0, 0])


@pytest.mark.parametrize('method, lost', [('reset', 0), ('step', 1)])
def test_environments_that_raise_are_recreated(method, lost):
  """The first of two raises once; the episodes of the other are as ever."""
  seeds = []

  def make(seed):
    seeds.append(seed)
    return Fails(method if len(seeds) == 1 else None)

  stacked = stacking.stack(make, 2, seed=3, remakes=1)
  plain = stacking.stack(lambda seed: Fails(), 2, seed=3)
  step, expected = stacked.reset(), plain.reset()
  counted = 0
  for t in range(14):
    for mine, theirs in zip(tree.flatten(step), tree.flatten(expected)):
      np.testing.assert_array_equal(mine[1], theirs[1])
    np.testing.assert_array_equal(step.step_type, expected.step_type)
    if stacked.lost.any():
      counted += 1
      assert (t, stacked.lost.tolist()) == (3, [True, False])
      # Truncated, with the last observation.
      assert (step.reward[0], step.discount[0]) == (0, 1)
      assert step.observation['left'][0, 0] == 1
    else:
      np.testing.assert_array_equal(step.discount, expected.discount)
    step, expected = stacked.step([0, 0]), plain.step([0, 0])
  assert counted == lost
  assert stacked.metrics() == {'environments_remade': 1.0}
  assert len(set(seeds)) == 3


def test_the_number_of_recreated_environments_is_limited():
  stacked = stacking.stack(lambda seed: Fails('step'), 2, seed=3, remakes=3)
  stacked.reset()
  with pytest.raises(members.Failure, match='number 1, step 7: step raised'):
    for _ in range(9):
      stacked.step([0, 0])
  assert stacked.metrics() == {'environments_remade': 3.0}


def test_a_lost_episode_is_not_reported_and_ends_its_trial():
  made = iter([Fails('step'), Fails()])
  stacked = stacking.stack(lambda seed: next(made), 1, seed=3, remakes=1)
  run = staggering.Stagger(trials.Trials(stacked, 2), None)
  run.reset()
  kinds, reported = [], []
  for _ in range(14):
    step = run.step([0])
    kinds.append(step.step_type[0])
    reported.append(run.reported[0])
  # Three steps and a lost one; then a trial of twice three and a reset.
  assert kinds[:12] == [MID, MID, LAST, FIRST, *[MID] * 6, LAST, FIRST][:12]
  assert [r for r, k in zip(reported, kinds) if k == LAST] == [False, True]

"""Gymnasium environments as `dm_env`s: small ones with known ends."""

import sys

from absl.testing import absltest
import dm_env
from dm_env import specs
from dm_env import test_utils
import gymnasium
from gymnasium import spaces
import numpy as np
import pytest
import tree

from ald_acme.environments import registry
from ald_acme.environments.adapters import gymnasium_adapter
from ald_acme.environments.batches import stacking
from ald_acme.environments.interface import actions
from ald_acme.losses import vtrace
from ald_acme.replay import adder as unroll_adder

FIRST, MID, LAST = (int(step_type) for step_type in dm_env.StepType)
NESTED = spaces.Dict(
  {
    'card': spaces.Discrete(3),
    'body': spaces.Tuple(
      (spaces.Box(-1, 1, (2, 2), np.float32), spaces.MultiBinary(3))
    ),
    'dice': spaces.Dict({'two': spaces.MultiDiscrete([6, 2])}),
  }
)


class Clock(gymnasium.Env):
  """Shows the episode's step; ends after some, or is cut off."""

  metadata = {'render_modes': ['rgb_array']}  # noqa: RUF012 (Gymnasium's way.)
  observation_space = spaces.Box(0, 100, (1,), np.float32)

  def __init__(self, end=None, limit=None, first_action=0, render_mode=None):
    self.action_space = spaces.Discrete(3, start=first_action)
    self.render_mode = render_mode
    self.seeds, self.actions, self.closed = [], [], False
    self._end, self._limit = end, limit

  def reset(self, *, seed=None, options=None):
    self.seeds.append(seed)
    self._time = 0
    return self._look(), {}

  def step(self, action):
    self.actions.append(action)
    self._time += 1
    terminated, truncated = self._time == self._end, self._time == self._limit
    return self._look(), 10 + self._time, terminated, truncated, {}

  def _look(self):
    return np.array([self._time], np.float32)

  def render(self):
    if self.render_mode:
      return np.full((2, 2, 3), self._time, np.uint8)

  def close(self):
    self.closed = True


class Shows(Clock):
  """A clock that shows something else."""

  def __init__(self, space, observation):
    super().__init__()
    self.observation_space = space
    self._observation = observation

  def _look(self):
    return self._observation


def _adapt(*args, **kwargs):
  return gymnasium_adapter.GymnasiumEnvironment(Clock(*args, **kwargs))


class ContractTest(test_utils.EnvironmentTestMixin, absltest.TestCase):
  """The contract of `dm_env`."""

  def make_object_under_test(self):
    return _adapt(end=3)


class TruncatedContractTest(ContractTest):
  """The same where episodes are cut off."""

  def make_object_under_test(self):
    return _adapt(limit=2)


@pytest.mark.parametrize(
  'kwargs, discount',
  [
    ({'end': 2}, 0),
    ({'limit': 2}, 1),
    ({'end': 2, 'limit': 2}, 0),  # It has ended, whatever else.
  ],
)
def test_ends(kwargs, discount):
  environment = _adapt(**kwargs)
  first = environment.reset()
  assert first.first() and first.reward is None and first.discount is None
  steps = [environment.step(0) for _ in range(4)]
  assert [int(s.step_type) for s in steps] == [MID, LAST, FIRST, MID]
  assert [s.reward for s in steps] == [11, 12, None, 11]
  assert [s.discount for s in steps] == [1, discount, None, 1]
  assert [s.observation[0] for s in steps] == [1, 2, 0, 1]


def test_a_step_before_the_reset_is_one():
  assert _adapt().step(0).first()


def test_time_limit_of_gymnasium_truncates():
  made = gymnasium_adapter.make('CartPole-v1', seed=0, max_episode_steps=3)
  made.reset()
  steps = [made.step(t % 2) for t in range(3)]
  assert [int(s.step_type) for s in steps] == [MID, MID, LAST]
  assert steps[-1].discount == 1


def test_only_the_first_reset_is_seeded():
  clock = Clock(end=1)
  environment = gymnasium_adapter.GymnasiumEnvironment(clock, seed=7)
  environment.reset()
  environment.reset()
  for _ in range(4):
    environment.step(0)
  assert clock.seeds == [7, None, None, None]


@pytest.mark.parametrize('start', [0, 5, -2])
def test_actions_are_counted_from_the_start(start):
  clock = Clock(first_action=start)
  environment = gymnasium_adapter.GymnasiumEnvironment(clock)
  assert environment.action_spec() == specs.DiscreteArray(
    3, np.int32, name='action'
  )
  environment.reset()
  for action in (0, np.int32(2), np.int64(1)):
    environment.step(action)
  assert clock.actions == [start, start + 2, start + 1]
  assert all(type(action) is int for action in clock.actions)


@pytest.mark.parametrize(
  'space, observation, expected',
  [
    (
      spaces.Box(-1, 1, (2,), np.float32),
      np.float32([0.5, -0.5]),
      np.float32([0.5, -0.5]),
    ),
    (spaces.Box(-1, 1, (), np.float64), 0.5, np.float64(0.5)),
    (
      spaces.Box(-np.inf, np.inf, (2,), np.float32),
      np.float64([2, 3]),
      np.float32([2, 3]),
    ),
    (
      spaces.Box(0, 255, (1, 2, 1), np.uint8),
      np.uint8([[[3], [4]]]),
      np.uint8([[[3], [4]]]),
    ),
    (spaces.Discrete(3), 2, np.float32([0, 0, 1])),
    (spaces.Discrete(3), np.int64(0), np.float32([1, 0, 0])),
    (spaces.Discrete(3, start=5), 6, np.float32([0, 1, 0])),
    (spaces.Discrete(3, start=-1), np.array(-1), np.float32([1, 0, 0])),
    (
      spaces.MultiDiscrete([2, 3]),
      np.array([1, 1]),
      np.float32([0, 1, 0, 1, 0]),
    ),
    (
      spaces.MultiDiscrete([[2, 1], [3, 2]]),
      np.array([[0, 0], [2, 1]]),
      np.float32([1, 0, 1, 0, 0, 1, 0, 1]),
    ),
    (
      spaces.MultiDiscrete([2, 3], start=[1, -1]),
      np.array([1, 1]),
      np.float32([1, 0, 0, 0, 1]),
    ),
    (spaces.MultiBinary(3), np.int8([1, 0, 1]), np.int8([1, 0, 1])),
    (
      spaces.MultiBinary((1, 2)),
      np.array([[True, False]]),
      np.int8([[1, 0]]),
    ),
    (
      spaces.Tuple((spaces.Discrete(2), spaces.Dict(a=spaces.Discrete(2)))),
      (1, {'a': 0}),
      (np.float32([0, 1]), {'a': np.float32([1, 0])}),
    ),
  ],
)
def test_observations(space, observation, expected):
  environment = gymnasium_adapter.GymnasiumEnvironment(
    Shows(space, observation)
  )
  for step in (environment.reset(), environment.step(0)):
    tree.assert_same_structure(step.observation, expected)
    for mine, theirs in zip(
      tree.flatten(step.observation), tree.flatten(expected)
    ):
      np.testing.assert_array_equal(mine, theirs)
      assert mine.dtype == theirs.dtype
    tree.map_structure(
      lambda spec, x: spec.validate(x),
      environment.observation_spec(),
      step.observation,
    )


def test_nothing_is_lost_of_a_nested_space():
  NESTED.seed(0)
  for _ in range(50):
    seen = NESTED.sample()
    environment = gymnasium_adapter.GymnasiumEnvironment(Shows(NESTED, seen))
    shown = environment.reset().observation
    tree.map_structure(
      lambda spec, x: spec.validate(x), environment.observation_spec(), shown
    )
    assert shown['card'].argmax() == seen['card']
    for mine, theirs in zip(shown['body'], seen['body'], strict=True):
      np.testing.assert_array_equal(mine, theirs)
    dice = shown['dice']['two']
    np.testing.assert_array_equal(
      [dice[:6].argmax(), dice[6:].argmax()], seen['dice']['two']
    )
    assert dice.sum() == 2


@pytest.mark.parametrize(
  'space, field',
  [
    (spaces.Text(5), 'observation of Shows .* received Text'),
    (
      spaces.Dict(image=spaces.Discrete(2), mission=spaces.Text(5)),
      r"observation\['mission'\] of Shows .* received Text",
    ),
    (
      spaces.Tuple((spaces.Discrete(2), spaces.Dict(a=spaces.Text(5)))),
      r"observation\[1\]\['a'\] of Shows .* received Text",
    ),
    (
      spaces.Sequence(spaces.Discrete(2)),
      'observation of Shows .* received Sequence',
    ),
    (
      spaces.Graph(spaces.Discrete(2), spaces.Discrete(2)),
      'observation of Shows .* received Graph',
    ),
  ],
)
def test_spaces_that_cannot_be_observed_are_named(space, field):
  with pytest.raises(ValueError, match=f'^{field}'):
    gymnasium_adapter.GymnasiumEnvironment(Shows(space, None))


ACTION_SPACES = {
  'box': spaces.Box(np.float32([-1, 0]), np.float32([1, 5])),
  'multi_discrete': spaces.MultiDiscrete([[2, 3], [1, 4]]),
  'multi_discrete_start': spaces.MultiDiscrete([2, 3], start=[4, -1]),
  'multi_binary': spaces.MultiBinary((2, 2)),
  'tuple': spaces.Tuple((spaces.Discrete(3, start=2), spaces.Box(-1, 1, ()))),
  'dict': spaces.Dict(arm=spaces.Box(0, 1, (3,)), hand=spaces.Discrete(2)),
}


@pytest.mark.parametrize('name', ACTION_SPACES)
def test_every_action_is_in_its_space(name):
  clock, taken = Clock(), []
  clock.action_space = ACTION_SPACES[name]
  clock.step = lambda a: (taken.append(a), Clock.step(clock, 0))[1]
  made = [gymnasium_adapter.GymnasiumEnvironment(clock) for _ in range(2)]
  environment = stacking.Stacked(made)
  rng = np.random.default_rng(0)
  for _ in range(10):
    environment.reset()
    environment.step(actions.uniform(environment.action_spec(), 2, rng))
  assert len(taken) == 20
  for action in taken:
    assert clock.action_space.contains(action), action
  lowest = actions.lowest(environment.action_spec(), 1)
  tree.map_structure(
    lambda s, x: s.validate(x[0]), environment.action_spec(), lowest
  )


@pytest.mark.parametrize(
  'space, message',
  [
    (spaces.Text(5), 'action of Clock must be Box, .* received Text'),
    (
      spaces.Dict(arm=spaces.Box(-np.inf, 1, (1,))),
      r"action\['arm'\] of Clock must have finite bounds",
    ),
  ],
)
def test_other_actions_are_refused(space, message):
  clock = Clock()
  clock.action_space = space
  with pytest.raises(ValueError, match=message):
    gymnasium_adapter.GymnasiumEnvironment(clock)


@pytest.mark.parametrize(
  'space, observation',
  [
    (spaces.Discrete(3), 3),
    (spaces.Discrete(3), -1),
    (spaces.Discrete(3, start=1), 0),
    (spaces.Discrete(3), 1.5),
    (spaces.Discrete(3), [1, 1]),
    (spaces.MultiDiscrete([2, 3]), [2, 0]),
    (spaces.Box(0, 255, (1,), np.uint8), np.float32([0.5])),
    (spaces.Box(0, 255, (1,), np.uint8), np.int64([300])),
  ],
)
def test_observations_out_of_their_space_are_named(space, observation):
  environment = gymnasium_adapter.GymnasiumEnvironment(
    Shows(spaces.Dict(x=space), {'x': observation})
  )
  with pytest.raises(ValueError, match=r"^observation\['x'\] of Shows must be"):
    environment.reset()


def test_render_and_close():
  clock = Clock(render_mode='rgb_array')
  environment = gymnasium_adapter.GymnasiumEnvironment(clock)
  environment.reset()
  environment.step(0)
  np.testing.assert_array_equal(environment.render(), np.ones((2, 2, 3)))
  environment.close()
  assert clock.closed
  with pytest.raises(ValueError, match='render_mode=rgb_array'):
    _adapt().render()


def test_missing_packages_for_rendering_are_named(monkeypatch):
  def render(self):
    raise gymnasium.error.DependencyNotInstalled('pip install brush')

  monkeypatch.setattr(Clock, 'render', render)
  environment = _adapt(render_mode='rgb_array')
  with pytest.raises(
    ValueError, match='Clock cannot render: pip install brush'
  ):
    environment.render()
  with pytest.raises(ValueError, match='create it with'):
    _adapt().render()  # Not even asked: some warn of it at every step.


class OldStep(Clock):
  def step(self, action):
    return self._look(), 1.0, False, {}


class OldReset(Clock):
  def reset(self):
    self._time = 0
    return self._look()


class OldPair(Clock):
  """An observation of two parts, which looks like one and an info."""

  def reset(self, *, seed=None, options=None):
    self._time = 0
    return self._look(), self._look()


@pytest.mark.parametrize('kind', [OldStep, OldReset, OldPair])
@pytest.mark.parametrize('registered', [False, True])
def test_the_old_api_is_rejected(kind, registered):
  if registered:  # Gymnasium's own wrappers complain before the adapter can.
    gymnasium.register('AldOld-v0', entry_point=kind, max_episode_steps=9)
    environment = gymnasium_adapter.make('AldOld-v0', 0)
    del gymnasium.registry['AldOld-v0']
  else:
    environment = gymnasium_adapter.GymnasiumEnvironment(kind())
  message = f'(Old|{kind.__name__}).* the old Gym API .*pip install shimmy'
  with pytest.raises(ValueError, match=message):
    environment.reset()
    environment.step(0)


@pytest.mark.parametrize(
  'dtype, seen, message',
  [
    (np.int8, np.array([300]), 'int8, -128 to 127, but received 300'),
    (np.uint8, np.array([-1]), 'uint8, 0 to 255, but received -1'),
    (np.int32, np.array([2**40]), 'but received 1099511627776'),
    (np.int8, np.array([0.5]), 'int8, but received float64'),
    (np.float32, np.array([True]), None),
    (np.uint8, np.array([255]), None),
  ],
)
def test_integers_that_do_not_fit_are_named(dtype, seen, message):
  space = spaces.Box(0, 100, (1,), dtype)
  environment = gymnasium_adapter.GymnasiumEnvironment(Shows(space, seen))
  if message is None:
    assert environment.reset().observation.dtype == dtype
    return
  with pytest.raises(
    ValueError, match=f'observation of Shows must be.*{message}'
  ):
    environment.reset()


# --- What learning makes of the ends.


@pytest.mark.parametrize('kwargs', [{'end': 3}, {'limit': 3}, {'limit': 4}])
def test_learning_bootstraps_only_at_truncations(kwargs):
  """V-trace on-policy against the discounted sum of each episode's rewards."""
  length, gamma = 11, 0.5
  unrolls = []

  class Writer:
    def write(self, step, select):
      unrolls.append(step)
      return True

  environment = stacking.Stacked([_adapt(**kwargs)])
  adder = unroll_adder.UnrollAdder(Writer(), length, store_state=False)
  adder.add_first(environment.reset())
  action, logits = np.zeros(1, np.int32), np.zeros((1, 3), np.float32)
  for _ in range(length):
    adder.add(action, environment.step(action), unroll_adder.Extras(logits))
  (unroll,) = unrolls
  values = np.random.RandomState(0).randn(length + 1, 1).astype(np.float32)
  targets = vtrace.vtrace(
    values=values,
    rewards=unroll.reward,
    discounts=gamma * unroll.discount,
    log_rhos=np.zeros((length, 1), np.float32),
    mask=~unroll.is_last,
  ).values.numpy()[:, 0]

  (steps,) = kwargs.values()  # Of an episode; then one begins another.
  for t in range(length):
    played = t % (steps + 1)
    if played == steps:
      continue  # The last step of an episode has no target.
    last = t - played + steps
    stop = min(last, length)
    expected = sum(gamma**k * (10 + played + 1 + k) for k in range(stop - t))
    if stop < last or 'limit' in kwargs:
      expected += gamma ** (stop - t) * values[stop, 0]
    np.testing.assert_allclose(targets[t], expected, rtol=1e-5)


# --- By name.


@pytest.fixture
def clock_id():
  gymnasium.register('AldClock-v0', entry_point=Clock)
  yield 'AldClock-v0'
  del gymnasium.registry['AldClock-v0']


def test_by_name(clock_id):
  made = registry.make(f'gymnasium:{clock_id}', {'end': 2}, 3, seed=5)
  assert isinstance(made, stacking.Stacked)
  assert made.batch_size == 3
  np.testing.assert_array_equal(made.reset().observation, np.zeros((3, 1)))
  made.step(np.array([0, 1, 2]))
  step = made.step(np.array([0, 1, 2]))
  np.testing.assert_array_equal(step.step_type, [LAST] * 3)
  np.testing.assert_array_equal(step.discount, [0] * 3)
  registry.check(f'gymnasium:{clock_id}', {'end': 2, 'trial_episodes': 2})


def test_by_name_seeds_differ():
  name = 'gymnasium:CartPole-v1'
  one, other = (registry.make(name, {}, 3, seed).reset() for seed in (5, 6))
  assert len(np.unique(one.observation, axis=0)) == 3
  assert not np.isin(one.observation, other.observation).any()


@pytest.mark.parametrize(
  'arguments, message',
  [
    (
      {'ends': 2},
      "has no argument 'ends'; it has end, limit, .*, trial_episodes",
    ),
    ({'seed': 2}, 'must not set seed'),
  ],
)
def test_wrong_arguments_are_named(clock_id, arguments, message):
  with pytest.raises(ValueError, match=message):
    registry.make(f'gymnasium:{clock_id}', arguments, 1, seed=0)


def test_unknown_ids_are_named():
  with pytest.raises(
    ValueError, match="'gymnasium:NoSuch-v0' cannot be created"
  ):
    registry.check('gymnasium:NoSuch-v0', {})


@pytest.mark.parametrize(
  'name, module, package, cure',
  [
    ('gymnasium:CartPole-v1', 'gymnasium_adapter', 'gymnasium', '"gymnasium>='),
    (
      'classic_control:Pendulum-v1',
      'classic_control',
      'gymnasium',
      '"gymnasium>=',
    ),
    (
      'minigrid:MiniGrid-Empty-8x8-v0',
      'minigrid_adapter',
      'minigrid.core',
      '-c requirements.txt "minigrid>=',
    ),
  ],
)
def test_without_the_package(monkeypatch, name, module, package, cure):
  adapters = sys.modules[gymnasium_adapter.__package__]
  monkeypatch.delitem(sys.modules, f'{adapters.__name__}.{module}', False)
  monkeypatch.delattr(adapters, module, False)
  monkeypatch.setitem(sys.modules, package, None)
  with pytest.raises(ValueError, match=f'pip install {cure}') as error:
    registry.check(name, {})
  prefix = name.partition(':')[0]
  assert str(error.value).startswith(f'environment "{prefix}:..." needs a')
  assert '\n' not in str(error.value)

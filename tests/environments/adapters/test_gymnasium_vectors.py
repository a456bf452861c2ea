"""Vector environments match the same environments stepped one by one."""

import dm_env
import gymnasium
from gymnasium import spaces
from gymnasium import vector
import numpy as np
import pytest
import tree

from ald_acme.environments import registry
from ald_acme.environments import testing
from ald_acme.environments.adapters import gymnasium_vectors
from ald_acme.environments.batches import checked
from ald_acme.environments.batches import members
from ald_acme.environments.interface import actions
from ald_acme.environments.interface import contract
from ald_acme.environments.interface import masks

LAST = int(dm_env.StepType.LAST)
MODES = list(vector.AutoresetMode)


class Walk(gymnasium.Env):
  """Left, on or right of a line that ends at 3; cut off after some steps.

  What it does depends on its actions and the seed of its first reset alone.
  """

  observation_space = spaces.Dict(
    at=spaces.Box(-3, 3, (1,), np.float32),
    side=spaces.Discrete(3, start=-1),
    left=spaces.Tuple((spaces.Box(0, 9, (), np.int64),)),
  )
  action_space = spaces.Discrete(3, start=-1)

  def reset(self, *, seed=None, options=None):
    if seed is not None:
      self._limit = 3 + seed % 5
    self._at = self._time = 0
    return self._see(), self._info()

  def step(self, action):
    assert self._info()['legal'][action + 1], 'an illegal action'
    self._at += action
    self._time += 1
    ends, cut = abs(self._at) == 3, self._time == self._limit
    return self._see(), self._at + 0.5, ends, cut, self._info()

  def _see(self):
    return {
      'at': np.array([self._at], np.float32),
      'side': int(np.sign(self._at)),
      'left': (np.array(self._limit - self._time),),
    }

  def _info(self):
    """The only way out is on the right; there is a rest at every other step."""
    return {'legal': np.array([self._at > -2, self._time % 2 == 0, True])}


class Pair(gymnasium.Env):
  """Multi-discrete actions with a tuple of masks; episodes of two steps."""

  observation_space = spaces.Box(0, 2, (1,), np.float32)
  action_space = spaces.MultiDiscrete([2, 3])

  def reset(self, *, seed=None, options=None):
    self._time = 0
    return np.zeros(1, np.float32), self._info()

  def step(self, action):
    assert action.tolist() == [1, self._time], 'an illegal action'
    self._time += 1
    info = self._info()
    return np.float32([self._time]), 1.0, self._time == 2, False, info

  def _info(self):
    return {'legal': (np.array([0, 1]), np.arange(3) == self._time)}


gymnasium.register('Walk-v0', entry_point=Walk)
gymnasium.register('Pair-v0', entry_point=Pair)


def _vector(mode, size=4, **kwargs):
  arguments = {
    'action_mask': 'legal',
    'vector_kwargs': {'autoreset_mode': mode.value},
    **kwargs,
  }
  return registry.make('gymnasium_vec:Walk-v0', arguments, size, seed=5)


def _in_turn(size=4):
  arguments = {'action_mask': 'legal'}
  return registry.make('gymnasium:Walk-v0', arguments, size, seed=5)


def _assert_same(made, expected):
  """But for the masks of last steps, at which nothing is decided."""
  last = expected.step_type == LAST
  masks_there = [x.observation['legal'] for x in (made, expected)]
  for mask in masks_there:
    mask[last] = True
  tree.map_structure(np.testing.assert_array_equal, made, expected)
  for x, y in zip(tree.flatten(made), tree.flatten(expected)):
    assert x.dtype == y.dtype


@pytest.mark.parametrize('mode', MODES)
@pytest.mark.parametrize('cut_at', [None, 10])
def test_steps_match_single_environments(mode, cut_at):
  made, expected = _vector(mode), _in_turn()
  assert made.action_spec() == expected.action_spec()
  assert made.observation_spec() == expected.observation_spec()
  rng = np.random.default_rng(0)
  step = expected.reset()
  _assert_same(made.reset(), step)
  ended = np.zeros(4, int)
  for t in range(60):
    if t == cut_at:  # In the middle of some episodes, at the end of none.
      which = (step.step_type != LAST) & np.array([True, False, True, False])
      assert which.any() and made.restart(which) and expected.restart(which)
    noise = rng.random((4, 3)) * step.observation['legal']
    action = np.argmax(noise, axis=-1).astype(np.int32)
    step = expected.step(action)
    # After the end of an episode any action will do.
    action[step.step_type == dm_env.StepType.FIRST] = rng.integers(3)
    _assert_same(made.step(action), step)
    ended += step.step_type == LAST
  assert (ended > 4).all()
  # A reset begins everywhere, at any time.
  _assert_same(made.reset(), expected.reset())


def test_terminations_and_truncations():
  """So that the test above tells a termination from a truncation."""
  environment, discounts = _in_turn(), set()
  environment.reset()
  for t in range(40):  # Some go to the right, others back and forth.
    action = np.where([True, True, False, False], 2, 2 - 2 * (t % 2))
    step = environment.step(action)
    discounts |= set(step.discount[step.step_type == LAST])
  assert discounts == {0.0, 1.0}


def test_in_processes():
  made = _vector(MODES[0], 2, vectorization_mode='async')
  expected = _in_turn(2)
  _assert_same(made.reset(), expected.reset())
  for _ in range(9):
    action = np.full(2, 2, np.int32)
    _assert_same(made.step(action), expected.step(action))
  made.close()


def test_seeds_match_single_environments():
  sync = {'vectorization_mode': 'sync'}
  made = registry.make('gymnasium_vec:CartPole-v1', sync, 3, seed=4)
  expected = registry.make('gymnasium:CartPole-v1', {}, 3, seed=4)
  steps = [
    (x.reset(), *(x.step(np.ones(3, int)) for _ in range(40)))
    for x in (made, expected)
  ]
  tree.map_structure(np.testing.assert_array_equal, *steps)


@pytest.mark.parametrize('mode', MODES)
def test_masks_of_several_integers(mode):
  arguments = {
    'action_mask': 'legal',
    'vector_kwargs': {'autoreset_mode': mode.value},
  }
  registry.check('gymnasium_vec:Pair-v0', arguments)
  made = registry.make('gymnasium_vec:Pair-v0', arguments, 2, seed=0)
  spec, step = made.observation_spec(), made.reset()
  for _ in range(9):
    action = masks.lowest(made.action_spec(), spec, step.observation)
    step = made.step(action)  # The environment refuses others.


class TestCartPole(testing.ConformanceTestMixin):
  """Gymnasium's own vector of one kind of environment."""

  def make_object_under_test(self):
    return registry.make('gymnasium_vec:CartPole-v1', {}, 3, seed=0)

  def test_native_vectors_are_used(self):
    made = gymnasium_vectors.make('CartPole-v1', 3, seed=0)
    assert type(made._vector).__name__ == 'CartPoleVectorEnv'
    assert not made.restart(np.ones(3, bool))  # It has no reset of some.


class TestSameStep(testing.ConformanceTestMixin):
  steps = 60

  def make_object_under_test(self):
    return _vector(vector.AutoresetMode.SAME_STEP)


class TestDisabled(testing.ConformanceTestMixin):
  steps = 60

  def make_object_under_test(self):
    return _vector(vector.AutoresetMode.DISABLED)


class Tampered(vector.VectorWrapper):
  """Changes what a vector answers."""

  def __init__(self, mode, change, step=2):
    made = vector.SyncVectorEnv([Walk, Walk, Walk], autoreset_mode=mode)
    super().__init__(made)
    self._change, self._left = change, step

  def step(self, action):
    *answer, infos = super().step(action)
    self._left -= 1
    if not self._left:
      self._change(infos)
    return *answer, infos


def _play(tampered, steps=12, **kwargs):
  made = gymnasium_vectors.VectorEnvironment(
    tampered, 3, 'legal', 'Walk', **kwargs
  )
  environment = checked.Checked(made, 'Walk')
  environment.reset()
  for t in range(steps):  # Some go to the right, another back and forth.
    environment.step(np.where([True, True, False], 2, 2 - 2 * (t % 2)))


def _set(infos, row, value):
  infos['legal'][row] = value


@pytest.mark.parametrize('mode', MODES)
@pytest.mark.parametrize(
  'change, message',
  [
    (lambda x: x.pop('legal'), r"step 2: infos must hold .*'legal'.* number 0"),
    (
      lambda x: x['_legal'].__setitem__(1, False),
      r"step 2: infos must hold .*'legal'.* number 1 has none",
    ),
    (
      lambda x: x.__setitem__('legal', np.ones((3, 4), bool)),
      r"step 2: infos\['legal'\] must be 3 bool.*bool of shape \(4,\) in env",
    ),
    (
      lambda x: x.__setitem__('legal', np.ones((3, 3))),
      r"step 2: infos\['legal'\] must be 3 bool.* float64 of shape \(3,\)",
    ),
    (
      lambda x: _set(x, 1, False),
      'number 1, step 2: the action mask must leave a legal action',
    ),
  ],
)
def test_wrong_masks_name_the_environment_and_the_step(mode, change, message):
  with pytest.raises(contract.Breach, match=f'^Walk, ?{message}'):
    _play(Tampered(mode, change))


def test_a_vector_without_final_observations_is_rejected():
  def forget(infos):
    infos.pop('final_obs')

  mode = vector.AutoresetMode.SAME_STEP
  with pytest.raises(contract.Breach, match=r"SameStep.* infos\['final_obs'\]"):
    _play(Tampered(mode, forget, step=3))


class Deaf(vector.VectorWrapper):
  """Resets all environments, whichever it is told."""

  def reset(self, *, seed=None, options=None):
    return super().reset(seed=seed)


@pytest.mark.parametrize('mode', MODES[1:])
def test_a_vector_without_partial_resets_is_rejected(mode):
  deaf = Deaf(vector.SyncVectorEnv([Walk, Walk, Walk], autoreset_mode=mode))
  with pytest.raises(contract.Breach, match='leave the other environments'):
    _play(deaf)


def test_a_vector_without_an_autoreset_mode_is_rejected():
  class Silent(vector.VectorEnv):
    metadata = {}  # noqa: RUF012
    num_envs = 2

  with pytest.raises(
    ValueError, match=r"'autoreset_mode'.* must be one of Nex"
  ):
    gymnasium_vectors.VectorEnvironment(Silent())


def test_errors_name_the_environment_and_the_step():
  environment = registry.make(
    'gymnasium_vec:Walk-v0', {'action_mask': 'legal'}, 2, seed=0
  )
  environment.reset()
  with pytest.raises(
    members.Failure,
    match=r"^environment 'gymnasium_vec:Walk-v0', step 1: step raised IndexErr",
  ):
    environment.step(np.array([1, 7], np.int32))


@pytest.mark.parametrize(
  'name, arguments, message',
  [
    (
      'gymnasium_vec:CartPole-v1',
      {'steps': 5},
      "no argument 'steps'; it has .*vectorization_mode, .*, trial_episodes",
    ),
    ('gymnasium_vec:CartPole-v1', {'workers': 2}, "no argument 'workers'"),
    ('gymnasium_vec:CartPole-v1', {'batch_size': 2}, 'must not set batch_size'),
    ('gymnasium_vec:NoSuch-v1', {}, 'try gymnasium_vec:package:NoSuch-v1'),
    ('gymnasium_vec:CartPole-v1', {'action_mask': 'x'}, None),
    ('gymnasium_vec:Pendulum-v1', {'action_mask': 'x'}, 'discrete actions'),
  ],
)
def test_misuse(name, arguments, message):
  if message is None:
    made = registry.make(name, arguments, 2, seed=0)
    message = "infos must hold .*'x', which the observation does not"
    with pytest.raises(contract.Breach, match=message):
      made.reset()
    return
  with pytest.raises(ValueError, match=message):
    registry.make(name, arguments, 2, seed=0)


def test_solved_return_is_that_of_the_environment():
  assert registry.solved_return('gymnasium_vec:CartPole-v1', {}) == 475


def test_pictures():
  arguments = {'render_mode': 'rgb_array', 'vectorization_mode': 'sync'}
  pytest.importorskip('pygame')
  made = registry.make('gymnasium_vec:CartPole-v1', arguments, 2, seed=0)
  made.reset()
  assert made.render(1).shape == (400, 600, 3)


def test_continuous_actions_learn_of_their_truncation():
  made = registry.make(
    'gymnasium_vec:Pendulum-v1', {'max_episode_steps': 3}, 2, seed=0
  )
  rng = np.random.default_rng(0)
  made.reset()
  steps = [
    made.step(actions.uniform(made.action_spec(), 2, rng)) for _ in range(4)
  ]
  assert [x.step_type.tolist() for x in steps] == [
    [1, 1],
    [1, 1],
    [2, 2],
    [0, 0],
  ]
  assert [x.discount.tolist() for x in steps] == [[1, 1]] * 4

"""Action masks: illegal actions are never taken."""

import pickle

import acme
from acme import specs
import dm_env
import gymnasium
from gymnasium import spaces
import numpy as np
import pytest

from ald_acme.environments import registry
from ald_acme.environments import testing
from ald_acme.environments.adapters import gymnasium_adapter
from ald_acme.environments.batches import members
from ald_acme.environments.batches import stacking
from ald_acme.environments.interface import masks

HERE = __name__


class Board(dm_env.Environment):
  """Five steps; at step t action t alone is legal, at the end none is."""

  def __init__(self, stuck_at: int | None = None):
    self._stuck_at = stuck_at

  def reset(self):
    self._time = 0
    return dm_env.restart(self._see())

  def step(self, action):
    assert action == self._time, 'an illegal action'
    self._time += 1
    end = self._time == 5
    return (dm_env.termination if end else dm_env.transition)(1.0, self._see())

  def _see(self):
    legal = np.arange(5) == self._time
    if self._time == self._stuck_at:
      legal[:] = False
    return {'sight': np.zeros(2, np.float32), 'legal': legal.astype(np.int8)}

  def observation_spec(self):
    return {
      'sight': specs.Array((2,), np.float32),
      'legal': specs.BoundedArray((5,), np.int8, 0, 1),
    }

  def action_spec(self):
    return specs.DiscreteArray(5)


class Game(gymnasium.Env):
  """As `Board`, with two integers whose masks are in `info`."""

  observation_space = spaces.Box(-1, 1, (2,), np.float32)
  action_space = spaces.MultiDiscrete([5, 2])

  def reset(self, *, seed=None, options=None):
    self._time = 0
    return np.zeros(2, np.float32), self._info()

  def step(self, action):
    assert action.tolist() == [self._time, 1], 'an illegal action'
    self._time += 1
    end = self._time == 5
    return np.zeros(2, np.float32), 1.0, end, False, self._info()

  def _info(self):
    return {'action_mask': (np.arange(5) == self._time, np.array([0, 1]))}


gymnasium.register('Game-v0', entry_point=Game)


def _play(environment, network, steps=12):
  """Acts with a policy; what it decided, in order."""
  from ald_acme.acting import policies

  spec = environment.observation_spec()
  policy = policies.BatchedPolicy(network, spec, environment.batch_size, seed=0)
  decisions, timestep = [], environment.reset()
  for _ in range(steps):
    decisions.append(policy.step(policy.inputs(timestep)))
    timestep = environment.step(decisions[-1].action)
  return decisions


def _networks(environment):
  from agents.ald import networks
  from ald_acme.networks import sizes

  spec = acme.make_environment_spec(environment)
  return networks.make_default_networks(spec, sizes.PRESETS['tiny'])


@pytest.mark.parametrize('policy', ['actor', 'learner'])
@pytest.mark.parametrize(
  'name, arguments',
  [
    (f'{HERE}:Board', {'action_mask': 'legal'}),
    (f'{HERE}:Board', {'action_mask': 'legal', 'trial_episodes': 2}),
    ('gymnasium:Game-v0', {'action_mask': 'action_mask'}),
  ],
)
def test_only_legal_actions_are_taken(name, arguments, policy):
  registry.check(name, arguments)
  environment = registry.make(name, arguments, 3, seed=0)
  # Both environments refuse illegal actions, but in the step that resets.
  decisions = _play(environment, getattr(_networks(environment), policy))
  assert all(np.isfinite(d.policy).all() for d in decisions)


def test_without_the_setting_all_actions_are_legal():
  environment = stacking.Stacked([Board()])
  assert masks.find(environment.observation_spec()) is None
  with pytest.raises(members.Failure, match='an illegal action'):
    _play(environment, _networks(environment).actor, steps=30)


def test_no_legal_action_is_an_error_with_its_place():
  made = [masks.Masked(Board(at), 'legal', 'Board') for at in (None, 3)]
  environment = stacking.Stacked(made)
  environment.reset()
  with pytest.raises(
    ValueError,
    match=r'Masked, number 1, step 3: .* all 5 values of integer 0 .* illegal',
  ):
    for t in range(4):
      environment.step(np.array([t, t]))


@pytest.mark.parametrize(
  'key, spec, message',
  [
    ('mask', None, "'mask' must name an entry.* Board, which has sight, legal"),
    ('legal', specs.Array((4,), bool), r'must be 5 booleans .*shape=\(4,\)'),
    ('legal', specs.Array((5,), np.float32), 'must be 5 booleans .*float32'),
  ],
)
def test_other_masks_are_refused(key, spec, message):
  board = Board()
  if spec is not None:
    board.observation_spec = lambda: {'legal': spec}
  with pytest.raises(ValueError, match=message):
    masks.Masked(board, key, 'Board')


def test_masks_of_continuous_actions_are_refused():
  board = Board()
  board.action_spec = lambda: specs.BoundedArray((2,), np.float32, 0, 1)
  with pytest.raises(ValueError, match='needs discrete actions'):
    masks.Masked(board, 'legal', 'Board')


def test_the_error_names_the_entries_of_the_observation():
  game = Game()
  game.observation_space = spaces.Dict({'board': Game.observation_space})
  wrapped = gymnasium_adapter.wrap(game, action_mask='bord')
  with pytest.raises(ValueError, match=r'which has board, .* has action_mask'):
    wrapped.reset()


class TestMaskInInfo(testing.ConformanceTestMixin):
  """`Game` refuses illegal actions."""

  def make_object_under_test(self):
    return gymnasium_adapter.wrap(Game(), seed=0, action_mask='action_mask')


@pytest.mark.parametrize(
  'info, message',
  [
    ({}, "'action_mask' .* observation, which has .*, or of info, .* none"),
    ({'action_mask': [1] * 6}, 'be 7 bool'),
  ],
)
def test_info_without_a_proper_mask_is_refused(info, message):
  game = Game()
  game._info = lambda: info
  environment = gymnasium_adapter._MaskObservation(game, 'action_mask')
  with pytest.raises(ValueError, match=message):
    environment.reset()


def test_spec_of_a_mask_survives_pickling():
  spec = pickle.loads(pickle.dumps(masks.MaskSpec(4, 'legal')))
  assert type(spec) is masks.MaskSpec
  assert spec.shape == (4,)
  assert masks.find({'a': [specs.Array((2,), bool), spec]}) == ('a', 1)

"""Every agent acts, learns, is recorded and exported with every action spec."""

import acme
from acme.utils import counting
import dm_env
from dm_env import specs
import numpy as np
import pytest
import tensorflow as tf
import tree

from agents import catalogue
from agents.actor_critic import acting
from ald_acme.acting import evaluation
from ald_acme.acting import films
from ald_acme.acting import policies
from ald_acme.acting import recording
from ald_acme.deployment import act
from ald_acme.deployment import agreement
from ald_acme.deployment import exporting
from ald_acme.deployment import step as steps
from ald_acme.environments import registry
from ald_acme.environments import testing
from ald_acme.environments.interface import actions
from ald_acme.environments.tasks import experts
from ald_acme.networks import sizes
from ald_acme.replay import local

HERE = __name__
_BOX = specs.BoundedArray((2,), np.float32, [-2, 0], [2, 5], name='box')
_INTEGERS = specs.BoundedArray((2,), np.int32, [0, -1], [2, 0], name='integers')
SPECS = {
  'discrete': specs.DiscreteArray(3, name='one'),
  'multi_discrete': _INTEGERS,
  'continuous': _BOX,
  'both': {'arm': _BOX, 'hand': specs.DiscreteArray(3, name='hand')},
  'masked': {'arm': _BOX, 'hand': _INTEGERS},
}
_FLAGS = 5  # Of the mask: 3 and 2 values.
_LENGTH = 4


class Toy(dm_env.Environment):
  """Episodes of a fixed length; refuses actions that are not of the spec."""

  def __init__(self, kind, seed=0):
    self._spec, self._masked = SPECS[kind], kind == 'masked'
    self._rng = np.random.default_rng(seed)
    self._time = 0

  def reset(self):
    self._time = 0
    return dm_env.restart(self._see())

  def step(self, action):
    actions.validate(self._spec, action)
    if self._masked:
      first, second = action['hand'] - _INTEGERS.minimum
      assert self._legal[first] and self._legal[3 + second], 'illegal'
    self._time += 1
    end = self._time == _LENGTH
    make = dm_env.termination if end else dm_env.transition
    return make(float(self._rng.random()), self._see())

  def _see(self):
    self._legal = np.array([self._time == 2, 1, 0, 1, 1 - self._time % 2], bool)
    seen = {'sight': self._rng.normal(size=2).astype(np.float32)}
    return {**seen, 'legal': self._legal} if self._masked else seen

  def observation_spec(self):
    seen = {'sight': specs.Array((2,), np.float32)}
    if self._masked:
      seen['legal'] = specs.BoundedArray((_FLAGS,), bool, False, True)
    return seen

  def action_spec(self):
    return self._spec


def _make(kind, batch_size, **arguments):
  arguments['kind'] = kind
  if kind == 'masked':
    arguments['action_mask'] = 'legal'
  return registry.make(f'{HERE}:Toy', arguments, batch_size, seed=1)


@pytest.fixture
def eager():
  """To trace the functions of so many agents would take minutes."""
  tf.config.run_functions_eagerly(True)
  yield
  tf.config.run_functions_eagerly(False)


@pytest.mark.parametrize('kind', SPECS)
@pytest.mark.parametrize('agent', catalogue.NAMES)
def test_an_agent_with_an_action_spec(agent, kind, eager, tmp_path):
  config = catalogue.config_class(agent)(
    networks=sizes.PRESETS['tiny'],
    envs_per_actor=2,
    unroll_length=5,
    learner_reuse=1.0,
  )
  builder = catalogue.make_builder(agent, config)
  environment = _make(kind, 2, trial_episodes=2)
  networks = builder.make_networks(acme.make_environment_spec(environment))
  before = [np.array(v) for v in networks.actor.trainable_variables]
  counts, (after,) = _learn(builder, networks, environment)
  assert counts['learner_updates'] > 0 and counts['episodes'] > 0
  assert any((x != y).any() for x, y in zip(before, after))
  assert all(np.isfinite(x).all() for x in after)
  for variable, learned in zip(networks.actor.trainable_variables, after):
    variable.assign(learned)

  # A recording can be drawn, and an export matches the policy.
  single = _make(kind, 1, trial_episodes=2)
  episode = recording.record(single, networks.actor, seed=0)
  assert episode.length == 2 * _LENGTH + 1
  if agent == 'lstm':  # A drawing is of an action spec, not of an agent.
    films.write(episode, str(tmp_path / 'episode.gif'))
  spec = acme.make_environment_spec(single)
  step, folder = steps.Step(networks.actor, spec), str(tmp_path / 'export')
  (tmp_path / 'export').mkdir()
  if agent in ('gtrxl', 'memoryless'):
    with pytest.raises(ValueError, match='numpy holds an LSTM alone'):
      exporting.export(step, 'numpy', folder, {})
    return
  exporting.export(step, 'numpy', folder, {})
  policy = act.load(folder, deterministic=True)
  assert agreement.largest_difference(policy, step, [episode]) < 1e-5
  _act(policy, step.observations, _make(kind, 1, trial_episodes=2))


def _learn(builder, networks, environment):
  """Acts for three unrolls and learns; counts and what actors would pull."""
  counter = counting.Counter()
  replay = local.LocalReplay(builder.tables(), builder.seed_of(3))
  learner = builder.make_learner(
    networks, builder.make_dataset_iterator(replay), counter
  )
  turns = builder.make_turns(networks, replay, learner, counter)
  adder = builder.make_adder(replay)
  actor = builder.make_actor(networks.actor, adder, turns.source)
  loop = acting.UnrollLoop(environment, actor, adder, 5, counter)
  for _ in range(3):
    loop.step()
    turns.before_learning()
    updates = 0
    while replay.can_sample(builder.learner_table, 1):
      learner.step()
      updates += 1
    turns.after_learning(updates)
  return counter.get_counts(), turns.source.get_variables(['actor'])


def _act(policy, names, environment):
  """An episode of a deterministic export; the environment checks actions."""
  timestep = environment.reset()
  while timestep.step_type[0] != dm_env.StepType.LAST:
    leaves = [x[0] for x in tree.flatten(timestep.observation)]
    observation = dict(zip(names, leaves))
    first = timestep.step_type[0] == dm_env.StepType.FIRST
    action = policy.act(observation, timestep.reward[0], bool(first))
    timestep = environment.step(
      tree.map_structure(lambda x: np.asarray(x)[np.newaxis], action)
    )


@pytest.mark.parametrize('kind', SPECS)
class TestContract(testing.ConformanceTestMixin):
  """Random actions are legal, in the contract of environments too."""

  steps = 40

  @pytest.fixture(autouse=True)
  def _kind(self, kind):
    self.kind = kind

  def make_object_under_test(self):
    return _make(self.kind, 3, trial_episodes=2)


@pytest.mark.parametrize('kind', SPECS)
def test_agents_without_a_network(kind):
  environment = _make(kind, 3)
  agent = experts.RandomAgent(
    environment.action_spec(), observation_spec=environment.observation_spec()
  )
  assert 0 < experts.mean_return(environment, agent, episodes=2) < _LENGTH


def test_evaluations_take_the_mode_if_deterministic():
  environment = _make('both', 2)
  config = catalogue.config_class('lstm')(networks=sizes.PRESETS['tiny'])
  networks = catalogue.make_builder('lstm', config).make_networks(
    acme.make_environment_spec(environment)
  )
  spec = environment.observation_spec()
  played = [
    evaluation.play(
      _make('both', 2),
      policies.BatchedPolicy(networks.actor, spec, 2, seed, deterministic=True),
    )
    for seed in (0, 1)
  ]
  np.testing.assert_array_equal(played[0].returns, played[1].returns)

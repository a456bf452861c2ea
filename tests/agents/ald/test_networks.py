"""The default networks, at both presets."""

import acme
import pytest
import tensorflow as tf

from agents.ald import agent
from agents.ald import builder
from agents.ald import config as ald_config
from agents.ald import networks
from ald_acme import types
from ald_acme.environments.tasks import i_maze
from ald_acme.networks import sizes


@pytest.mark.parametrize(
  'preset,state_shape,at_least,at_most',
  [
    ('small', (2, 2, 64, 64), 150_000, 200_000),
    ('paper', (2, 4, 512, 256), 4_000_000, 8_000_000),
  ],
)
def test_presets(preset, state_shape, at_least, at_most):
  environment = i_maze.BatchedIMaze(2)
  spec = acme.make_environment_spec(environment)
  made = networks.make_default_networks(spec, sizes.PRESETS[preset])
  size = sum(v.shape.num_elements() for v in made.learner.trainable_variables)
  assert at_least <= size <= at_most
  state = made.learner.initial_state(2)
  assert state.memory.shape == state_shape
  observation = environment.reset().observation
  inputs = types.Inputs(
    observation=tf.stack([observation] * 3),
    action=tf.zeros([3, 2], tf.int32),
    reward=tf.zeros([3, 2]),
    start_of_episode=tf.zeros([3, 2], tf.bool),
  )
  for network in (made.actor, made.learner):
    outputs, _ = network.unroll(inputs, network.initial_state(2))
    assert outputs.policy.shape == (3, 2, spec.actions.num_values)
    assert outputs.value.shape == (3, 2)


def test_pairs_differ_by_seed():
  spec = acme.make_environment_spec(i_maze.BatchedIMaze(1))

  def weights(seed):
    tf.random.set_seed(seed)
    return networks.make_default_networks(spec).actor.trainable_variables[0]

  tf.debugging.assert_equal(weights(1), weights(1))
  assert not tf.reduce_all(weights(1) == weights(2))


def test_networks_without_features_are_refused():
  class Plain:
    def __init__(self, network):
      self.distribution = network.distribution
      self.trainable_variables = network.trainable_variables
      self.initial_state = network.initial_state
      self.unroll, self.__class__.__call__ = network.unroll, network.__call__
      self.rescale_value = network.rescale_value

  spec = acme.make_environment_spec(i_maze.BatchedIMaze(2))
  made = networks.make_default_networks(spec, sizes.PRESETS['tiny'])
  pair = networks.ALDNetworks

  def make(made, **fields):
    config = ald_config.ALDConfig(**fields)
    return builder.ALDBuilder(config, lambda spec: made).make_networks(spec)

  plain = pair(made.actor, Plain(made.learner))
  with pytest.raises(ValueError, match=r'learner must .*rate=0') as error:
    make(plain)
  assert 'Plain' in str(error.value)
  assert make(plain, feature_learning_rate=0.0) is plain
  with pytest.raises(ValueError, match='actor must'):
    make(pair(Plain(made.actor), made.learner))
  with pytest.raises(ValueError, match='learner must'):
    agent.ALD(spec, plain)

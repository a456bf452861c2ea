"""The baselines' networks: what acts is a part of what learns."""

from acme import specs
import numpy as np
import pytest
import tensorflow as tf
import tree

from agents.actor_critic import networks as own_networks
from ald_acme import types
from ald_acme.environments import i_maze
from ald_acme.networks import protocols
from ald_acme.networks import sizes

TINY = sizes.PRESETS['tiny']
T, B = 5, 3


@pytest.fixture(params=[*own_networks.KINDS, 'asymmetric'])
def networks(request):
  tf.random.set_seed(1)
  spec = specs.make_environment_spec(i_maze.BatchedIMaze(size=5))
  if request.param == 'asymmetric':
    return own_networks.make_asymmetric(spec, TINY)
  return own_networks.make_symmetric(request.param, spec, TINY)


def _inputs(seed=0):
  rng = np.random.RandomState(seed)
  return types.Inputs(
    observation=tf.constant(rng.rand(T, B, 3, 3, 6), tf.float32),
    action=tf.constant(rng.randint(4, size=(T, B)), tf.int32),
    reward=tf.constant(rng.randn(T, B), tf.float32),
    start_of_episode=tf.constant(rng.rand(T, B) < 0.3),
  )


def test_the_actor_with_the_learners_variables_is_its_policy(networks):
  learner, actor = networks.learner, networks.actor
  acting = own_networks.acting_variables(networks)
  assert [v.shape for v in acting] == [
    v.shape for v in actor.trainable_variables
  ]
  for variable in learner.trainable_variables:
    variable.assign_add(tf.random.normal(variable.shape))
  for own, theirs in zip(actor.trainable_variables, acting):
    own.assign(theirs)
  inputs = _inputs()
  ours, _ = actor.unroll(inputs, actor.initial_state(B))
  theirs, _ = learner.unroll(inputs, learner.initial_state(B))
  np.testing.assert_allclose(ours.policy, theirs.policy, atol=1e-5)


def test_they_have_what_parts_ask_for(networks):
  assert isinstance(networks.actor, protocols.Network)
  assert isinstance(networks.learner, protocols.LearnerNetwork)


def test_steps_and_unrolls_agree(networks):
  network, inputs = networks.learner, _inputs()
  whole, end = network.unroll(inputs, network.initial_state(B))
  state = network.initial_state(B)
  for t in range(T):
    step = tree.map_structure(lambda x, t=t: x[t], inputs)
    outputs, state = network(step, state)
    np.testing.assert_allclose(outputs.policy, whole.policy[t], atol=1e-5)
    np.testing.assert_allclose(outputs.value, whole.value[t], atol=1e-5)
  tree.map_structure(
    lambda x, y: np.testing.assert_allclose(x, y, atol=1e-5), state, end
  )


def test_an_asymmetric_value_is_not_the_policys():
  spec = specs.make_environment_spec(i_maze.BatchedIMaze(size=5))
  network = own_networks.make_asymmetric(spec, TINY).learner
  inputs, state = _inputs(), network.initial_state(B)
  before, _ = network.unroll(inputs, state)
  for variable in network.value.trainable_variables:
    variable.assign_add(tf.random.normal(variable.shape))
  after, _ = network.unroll(inputs, state)
  np.testing.assert_array_equal(before.policy, after.policy)
  assert not np.allclose(before.value, after.value)

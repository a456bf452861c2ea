"""The baselines' networks: the actor is a part of the learner."""

import copy
import dataclasses

from acme import specs
import numpy as np
import pytest
import tensorflow as tf

from agents.actor_critic import networks as own_networks
from ald_acme import types
from ald_acme.environments.tasks import i_maze
from ald_acme.networks import sizes
from ald_acme.networks import testing

TINY = sizes.PRESETS['tiny']
SPEC = specs.make_environment_spec(i_maze.BatchedIMaze(size=5))
T, B = 5, 3


def _make(kind):
  if kind == 'asymmetric':
    return own_networks.make_asymmetric(SPEC, TINY, seed=1)
  return own_networks.make_symmetric(kind, SPEC, TINY, seed=1)


@pytest.fixture(params=[*own_networks.CORES, 'asymmetric'])
def networks(request):
  return _make(request.param)


def _inputs(seed=0):
  rng = np.random.RandomState(seed)
  return types.Inputs(
    observation=tf.constant(rng.rand(T, B, 3, 3, 6), tf.float32),
    action=tf.constant(rng.randint(4, size=(T, B)), tf.int32),
    reward=tf.constant(rng.randn(T, B), tf.float32),
    start_of_episode=tf.constant(rng.rand(T, B) < 0.3),
  )


def test_the_actor_with_the_learners_variables_has_its_policy(networks):
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


class TestLearners(testing.NetworkTestMixin):
  @pytest.fixture(autouse=True, params=[*own_networks.CORES, 'asymmetric'])
  def _take(self, request):
    self._kind = request.param

  def make_object_under_test(self):
    return _make(self._kind).learner

  def environment_spec(self):
    return SPEC


@pytest.mark.parametrize('first', ['actor', 'learner'])
def test_initial_values_do_not_depend_on_order(first):
  made = own_networks.make_symmetric('lstm', SPEC, TINY, seed=3)
  others = own_networks.make_symmetric('lstm', SPEC, TINY, seed=3)
  getattr(made, first)
  for name in ('learner', 'actor'):
    for one, other in zip(
      getattr(made, name).variables, getattr(others, name).variables
    ):
      np.testing.assert_array_equal(one, other)


def test_cores_have_names():
  assert tuple(own_networks.CORES) == sizes.CORES


@pytest.mark.parametrize('field', ['actor_core', 'learner_core'])
def test_fixed_cores_cannot_be_chosen(field):
  chosen = dataclasses.replace(TINY, **{field: 'gru'})
  for make in (
    lambda: own_networks.make_symmetric('lstm', SPEC, chosen),
    lambda: own_networks.make_asymmetric(SPEC, chosen),
  ):
    with pytest.raises(ValueError, match=f"{field}='gru' has no effect.*ald"):
      make()


def test_unused_networks_are_not_created():
  def refuse():
    raise AssertionError('nothing uses this one')

  made = own_networks.LazyNetworks(lambda: _make('lstm').actor, refuse)
  assert made.actor is made.actor
  copied = copy.deepcopy(made)
  assert copied.actor is not made.actor
  with pytest.raises(AssertionError, match='nothing uses'):
    _ = copied.learner
  with pytest.raises(AttributeError, match='critic'):
    _ = made.critic


def test_asymmetric_value_and_policy_share_nothing():
  network = own_networks.make_asymmetric(SPEC, TINY).learner
  inputs, state = _inputs(), network.initial_state(B)
  before, _ = network.unroll(inputs, state)
  for variable in network.value.trainable_variables:
    variable.assign_add(tf.random.normal(variable.shape))
  after, _ = network.unroll(inputs, state)
  np.testing.assert_array_equal(before.policy, after.policy)
  assert not np.allclose(before.value, after.value)

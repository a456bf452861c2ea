"""The complete network, with each core and a nested observation."""

from typing import ClassVar

import acme
from dm_env import specs
import numpy as np
import pytest
import tensorflow as tf
import tree

from ald_acme import distributions
from ald_acme.networks import policy_value
from ald_acme.networks import testing
from ald_acme.networks import torsos

WIDTH, ACTIONS = 8, 4
SPEC = acme.specs.EnvironmentSpec(
  observations={
    'window': specs.BoundedArray((2, 2), np.uint8, 0, 2),
    'body': {'speed': specs.Array((3,), np.float32)},
    'clock': specs.Array((), np.float32),
    'legal': specs.BoundedArray((ACTIONS,), bool, False, True),
  },
  actions=specs.DiscreteArray(ACTIONS),
  rewards=specs.Array((), np.float32),
  discounts=specs.BoundedArray((), np.float32, 0.0, 1.0),
)
POLICY = distributions.from_spec(SPEC.actions)


@pytest.fixture
def make_network(make_core):
  def make(**kwargs):
    network = policy_value.PolicyValueNetwork(
      torsos.Torso(WIDTH, POLICY), make_core(), POLICY, **kwargs
    )
    policy_value.create_variables(network, SPEC.observations)
    return network

  return make


class _Case(testing.NetworkTestMixin):
  """Tests of the networks that the fixture makes."""

  kwargs: ClassVar = {}

  @pytest.fixture(autouse=True)
  def _take(self, make_network):
    self._make = make_network

  def make_object_under_test(self):
    return self._make(**self.kwargs)

  def environment_spec(self):
    return SPEC


class TestWhole(_Case):
  pass


class TestMasked(_Case):
  mask = ('legal',)
  kwargs: ClassVar = {'mask': mask}


class TestThatSeesAPart(_Case):
  observed = ('body/speed', 'window')
  kwargs: ClassVar = {'observed_entries': observed}


def _head(network):
  """Weights of the policy and, in the last column, of the value."""
  shape = WIDTH, ACTIONS + 1
  (weights,) = (v for v in network.variables if v.shape == shape)
  return weights


def test_value_and_policy_share_no_column(make_network):
  case = TestWhole()
  case._make = make_network
  network = case.network()
  with tf.GradientTape(persistent=True) as tape:
    outputs, _ = network.unroll(case.inputs(), case._state(network))
    parts = tf.reduce_sum(outputs.policy), tf.reduce_sum(outputs.value)
  columns = [
    np.abs(tape.gradient(part, _head(network))).max(0) > 0 for part in parts
  ]
  np.testing.assert_array_equal(columns[0], [True] * ACTIONS + [False])
  np.testing.assert_array_equal(columns[1], [False] * ACTIONS + [True])


def test_policy_starts_near_uniform(make_network):
  assert np.abs(_head(make_network())).max() < 0.05


def test_the_state_is_that_of_the_core(make_core, make_network):
  state = make_network().initial_state(3)
  tree.assert_same_structure(state, make_core().initial_state(3))


@pytest.mark.parametrize(
  'name, found_by',
  [
    ('mask', 'illegal_actions_are_never_chosen'),
    ('observed', 'unobserved_entries_make_no_difference'),
  ],
)
def test_network_mistakes_are_found(make_network, name, found_by):
  case = TestWhole()
  case._make = make_network  # Without a mask, and seeing everything.
  setattr(case, name, ('legal',) if name == 'mask' else ('window',))
  with pytest.raises(AssertionError):
    getattr(case, f'test_{found_by}')()

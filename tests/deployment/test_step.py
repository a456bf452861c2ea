"""The step as named tensors is the network's own step."""

import numpy as np
import pytest
import sonnet as snt
import tensorflow as tf
import tree

from ald_acme.deployment import step as steps
from ald_acme.networks import feedforward
from ald_acme.networks import policy_value
from ald_acme.networks import torsos

OBSERVATIONS = [
  'observation_indoors',
  'observation_picture',
  'observation_place_at',
  'observation_place_floor',
]


def test_names(step):
  assert step.observations == OBSERVATIONS
  assert list(step.inputs) == [
    *OBSERVATIONS,
    'previous_action',
    'previous_reward',
    'start_of_episode',
    'hidden',
    'cell',
  ]
  assert list(step.outputs) == ['policy', 'value', 'next_hidden', 'next_cell']


def test_manifest_describes_inputs_and_outputs(step):
  described = step.describe()
  tensors = {
    tensor['name']: (tensor['shape'], tensor['dtype'])
    for tensor in described['inputs'] + described['outputs']
  }
  assert tensors == {
    'observation_indoors': ([1, 1], 'bool'),
    'observation_picture': ([1, 2, 2, 3], 'uint8'),
    'observation_place_at': ([1, 3], 'float32'),
    'observation_place_floor': ([1], 'int64'),
    'previous_action': ([1], 'int32'),
    'previous_reward': ([1], 'float32'),
    'start_of_episode': ([1], 'bool'),
    'hidden': ([1, 6], 'float32'),
    'cell': ([1, 6], 'float32'),
    'policy': ([1, 3], 'float32'),
    'value': ([1], 'float32'),
    'next_hidden': ([1, 6], 'float32'),
    'next_cell': ([1, 6], 'float32'),
  }
  assert described['actions']['sizes'] == [3]


def test_the_function_is_pure(step, networks, episodes):
  """Earlier calls make no difference."""
  actor = networks[0].actor
  rng = np.random.default_rng(0)
  for t in (2, 0, 4, 2):
    inputs = tree.map_structure(lambda x, t=t: x[t], episodes[0].inputs)
    hidden, cell = rng.normal(size=(2, 1, 6)).astype(np.float32)
    expected, state = actor(
      tree.map_structure(tf.constant, inputs), snt.LSTMState(hidden, cell)
    )
    answer = step.function(
      **tree.map_structure(
        tf.constant, {**step.named(inputs), 'hidden': hidden, 'cell': cell}
      )
    )
    for name, wanted in (
      ('policy', expected.policy),
      ('value', expected.value),
      ('next_hidden', state.hidden),
      ('next_cell', state.cell),
    ):
      np.testing.assert_allclose(answer[name], wanted, atol=1e-6)
      assert answer[name].shape == step.outputs[name].shape


class _Counting(feedforward.Feedforward):
  """Its state is a count of steps."""

  def initial_state(self, batch_size, **kwargs):
    return tf.zeros([batch_size], tf.int32)


def test_other_states_are_rejected(networks):
  made, spec = networks
  actor = made.actor
  network = policy_value.PolicyValueNetwork(
    torsos.Torso(8, actor.distribution), _Counting(8), actor.distribution
  )
  policy_value.create_variables(network, spec.observations)
  with pytest.raises(ValueError, match=r"state is float32.*\['int32'\]"):
    steps.Step(network, spec)

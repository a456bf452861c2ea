"""The whole network, with either core and a nested observation."""

import copy

from dm_env import specs
import numpy as np
import pytest
import tensorflow as tf
import tree

from ald_acme import distributions
from ald_acme import types
from ald_acme.networks import policy_value
from ald_acme.networks import torsos

LENGTH, BATCH, WIDTH, ACTIONS = 9, 3, 8, 4
POLICY = distributions.from_spec(specs.DiscreteArray(ACTIONS))


def _inputs(seed=0, resets=0.25):
  rng = np.random.RandomState(seed)
  shape = LENGTH, BATCH
  inputs = types.Inputs(
    observation={
      'window': rng.randint(3, size=(*shape, 2, 2)).astype(np.uint8),
      'body': {'speed': rng.randn(*shape, 3).astype(np.float32)},
      'clock': rng.rand(*shape).astype(np.float32),
    },
    action=rng.randint(ACTIONS, size=shape).astype(np.int32),
    reward=rng.randn(*shape).astype(np.float32),
    start_of_episode=rng.rand(*shape) < resets,
  )
  return tree.map_structure(tf.constant, inputs)


def _at(nest, where):
  return tree.map_structure(lambda x: x[where], nest)


def _head(network):
  """Weights of the policy and, in the last column, of the value."""
  shape = WIDTH, ACTIONS + 1
  (weights,) = (v for v in network.variables if v.shape == shape)
  return weights


def _assert_close(answer, expected, atol=1e-5):
  tree.map_structure(
    lambda x, y: np.testing.assert_allclose(x, y, atol=atol), answer, expected
  )


@pytest.fixture
def make_network(make_core, randomise):
  def make(seed=0):
    network = policy_value.PolicyValueNetwork(
      torsos.Torso(WIDTH, POLICY), make_core(), POLICY
    )
    network.unroll(_inputs(), network.initial_state(BATCH))
    return randomise(network, seed)

  return make


@pytest.fixture
def network(make_network):
  return make_network()


@pytest.fixture
def state(network):
  """A state in the middle of things."""
  return network.unroll(_inputs(seed=9), network.initial_state(BATCH))[1]


def test_shapes(make_core, network, state):
  outputs, next_state = network.unroll(_inputs(), state)
  assert outputs.policy.shape == (LENGTH, BATCH, ACTIONS)
  assert outputs.value.shape == (LENGTH, BATCH)
  step, _ = network(_at(_inputs(), 0), state)
  assert step.policy.shape == (BATCH, ACTIONS)
  assert step.value.shape == (BATCH,)
  initial = network.initial_state(BATCH)
  tree.assert_same_structure(initial, next_state)
  _assert_close(initial, make_core().initial_state(BATCH), atol=0)


def test_steps_are_an_unroll(network, state):
  inputs = _inputs()
  expected = network.unroll(inputs, state)
  outputs = []
  for t in range(LENGTH):
    output, state = network(_at(inputs, t), state)
    outputs.append(output)
  outputs = tree.map_structure(lambda *x: tf.stack(x), *outputs)
  _assert_close((outputs, state), expected)


@pytest.mark.parametrize('split', [1, 4, LENGTH - 1])
def test_parts_are_the_whole(network, state, split):
  inputs = _inputs()
  expected = network.unroll(inputs, state)
  first, state = network.unroll(_at(inputs, np.s_[:split]), state)
  second, state = network.unroll(_at(inputs, np.s_[split:]), state)
  outputs = tree.map_structure(lambda *x: tf.concat(x, 0), first, second)
  _assert_close((outputs, state), expected)


def test_environments_do_not_mix(network, state):
  inputs = _inputs()
  expected, _ = network.unroll(inputs, state)
  for i in range(BATCH):
    row = np.s_[:, i : i + 1]
    alone, _ = network.unroll(_at(inputs, row), _at(state, row[1]))
    _assert_close(alone, _at(expected, row))


@pytest.mark.parametrize('start', [0, 5])
def test_start_of_episode_forgets_what_was_before(network, state, start):
  inputs, others = _inputs(resets=0), _inputs(seed=1, resets=0)
  started = np.zeros([LENGTH, BATCH], bool)
  started[start, 0] = True
  mixed = tree.map_structure(
    lambda x, y: tf.concat([y[:start], x[start:]], 0), inputs, others
  )
  _, other_state = network.unroll(others, state)
  one, other = (
    network.unroll(x._replace(start_of_episode=started), s)[0].policy[start:]
    for x, s in [(inputs, state), (mixed, other_state)]
  )
  np.testing.assert_array_equal(one[:, 0], other[:, 0])
  assert (np.abs(one - other)[0, 1:].max(-1) > 1e-5).all()


def test_no_gradient_passes_a_start(network, state):
  start = 5
  inputs = _inputs(resets=0)
  started = np.zeros([LENGTH, BATCH], bool)
  started[start, 0] = True
  inputs = inputs._replace(start_of_episode=tf.constant(started))
  speed = inputs.observation['body']['speed']
  with tf.GradientTape() as tape:
    tape.watch(speed)
    outputs, _ = network.unroll(inputs, state)
    loss = tf.reduce_sum(outputs.policy[start:] ** 2)
    loss += tf.reduce_sum(outputs.value[start:] ** 2)
  gradient = np.abs(tape.gradient(loss, speed)).max(-1)
  np.testing.assert_array_equal(gradient[:start, 0], 0)
  assert gradient[start:, 0].any()
  assert gradient[:start, 1:].any()


def test_value_is_not_a_logit(network, state):
  with tf.GradientTape(persistent=True) as tape:
    outputs, _ = network.unroll(_inputs(), state)
    parts = tf.reduce_sum(outputs.policy), tf.reduce_sum(outputs.value)
  (weights,) = (v for v in network.variables if v.shape == (WIDTH, ACTIONS + 1))
  columns = [np.abs(tape.gradient(part, weights)).max(0) > 0 for part in parts]
  np.testing.assert_array_equal(columns[0], [True] * ACTIONS + [False])
  np.testing.assert_array_equal(columns[1], [False] * ACTIONS + [True])


def test_the_value_is_rescaled_and_nothing_else(network, state):
  inputs = _inputs()
  before, _ = network.unroll(inputs, state)
  network.rescale_value(tf.constant(3.0), tf.constant(-2.0))
  after, _ = network.unroll(inputs, state)
  _assert_close(after.value, 3 * before.value - 2, atol=1e-4)
  _assert_close(after.policy, before.policy)


def test_policy_starts_near_uniform(make_core):
  network = policy_value.PolicyValueNetwork(
    torsos.Torso(WIDTH, POLICY), make_core(), POLICY
  )
  network.unroll(_inputs(), network.initial_state(BATCH))
  assert np.abs(_head(network)).max() < 0.05


def test_create_variables(make_core):
  network = policy_value.PolicyValueNetwork(
    torsos.Torso(WIDTH, POLICY), make_core(), POLICY
  )
  observation_spec = tree.map_structure(
    lambda x: specs.Array(x.shape[2:], x.dtype.as_numpy_dtype),
    _inputs().observation,
  )
  policy_value.create_variables(network, observation_spec)
  shapes = [v.shape for v in network.variables]
  network.unroll(_inputs(), network.initial_state(BATCH))
  assert [v.shape for v in network.variables] == shapes


def test_graph_is_as_eager(network, state):
  identities = [id(variable) for variable in network.variables]
  inputs = _inputs()
  _assert_close(
    tf.function(network.unroll)(inputs, state), network.unroll(inputs, state)
  )
  step = _at(inputs, 0)
  _assert_close(
    tf.function(network.__call__)(step, state), network(step, state)
  )
  # Neither has made variables anew.
  assert [id(variable) for variable in network.variables] == identities


def test_batch_may_be_unknown(network, state):
  inputs = _inputs()
  signature = [
    tree.map_structure(
      lambda x: tf.TensorSpec([LENGTH, None, *x.shape[2:]], x.dtype), inputs
    ),
    tree.map_structure(
      lambda x: tf.TensorSpec([None, *x.shape[1:]], x.dtype), state
    ),
  ]
  unroll = tf.function(network.unroll, signature)
  logits, value = unroll.get_concrete_function().structured_outputs[0]
  assert logits.shape.as_list() == [LENGTH, None, ACTIONS]
  assert value.shape.as_list() == [LENGTH, None]
  _assert_close(unroll(inputs, state), network.unroll(inputs, state))
  few = _at(inputs, np.s_[:, :2]), _at(state, np.s_[:2])
  _assert_close(unroll(*few), network.unroll(*few))


def test_copy_stands_alone(network, state, randomise):
  expected = network.unroll(_inputs(), state)
  other = copy.deepcopy(network)
  randomise(network)
  _assert_close(other.unroll(_inputs(), state), expected, atol=0)
  assert not np.allclose(
    network.unroll(_inputs(), state)[0].policy, expected[0].policy
  )


def test_checkpoint(make_network, network, state, tmp_path):
  expected = network.unroll(_inputs(), state)
  path = tf.train.Checkpoint(network=network).write(str(tmp_path / 'network'))
  other = make_network(seed=1)
  tf.train.Checkpoint(network=other).read(path).assert_consumed()
  _assert_close(other.unroll(_inputs(), state), expected, atol=0)


@pytest.mark.parametrize('masked', [False, True])
def test_acting_is_a_step(make_core, randomise, masked):
  rng = np.random.RandomState(0)
  legal = rng.rand(LENGTH, BATCH, ACTIONS) < 0.5
  legal[..., 1] = True
  inputs = _inputs()._replace(observation={'legal': tf.constant(legal)})
  network = policy_value.PolicyValueNetwork(
    torsos.Torso(WIDTH, POLICY),
    make_core(),
    POLICY,
    ('legal',) if masked else None,
  )
  state = network.initial_state(BATCH)
  network.unroll(inputs, state)
  randomise(network)
  acting_state = network.acting_state(state)
  for t in range(LENGTH):
    step = _at(inputs, t)
    expected, state = network(step, state)
    outputs, acting_state = network.act(step, acting_state)
    _assert_close(outputs, expected)
    assert (outputs.policy.numpy()[~legal[t]] < -100).all() == masked
  _assert_close(network.recurrent_state(acting_state), state)

"""The compiled step of each runtime equals the network's."""

from concurrent import futures
import logging
import threading

from acme import specs
import numpy as np
import pytest
import sonnet as snt
import tensorflow as tf
import tree

from ald_acme import distributions
from ald_acme import types
from ald_acme.acting import policies
from ald_acme.acting.inference import conversion
from ald_acme.acting.inference import lite
from ald_acme.acting.inference import xla
from ald_acme.networks import core
from ald_acme.networks import feedforward
from ald_acme.networks import gtrxl
from ald_acme.networks import lstm
from ald_acme.networks import policy_value
from ald_acme.networks import torsos

E, A = 3, 4
POLICY = distributions.from_spec(specs.DiscreteArray(A))
FLAT = specs.Array((5,), np.float32)
IMAGE = specs.BoundedArray((16, 16, 3), np.uint8, 0, 255)
CORES = {
  'lstm': lambda: lstm.LSTM(8),
  'gtrxl': lambda: gtrxl.GTrXL(8, 2, 2, 16, 2),  # A ring of 3 slots.
  'feedforward': lambda: feedforward.Feedforward(8),
}
RUNTIMES = {'lite': lite.LiteStep, 'xla': xla.XLAStep}


def _network(kind='lstm', spec=FLAT, seed=0):
  tf.random.set_seed(seed)
  torso = torsos.Torso(8, POLICY)
  network = policy_value.PolicyValueNetwork(torso, CORES[kind](), POLICY)
  policy_value.create_variables(network, spec)
  rng = np.random.RandomState(seed)
  for variable in network.trainable_variables:
    variable.assign_add(0.3 * rng.randn(*variable.shape))
  return network


def _inputs(spec, rng):
  def sample(s):
    if s.dtype == np.uint8:
      return rng.randint(256, size=(E, *s.shape)).astype(np.uint8)
    return rng.randn(E, *s.shape).astype(s.dtype)

  return types.Inputs(
    observation=tree.map_structure(sample, spec),
    action=rng.randint(A, size=E).astype(np.int32),
    reward=rng.randn(E).astype(np.float32),
    start_of_episode=rng.rand(E) < 0.3,
  )


def _assert_as_network(step, network, spec, seed=0):
  """Six steps from empty are the network's; rings wrap."""
  rng = np.random.RandomState(seed)
  step.reset()
  state = network.initial_state(E)
  for _ in range(6):
    inputs = _inputs(spec, rng)
    logits = step(inputs)
    outputs, state = network(
      tree.map_structure(tf.convert_to_tensor, inputs), state
    )
    assert logits.dtype == np.float32
    np.testing.assert_allclose(logits, outputs.policy, rtol=1e-4, atol=1e-5)
    tree.map_structure(
      lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-5),
      step.state,
      state,
    )


@pytest.mark.parametrize('runtime', RUNTIMES)
@pytest.mark.parametrize('kind', CORES)
def test_steps_match_the_network(runtime, kind):
  network = _network(kind)
  _assert_as_network(RUNTIMES[runtime](network, FLAT, E), network, FLAT)


@pytest.mark.parametrize('runtime', RUNTIMES)
@pytest.mark.parametrize(
  'spec', [IMAGE, {'b': FLAT, 'a': IMAGE}], ids=['image', 'nest']
)
def test_observations(runtime, spec):
  network = _network(spec=spec)
  _assert_as_network(RUNTIMES[runtime](network, spec, E), network, spec)


@pytest.mark.parametrize('runtime', RUNTIMES)
def test_loaded_parameters_are_used(runtime):
  network, other = _network(), _network(seed=1)
  step = RUNTIMES[runtime](network, FLAT, E)
  step.load([v.numpy() for v in other.trainable_variables])
  _assert_as_network(step, other, FLAT)


@pytest.mark.parametrize('kind', ['lstm', 'gtrxl'])
def test_the_memory_is_read_with_the_newest_parameters(kind):
  network, other = _network(kind), _network(kind, seed=1)
  step = xla.XLAStep(network, FLAT, E)
  rng = np.random.RandomState(0)
  for _ in range(9):
    step(_inputs(FLAT, rng)._replace(start_of_episode=np.zeros(E, bool)))
  state = step.state
  step.load([v.numpy() for v in other.trainable_variables])
  tree.map_structure(np.testing.assert_array_equal, step.state, state)
  for _ in range(3):
    inputs = _inputs(FLAT, rng)
    outputs, state = other(
      tree.map_structure(tf.convert_to_tensor, inputs), state
    )
    np.testing.assert_allclose(
      step(inputs), outputs.policy, rtol=1e-4, atol=1e-5
    )


def test_lite_leaves_the_network_alone():
  network, other = _network(), _network(seed=1)
  before = [v.numpy() for v in network.trainable_variables]
  step = lite.LiteStep(network, FLAT, E)
  step.load([v.numpy() for v in other.trainable_variables])
  step(_inputs(FLAT, np.random.RandomState(0)))
  for variable, value in zip(network.trainable_variables, before):
    assert isinstance(variable, tf.Variable)
    np.testing.assert_array_equal(variable.numpy(), value)


@pytest.mark.parametrize('runtime', RUNTIMES)
def test_a_returned_state_does_not_change(runtime):
  step = RUNTIMES[runtime](_network(), FLAT, E)
  rng = np.random.RandomState(0)
  step(_inputs(FLAT, rng))
  taken = step.state
  kept = tree.map_structure(np.copy, taken)
  step(_inputs(FLAT, rng))
  tree.map_structure(np.testing.assert_array_equal, taken, kept)


@pytest.mark.parametrize('runtime', RUNTIMES)
def test_too_few_parameters_are_refused(runtime):
  network = _network()
  step = RUNTIMES[runtime](network, FLAT, E)
  with pytest.raises(ValueError):
    step.load([v.numpy() for v in network.trainable_variables][:-1])


def test_a_conversion_prints_nothing(capfd):
  lite.LiteStep(_network(), FLAT, E)
  assert capfd.readouterr().out == ''


def test_one_thread_at_a_time_captures_the_output():
  together = threading.Barrier(2)

  def capture():
    with conversion.quiet():
      together.wait(0.2)

  with futures.ThreadPoolExecutor() as pool:
    for future in [pool.submit(capture) for _ in range(2)]:
      assert isinstance(future.exception(), threading.BrokenBarrierError)


class Blind(snt.Module):
  """A torso that reads nothing but the observation."""

  def __init__(self):
    super().__init__()
    self._linear = snt.Linear(8)

  def __call__(self, inputs):
    return self._linear(inputs.observation)


@pytest.mark.parametrize('runtime', RUNTIMES)
def test_unused_inputs(runtime):
  network = policy_value.PolicyValueNetwork(
    Blind(), feedforward.Feedforward(8), POLICY
  )
  policy_value.create_variables(network, FLAT)
  _assert_as_network(RUNTIMES[runtime](network, FLAT, E), network, FLAT)


class Hidden(core.UnrollableCore):
  """A core whose variable is where no module has it as an attribute."""

  prefers_tflite = True
  output_size = 8

  def __init__(self):
    super().__init__()
    self._weights = [tf.Variable(tf.ones([8, 8]))]

  def initial_state(self, batch_size, **kwargs):
    return ()

  def unroll(self, inputs, reset, state):
    return tf.tensordot(inputs, self._weights[0], 1), state


class Unknown(snt.Module):
  """A torso with an operation that TensorFlow Lite does not have."""

  def __call__(self, inputs):
    x = tf.abs(inputs.observation) + 1.0
    return tf.math.igamma(x, tf.ones_like(x))


def _hidden():
  return policy_value.PolicyValueNetwork(
    torsos.Torso(8, POLICY), Hidden(), POLICY
  )


def _unknown():
  return policy_value.PolicyValueNetwork(Unknown(), lstm.LSTM(8), POLICY)


@pytest.mark.parametrize('make', [_hidden, _unknown])
def test_networks_that_lite_cannot_convert_act_in_tensorflow(make, caplog):
  network = make()
  policy_value.create_variables(network, FLAT)
  with pytest.raises(ValueError, match='TensorFlow Lite'):
    lite.LiteStep(network, FLAT, E)
  with caplog.at_level(logging.WARNING):
    policy = policies.BatchedPolicy(network, FLAT, E, seed=0)
  assert 'Falling back to XLA' in caplog.text
  inputs = _inputs(FLAT, np.random.RandomState(0))
  outputs, _ = network(
    tree.map_structure(tf.convert_to_tensor, inputs), network.initial_state(E)
  )
  np.testing.assert_allclose(
    policy.step(inputs).policy, outputs.policy, rtol=1e-4, atol=1e-5
  )

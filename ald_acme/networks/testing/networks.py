"""Conformance tests of networks, to inherit."""

import abc
from collections.abc import Sequence
import copy
from typing import Any
import unittest

from acme import specs
import numpy as np
import tensorflow as tf
import tree

from ald_acme import distributions
from ald_acme import types
from ald_acme.environments.interface import observed
from ald_acme.networks import protocols
from ald_acme.networks.testing import nests

_IMPOSSIBLE = -100.0  # Logits below it belong to masked actions.


class NetworkTestMixin(abc.ABC):
  """Tests that every `protocols.Network` passes.

  Attributes:
    length: T, length of sequences.
    batch: B, number of sequences.
    mask: path of the action mask in the observation; None without one.
    observed: entries of the observation that the network reads, as
      `PolicyValueNetwork`; None for all.
  """

  length = 9
  batch = 3
  mask: tuple[Any, ...] | None = None
  observed: Sequence[str] | None = None

  @abc.abstractmethod
  def make_object_under_test(self) -> protocols.Network:
    """A network with its variables."""

  @abc.abstractmethod
  def environment_spec(self) -> specs.EnvironmentSpec:
    """The spec that the network was made for."""

  def network(self) -> Any:
    """A network with randomised variables."""
    return nests.randomise(self.make_object_under_test())

  def inputs(self, seed: int = 0, resets: float = 0.25) -> types.Inputs:
    """Random inputs, leaves `[T, B, ...]`."""
    rng = np.random.RandomState(seed)
    shape = self.length, self.batch
    spec = self.environment_spec()
    distribution = distributions.from_spec(spec.actions)
    observation = tree.map_structure(
      lambda leaf: _draw(leaf, shape, rng), spec.observations
    )
    if self.mask is not None:
      legal = observation
      for key in self.mask:
        legal = legal[key]
      legal[..., 0] = True  # At least one action is legal.
    parameters = rng.randn(*shape, distribution.num_parameters)
    action = distribution.sample(
      parameters.astype(np.float32), np.random.default_rng(seed)
    )
    inputs = types.Inputs(
      observation=observation,
      action=action,
      reward=rng.randn(*shape).astype(np.float32),
      start_of_episode=rng.rand(*shape) < resets,
    )
    return tree.map_structure(tf.constant, inputs)

  def _state(self, network: Any) -> types.Nest:
    """A state from the middle of a sequence."""
    initial = network.initial_state(self.batch)
    return network.unroll(self.inputs(seed=9), initial)[1]

  def test_protocol(self) -> None:
    network = self.make_object_under_test()
    assert isinstance(network, protocols.Network)
    found = network.distribution.describe()
    spec = self.environment_spec()
    assert found == distributions.from_spec(spec.actions).describe()
    before = [v.shape for v in network.trainable_variables]
    assert before, 'the network must have variables before its first use'
    network.unroll(self.inputs(), network.initial_state(self.batch))
    assert [v.shape for v in network.trainable_variables] == before

  def test_shapes(self) -> None:
    network = self.network()
    size = network.distribution.num_parameters
    state = self._state(network)
    outputs, next_state = network.unroll(self.inputs(), state)
    assert outputs.policy.shape == (self.length, self.batch, size)
    assert outputs.value.shape == (self.length, self.batch)
    step, _ = network(nests.at(self.inputs(), 0), state)
    assert step.policy.shape == (self.batch, size)
    assert step.value.shape == (self.batch,)
    initial = network.initial_state(self.batch)
    tree.assert_same_structure(initial, next_state)

  def test_steps_are_an_unroll(self) -> None:
    network = self.network()
    state, inputs = self._state(network), self.inputs()
    expected = network.unroll(inputs, state)
    outputs = []
    for t in range(self.length):
      output, state = network(nests.at(inputs, t), state)
      outputs.append(output)
    joined = tree.map_structure(lambda *x: tf.stack(x), *outputs)
    nests.assert_close((joined, state), expected)

  def test_acting_is_a_step(self) -> None:
    network = self.network()
    if not hasattr(network, 'act'):  # It is stepped by `__call__`.
      return
    state, inputs = self._state(network), self.inputs()
    acting_state = network.acting_state(state)
    for t in range(self.length):
      step = nests.at(inputs, t)
      expected, state = network(step, state)
      outputs, acting_state = network.act(step, acting_state)
      nests.assert_close(outputs, expected)
    nests.assert_close(network.recurrent_state(acting_state), state)

  def test_parts_are_the_whole(self) -> None:
    network = self.network()
    start, inputs = self._state(network), self.inputs()
    expected = network.unroll(inputs, start)
    for split in (1, 4, self.length - 1):
      first, state = network.unroll(nests.at(inputs, np.s_[:split]), start)
      second, state = network.unroll(nests.at(inputs, np.s_[split:]), state)
      outputs = tree.map_structure(lambda *x: tf.concat(x, 0), first, second)
      nests.assert_close((outputs, state), expected)

  def test_environments_do_not_mix(self) -> None:
    network = self.network()
    state, inputs = self._state(network), self.inputs()
    expected, _ = network.unroll(inputs, state)
    for i in range(self.batch):
      row = np.s_[:, i : i + 1]
      alone, _ = network.unroll(nests.at(inputs, row), nests.at(state, row[1]))
      nests.assert_close(alone, nests.at(expected, row))

  def test_a_start_of_episode_forgets_what_was_before(self) -> None:
    network = self.network()
    state = self._state(network)
    inputs, others = self.inputs(resets=0.0), self.inputs(seed=1, resets=0.0)
    _, other_state = network.unroll(others, state)
    for start in (0, self.length // 2):
      started = np.zeros([self.length, self.batch], bool)
      started[start, 0] = True
      mixed = tree.map_structure(
        lambda x, y, n=start: tf.concat([y[:n], x[n:]], 0), inputs, others
      )
      one, other = (
        network.unroll(x._replace(start_of_episode=started), s)[0].policy[
          start:
        ]
        for x, s in [(inputs, state), (mixed, other_state)]
      )
      np.testing.assert_array_equal(one[:, 0], other[:, 0])
      if tree.flatten(state):  # It has a memory.
        assert (np.abs(one - other)[0, 1:].max(-1) > 1e-5).all()

  def test_no_gradient_passes_a_start_of_episode(self) -> None:
    network = self.network()
    state, start = self._state(network), self.length // 2
    started = np.zeros([self.length, self.batch], bool)
    started[start, 0] = True
    inputs = self.inputs(resets=0.0)._replace(
      start_of_episode=tf.constant(started)
    )
    reward = inputs.reward
    with tf.GradientTape() as tape:
      tape.watch(reward)
      outputs, _ = network.unroll(inputs, state)
      loss = tf.reduce_sum(outputs.policy[start:] ** 2)
      loss += tf.reduce_sum(outputs.value[start:] ** 2)
    gradient = np.abs(tape.gradient(loss, reward))
    np.testing.assert_array_equal(gradient[:start, 0], 0)
    assert gradient[start:, 0].any()
    if tree.flatten(state):
      assert gradient[:start, 1:].any()

  def test_every_variable_learns(self) -> None:
    network = self.network()
    with tf.GradientTape() as tape:
      outputs, _ = network.unroll(self.inputs(), self._state(network))
      loss = tf.reduce_sum(outputs.policy**2) + tf.reduce_sum(outputs.value**2)
    variables = network.trainable_variables
    for variable, gradient in zip(variables, tape.gradient(loss, variables)):
      assert gradient is not None, f'{variable.name} has no gradient'

  def test_illegal_actions_are_never_chosen(self) -> None:
    if self.mask is None:
      return
    network, inputs = self.network(), self.inputs()
    legal: Any = inputs.observation
    for key in self.mask:
      legal = legal[key]
    outputs, _ = network.unroll(inputs, self._state(network))
    never = outputs.policy.numpy() < _IMPOSSIBLE
    np.testing.assert_array_equal(never, ~legal.numpy())

  def test_unobserved_entries_make_no_difference(self) -> None:
    if self.observed is None:
      return
    network, inputs = self.network(), self.inputs()
    state = self._state(network)
    seen = observed.select(inputs.observation, self.observed)
    others = self.inputs(seed=1).observation
    for name in self.observed:
      others = _with_entry(others, inputs.observation, name.split('/'))
    nests.assert_close(observed.select(others, self.observed), seen, atol=0)
    same, _ = network.unroll(inputs._replace(observation=others), state)
    nests.assert_close(same, network.unroll(inputs, state)[0], atol=0)

  def test_the_value_is_rescaled_and_nothing_else(self) -> None:
    network = self.network()
    if not isinstance(network, protocols.LearnerNetwork):
      return
    state, inputs = self._state(network), self.inputs()
    before, _ = network.unroll(inputs, state)
    network.rescale_value(tf.constant(3.0), tf.constant(-2.0))
    after, _ = network.unroll(inputs, state)
    nests.assert_close(after.value, 3 * before.value - 2, atol=1e-4)
    nests.assert_close(after.policy, before.policy)

  def test_features_come_with_an_unroll(self) -> None:
    network = self.network()
    if not isinstance(network, protocols.FeatureNetwork):
      raise unittest.SkipTest('ALD would need feature_learning_rate=0')
    state, inputs = self._state(network), self.inputs()
    with tf.GradientTape() as tape:
      outputs, features, state_after = network.unroll_features(inputs, state)
      total = tf.reduce_sum(features)
    gradients = tape.gradient(total, network.trainable_variables)
    assert any(gradient is not None for gradient in gradients), (
      "unroll_features stops the features' gradient"
    )
    expected = network.unroll(inputs, state)
    nests.assert_close((outputs, state_after), expected, atol=0)
    assert features.shape == (self.length, self.batch, network.feature_size)
    assert features.dtype == tf.float32

  def test_a_graph_is_as_eager(self) -> None:
    network = self.network()
    state, identities = self._state(network), nests.identities(network)
    inputs = self.inputs()
    graph = tf.function(network.unroll)
    nests.assert_close(graph(inputs, state), network.unroll(inputs, state))
    step, one = tf.function(network.__call__), nests.at(inputs, 0)
    nests.assert_close(step(one, state), network(one, state))
    assert nests.identities(network) == identities, (
      'a graph recreated the variables'
    )

  def test_the_batch_may_be_unknown(self) -> None:
    network = self.network()
    state, inputs = self._state(network), self.inputs()
    signature = [nests.unknown_size(inputs, 1), nests.unknown_size(state, 0)]
    unroll = tf.function(network.unroll, signature)
    nests.assert_close(unroll(inputs, state), network.unroll(inputs, state))
    few = nests.at(inputs, np.s_[:, :2]), nests.at(state, np.s_[:2])
    nests.assert_close(unroll(*few), network.unroll(*few))

  def test_a_copy_stands_alone(self) -> None:
    network = self.network()
    state, inputs = self._state(network), self.inputs()
    expected, _ = network.unroll(inputs, state)
    other = copy.deepcopy(network)
    nests.randomise(network)
    nests.assert_close(other.unroll(inputs, state)[0], expected, atol=0)
    changed, _ = network.unroll(inputs, state)
    assert not np.allclose(changed.policy, expected.policy)

  def test_two_of_a_kind_have_the_same_variables(self) -> None:
    one, other = self.network(), self.make_object_under_test()
    variables, others = one.trainable_variables, other.trainable_variables
    assert [v.shape for v in variables] == [v.shape for v in others]
    for variable, copied in zip(variables, others):
      copied.assign(variable)
    state, inputs = self._state(one), self.inputs()
    expected, _ = one.unroll(inputs, state)
    nests.assert_close(other.unroll(inputs, state)[0], expected, atol=0)


def _draw(
  spec: Any, shape: tuple[int, ...], rng: np.random.RandomState
) -> np.ndarray:
  """Random values of an observation's leaf, `[*shape, *spec.shape]`."""
  whole, dtype = (*shape, *spec.shape), np.dtype(spec.dtype)
  if dtype.kind == 'b':
    return rng.rand(*whole) < 0.5
  if dtype.kind == 'f':
    return rng.randn(*whole).astype(dtype)
  low = np.asarray(getattr(spec, 'minimum', 0))
  most = np.minimum(np.asarray(getattr(spec, 'maximum', low + 2)), low + 100)
  return (low + rng.rand(*whole) * (most - low + 1)).astype(dtype)


def _with_entry(nest: Any, source: Any, path: Sequence[str]) -> Any:
  """A nest of dictionaries with one entry replaced by `source`."""
  if not path:
    return source
  name, *rest = path
  return {**nest, name: _with_entry(nest[name], source[name], rest)}

"""Conformance tests of cores, to inherit."""

import abc
import copy
import os
import tempfile

import numpy as np
import tensorflow as tf
import tree

from ald_acme import types
from ald_acme.networks import core as cores
from ald_acme.networks.testing import nests


class CoreTestMixin(abc.ABC):
  """Tests that every `UnrollableCore` passes.

  Attributes:
    input_size: D, size of the inputs.
    length: T, length of sequences.
    batch: B, number of sequences.
  """

  input_size = 8
  length = 11
  batch = 3

  @abc.abstractmethod
  def make_object_under_test(self) -> cores.UnrollableCore:
    """A core whose variables need not exist yet."""

  def core(self) -> cores.UnrollableCore:
    """A core with randomised variables."""
    core = self.make_object_under_test()
    core.unroll(*self.sequence(), core.initial_state(self.batch))
    return nests.randomise(core)

  def sequence(
    self, seed: int = 0, resets: bool = True
  ) -> tuple[tf.Tensor, tf.Tensor]:
    """Random inputs `[T, B, D]` and resets `[T, B]`."""
    rng = np.random.RandomState(seed)
    shape = self.length, self.batch
    inputs = rng.randn(*shape, self.input_size).astype(np.float32)
    reset = rng.rand(*shape) < (0.2 if resets else 0.0)
    return tf.constant(inputs), tf.constant(reset)

  def _state(self, core: cores.UnrollableCore) -> types.Nest:
    """A state from the middle of a sequence."""
    initial = core.initial_state(self.batch)
    return core.unroll(*self.sequence(seed=9), initial)[1]

  def test_shapes(self) -> None:
    core = self.core()
    state = self._state(core)
    outputs, next_state = core.unroll(*self.sequence(), state)
    assert outputs.shape == (self.length, self.batch, core.output_size)
    assert outputs.dtype == tf.float32
    initial = core.initial_state(self.batch)
    for nest in (state, next_state):
      tree.map_structure(
        lambda x, y: x.shape.assert_is_compatible_with(y.shape), initial, nest
      )
    for leaf in tree.flatten(initial):
      assert leaf.shape[0] == self.batch
      np.testing.assert_array_equal(leaf, tf.zeros_like(leaf))

  def test_steps_are_an_unroll(self) -> None:
    core = self.core()
    state = self._state(core)
    inputs, reset = self.sequence()
    expected = core.unroll(inputs, reset, state)
    outputs = []
    for t in range(self.length):
      if tf.reduce_any(reset[t]):
        output, state = core.unroll(inputs[t : t + 1], reset[t : t + 1], state)
        output = output[0]
      else:
        output, state = core(inputs[t], state)
      outputs.append(output)
    nests.assert_close((tf.stack(outputs), state), expected)

  def test_acting_is_an_unroll(self) -> None:
    core = self.core()
    state = self._state(core)
    inputs, reset = self.sequence()
    expected, expected_state = core.unroll(inputs, reset, state)
    acting_state, outputs = core.acting_state(state), []
    nests.assert_close(core.recurrent_state(acting_state), state, atol=0)
    for t in range(self.length):
      output, acting_state = core.act(inputs[t], reset[t], acting_state)
      outputs.append(output)
    nests.assert_close(tf.stack(outputs), expected)
    nests.assert_close(core.recurrent_state(acting_state), expected_state)

  def test_parts_are_the_whole(self) -> None:
    core = self.core()
    for resets in (False, True):
      inputs, reset = self.sequence(resets=resets)
      start = self._state(core)
      expected = core.unroll(inputs, reset, start)
      for split in (1, 3, 4, 5, self.length - 1):
        first, state = core.unroll(inputs[:split], reset[:split], start)
        second, state = core.unroll(inputs[split:], reset[split:], state)
        nests.assert_close((tf.concat([first, second], 0), state), expected)

  def test_environments_do_not_mix(self) -> None:
    core = self.core()
    state = self._state(core)
    inputs, reset = self.sequence()
    expected = core.unroll(inputs, reset, state)
    for i in range(self.batch):
      row = np.s_[i : i + 1]
      outputs, alone = core.unroll(
        inputs[:, row], reset[:, row], nests.at(state, row)
      )
      nests.assert_close(outputs[:, 0], expected[0][:, i])
      nests.assert_close(nests.at(alone, 0), nests.at(expected[1], i))

  def test_a_reset_forgets_what_was_before(self) -> None:
    core = self.core()
    state = self._state(core)
    inputs, _ = self.sequence()
    others, _ = self.sequence(seed=2)
    following = self.sequence(seed=1)
    for start in (0, 1, self.length // 2, self.length - 1):
      reset = np.zeros([self.length, self.batch], bool)
      reset[start, 0] = True  # In one environment only.
      mixed = tf.concat([others[:start], inputs[start:]], axis=0)
      _, other_state = core.unroll(others, reset & False, state)
      after = []
      for x, s in [(inputs, state), (mixed, other_state)]:
        outputs, s = core.unroll(x, reset, s)
        later, _ = core.unroll(*following, s)
        after.append(np.concatenate([outputs[start:], later[:1]]))
      one, other = after
      np.testing.assert_array_equal(one[:, 0], other[:, 0])
      if tree.flatten(state):  # It has a memory.
        assert (np.abs(one[0] - other[0]).max(-1)[1:] > 1e-4).all()

  def test_a_reset_gives_the_initial_state(self) -> None:
    core = self.core()
    inputs, reset = self.sequence(resets=False)
    reset = tf.concat([tf.ones([1, self.batch], tf.bool), reset[1:]], axis=0)
    after_reset, _ = core.unroll(inputs, reset, self._state(core))
    initial = core.initial_state(self.batch)
    fresh, _ = core.unroll(inputs, reset & False, initial)
    nests.assert_close(after_reset, fresh)

  def test_no_gradient_passes_a_reset(self) -> None:
    core = self.core()
    state = self._state(core)
    start = self.length // 2
    inputs, _ = self.sequence()
    reset = np.zeros([self.length, self.batch], bool)
    reset[start, 0] = True
    with tf.GradientTape() as tape:
      tape.watch(inputs)
      outputs, _ = core.unroll(inputs, reset, state)
      loss = tf.reduce_sum(outputs[start:] ** 2)
    gradient = tape.gradient(loss, inputs).numpy()
    np.testing.assert_array_equal(gradient[:start, 0], 0)
    assert (np.abs(gradient[start:, 0]).max(-1) > 0).all()
    if tree.flatten(state):
      assert (np.abs(gradient[start - 1, 1:]).max(-1) > 0).all()

  def test_every_variable_learns(self) -> None:
    core = self.core()
    with tf.GradientTape() as tape:
      outputs, _ = core.unroll(*self.sequence(), self._state(core))
      loss = tf.reduce_sum(outputs**2)
    for gradient in tape.gradient(loss, core.trainable_variables):
      assert np.abs(gradient).max() > 0

  def test_a_graph_is_as_eager(self) -> None:
    core = self.core()
    state, identities = self._state(core), nests.identities(core)
    inputs, reset = self.sequence()
    expected = core.unroll(inputs, reset, state)
    nests.assert_close(tf.function(core.unroll)(inputs, reset, state), expected)
    step = tf.function(core.__call__)
    nests.assert_close(step(inputs[0], state), core(inputs[0], state))
    assert nests.identities(core) == identities, (
      'a graph recreated the variables'
    )

  def test_the_batch_may_be_unknown(self) -> None:
    core = self.core()
    state = self._state(core)
    inputs, reset = self.sequence()
    signature = [
      *nests.unknown_size((inputs, reset), 1),
      nests.unknown_size(state, 0),
    ]
    unroll = tf.function(core.unroll, signature)
    expected = core.unroll(inputs, reset, state)
    nests.assert_close(unroll(inputs, reset, state), expected)

  def test_a_copy_stands_alone(self) -> None:
    core = self.core()
    state = self._state(core)
    expected = core.unroll(*self.sequence(), state)
    other = copy.deepcopy(core)
    nests.randomise(core)
    nests.assert_close(other.unroll(*self.sequence(), state), expected, atol=0)
    changed, _ = core.unroll(*self.sequence(), state)
    assert not np.allclose(changed, expected[0])

  def test_a_checkpoint_holds_it(self) -> None:
    core = self.core()
    state = self._state(core)
    expected = core.unroll(*self.sequence(), state)
    other = self.make_object_under_test()
    other.unroll(*self.sequence(), state)
    nests.randomise(other, seed=1)
    with tempfile.TemporaryDirectory() as folder:
      path = os.path.join(folder, 'core')
      path = tf.train.Checkpoint(core=core).write(path)
      tf.train.Checkpoint(core=other).read(path).assert_consumed()
    nests.assert_close(other.unroll(*self.sequence(), state), expected, atol=0)

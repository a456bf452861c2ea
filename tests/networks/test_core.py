"""What holds for every recurrent core."""

import copy

import numpy as np
import pytest
import tensorflow as tf
import tree

LENGTH, BATCH, WIDTH = 11, 3, 8


def _sequence(seed=0, resets=True):
  rng = np.random.RandomState(seed)
  inputs = rng.randn(LENGTH, BATCH, WIDTH).astype(np.float32)
  reset = rng.rand(LENGTH, BATCH) < (0.2 if resets else 0)
  return tf.constant(inputs), tf.constant(reset)


def _assert_close(answer, expected, atol=1e-5):
  tree.map_structure(
    lambda x, y: np.testing.assert_allclose(x, y, atol=atol), answer, expected
  )


@pytest.fixture
def core(make_core, randomise):
  core = make_core()
  core.unroll(*_sequence(), core.initial_state(BATCH))
  return randomise(core)


@pytest.fixture
def state(core):
  """A state in the middle of things."""
  return core.unroll(*_sequence(seed=9), core.initial_state(BATCH))[1]


def test_shapes(core, state):
  outputs, next_state = core.unroll(*_sequence(), state)
  assert core.output_size == WIDTH
  assert outputs.shape == (LENGTH, BATCH, WIDTH)
  assert outputs.dtype == tf.float32
  initial = core.initial_state(BATCH)
  for nest in (state, next_state):
    tree.map_structure(
      lambda x, y: x.shape.assert_is_compatible_with(y.shape), initial, nest
    )
  for leaf in tree.flatten(initial):
    assert leaf.shape[0] == BATCH
    np.testing.assert_array_equal(leaf, tf.zeros_like(leaf))


def test_steps_are_an_unroll(core, state):
  inputs, reset = _sequence()
  expected = core.unroll(inputs, reset, state)
  outputs = []
  for t in range(LENGTH):
    if tf.reduce_any(reset[t]):
      output, state = core.unroll(inputs[t : t + 1], reset[t : t + 1], state)
      output = output[0]
    else:
      output, state = core(inputs[t], state)
    outputs.append(output)
  _assert_close((tf.stack(outputs), state), expected)


def test_acting_is_an_unroll(core, state):
  inputs, reset = _sequence()
  expected, expected_state = core.unroll(inputs, reset, state)
  acting_state, outputs = core.acting_state(state), []
  _assert_close(core.recurrent_state(acting_state), state, atol=0)
  for t in range(LENGTH):
    output, acting_state = core.act(inputs[t], reset[t], acting_state)
    outputs.append(output)
  _assert_close(tf.stack(outputs), expected)
  _assert_close(core.recurrent_state(acting_state), expected_state)


@pytest.mark.parametrize('resets', [False, True])
@pytest.mark.parametrize('split', [1, 3, 4, 5, 10])
def test_parts_are_the_whole(core, state, split, resets):
  inputs, reset = _sequence(resets=resets)
  expected = core.unroll(inputs, reset, state)
  first, state = core.unroll(inputs[:split], reset[:split], state)
  second, state = core.unroll(inputs[split:], reset[split:], state)
  _assert_close((tf.concat([first, second], 0), state), expected)


def test_environments_do_not_mix(core, state):
  inputs, reset = _sequence()
  expected = core.unroll(inputs, reset, state)
  for i in range(BATCH):
    row = np.s_[i : i + 1]
    alone = tree.map_structure(lambda x, row=row: x[row], state)
    outputs, alone = core.unroll(inputs[:, row], reset[:, row], alone)
    _assert_close(outputs[:, 0], expected[0][:, i])
    tree.map_structure(
      lambda x, y, i=i: _assert_close(x[0], y[i]), alone, expected[1]
    )


@pytest.mark.parametrize('start', [0, 1, 6, LENGTH - 1])
def test_reset_forgets_what_was_before(core, state, start):
  inputs, _ = _sequence()
  reset = np.zeros([LENGTH, BATCH], bool)
  reset[start, 0] = True  # In one environment; the others go on.
  others, _ = _sequence(seed=2)
  mixed = tf.concat([others[:start], inputs[start:]], axis=0)
  _, other_state = core.unroll(others, reset & False, state)

  after, next_inputs = [], _sequence(seed=1)
  for x, s in [(inputs, state), (mixed, other_state)]:
    outputs, s = core.unroll(x, reset, s)
    later, _ = core.unroll(*next_inputs, s)
    after.append(np.concatenate([outputs[start:], later[:1]]))
  one, other = after
  np.testing.assert_array_equal(one[:, 0], other[:, 0])
  assert (np.abs(one[0] - other[0]).max(-1)[1:] > 1e-4).all()


def test_reset_is_an_initial_state(core, state):
  inputs, reset = _sequence(resets=False)
  reset = tf.concat([tf.ones([1, BATCH], tf.bool), reset[1:]], axis=0)
  anew, _ = core.unroll(inputs, reset, state)
  fresh, _ = core.unroll(inputs, reset & False, core.initial_state(BATCH))
  _assert_close(anew, fresh)


def test_no_gradient_passes_a_reset(core, state):
  start = 5
  inputs, _ = _sequence()
  reset = np.zeros([LENGTH, BATCH], bool)
  reset[start, 0] = True
  with tf.GradientTape() as tape:
    tape.watch(inputs)
    outputs, _ = core.unroll(inputs, reset, state)
    loss = tf.reduce_sum(outputs[start:] ** 2)
  gradient = tape.gradient(loss, inputs).numpy()
  np.testing.assert_array_equal(gradient[:start, 0], 0)
  assert (np.abs(gradient[start:, 0]).max(-1) > 0).all()
  assert (np.abs(gradient[start - 1, 1:]).max(-1) > 0).all()


def test_every_variable_learns(core, state):
  with tf.GradientTape() as tape:
    outputs, _ = core.unroll(*_sequence(), state)
    loss = tf.reduce_sum(outputs**2)
  for gradient in tape.gradient(loss, core.trainable_variables):
    assert np.abs(gradient).max() > 0


def test_graph_is_as_eager(core, state):
  identities = [id(variable) for variable in core.variables]
  inputs, reset = _sequence()
  expected = core.unroll(inputs, reset, state)
  _assert_close(tf.function(core.unroll)(inputs, reset, state), expected)
  step = tf.function(core.__call__)
  _assert_close(step(inputs[0], state), core(inputs[0], state))
  # Neither has made variables anew.
  assert [id(variable) for variable in core.variables] == identities


def test_batch_may_be_unknown(core, state):
  def unknown(x, axis):
    shape = x.shape.as_list()
    shape[axis] = None
    return tf.TensorSpec(shape, x.dtype)

  inputs, reset = _sequence()
  specs = tree.map_structure(lambda x: unknown(x, 0), state)
  unroll = tf.function(
    core.unroll, [unknown(inputs, 1), unknown(reset, 1), specs]
  )
  _assert_close(unroll(inputs, reset, state), core.unroll(inputs, reset, state))


def test_copy_stands_alone(core, state, randomise):
  expected = core.unroll(*_sequence(), state)
  other = copy.deepcopy(core)
  _assert_close(other.unroll(*_sequence(), state), expected, atol=0)
  randomise(core)
  _assert_close(other.unroll(*_sequence(), state), expected, atol=0)
  assert not np.allclose(core.unroll(*_sequence(), state)[0], expected[0])


def test_checkpoint(make_core, core, state, randomise, tmp_path):
  expected = core.unroll(*_sequence(), state)
  path = tf.train.Checkpoint(core=core).write(str(tmp_path / 'core'))
  other = make_core()
  other.unroll(*_sequence(), state)
  randomise(other, seed=1)
  restored = tf.train.Checkpoint(core=other).read(path)
  restored.assert_consumed()
  _assert_close(other.unroll(*_sequence(), state), expected, atol=0)

"""GTrXL against the paper's equations, one step and one head at a time."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from ald_acme.networks import gtrxl

LENGTH, BATCH, WIDTH, HEADS, LAYERS = 12, 2, 8, 2, 2


def _core(memory_size=4, **kwargs):
  sizes = {'num_layers': LAYERS, 'num_heads': HEADS, 'mlp_size': 12} | kwargs
  core = gtrxl.GTrXL(WIDTH, memory_size=memory_size, **sizes)
  core(tf.zeros([BATCH, WIDTH]), core.initial_state(BATCH))
  return core


def _sequence(length=LENGTH, resets=0.2):
  rng = np.random.RandomState(0)
  inputs = rng.randn(length, BATCH, WIDTH).astype(np.float32)
  return tf.constant(inputs), tf.constant(rng.rand(length, BATCH) < resets)


def _normalise(x, scale, offset):
  x = x - x.mean()
  return scale * x / np.sqrt(np.mean(x**2) + 1e-5) + offset


def _sigmoid(x):
  return 1 / (1 + np.exp(-x))


def _gate(p, name, x, y):
  """GRU-type gating, eq. (5) to (8)."""
  w_r, w_z, w_g = np.split(p[f'{name}/of_y/w'], 3, axis=1)
  u_r, u_z = np.split(p[f'{name}/of_x/w'], 2, axis=1)
  r = _sigmoid(y @ w_r + x @ u_r)
  z = _sigmoid(y @ w_z + x @ u_z - p[f'{name}/bias'])
  h = np.tanh(y @ w_g + (r * x) @ p[f'{name}/of_reset/w'])
  return (1 - z) * x + z * h


def _embedding(distance):
  frequency = np.array([10_000 ** -(i / WIDTH) for i in range(0, WIDTH, 2)])
  return np.concatenate(
    [np.sin(distance * frequency), np.cos(distance * frequency)]
  )


def _slow_layer(p, xs, memory_size):
  """One layer over one episode, a list of vectors."""
  normed = [
    _normalise(x, p['attention_norm/scale'], p['attention_norm/offset'])
    for x in xs
  ]
  w_key, w_value = np.split(p['key_value/w'], 2, axis=1)
  b_key, b_value = np.split(p['key_value/b'], 2)
  size, answers = WIDTH // HEADS, []
  for t, x in enumerate(xs):
    seen = range(max(0, t - memory_size), t + 1)
    query = normed[t] @ p['query/w'] + p['query/b']
    attended = []
    for head in range(HEADS):
      part = np.s_[head * size : (head + 1) * size]
      u, v = p['content_bias'][head, 0], p['position_bias'][head, 0]
      logits, values = [], []
      for s in seen:
        key = (normed[s] @ w_key + b_key)[part]
        position = (_embedding(t - s) @ p['position/w'])[part]
        by_content = np.dot(query[part] + u, key)
        by_position = np.dot(query[part] + v, position)
        logits.append((by_content + by_position) / np.sqrt(size))
        values.append((normed[s] @ w_value + b_value)[part])
      weights = np.exp(logits) / np.sum(np.exp(logits))
      attended.append(sum(w * value for w, value in zip(weights, values)))
    y = np.concatenate(attended) @ p['attended/w'] + p['attended/b']
    x = _gate(p, 'attention_gate', x, np.maximum(y, 0))
    y = _normalise(x, p['mlp_norm/scale'], p['mlp_norm/offset'])
    for name in ('mlp_0', 'mlp_1'):
      y = np.maximum(y @ p[f'{name}/w'] + p[f'{name}/b'], 0)
    answers.append(_gate(p, 'mlp_gate', x, y))
  return answers


def _slow(core, inputs, reset, memory_size):
  """The whole sequence from an empty memory; episodes stand alone."""
  layers = [{} for _ in range(LAYERS)]
  for variable in core.variables:
    _, layer, name = variable.name.removesuffix(':0').split('/', 2)
    layers[int(layer.removeprefix('layer_'))][name] = variable.numpy()
  inputs, reset = inputs.numpy().astype(np.float64), reset.numpy()
  outputs = np.zeros(inputs.shape)
  for b in range(inputs.shape[1]):
    starts = [0, *np.flatnonzero(reset[1:, b]) + 1, len(inputs)]
    for start, stop in itertools.pairwise(starts):
      xs = list(inputs[start:stop, b])
      for layer in layers:
        xs = _slow_layer(layer, xs, memory_size)
      outputs[start:stop, b] = xs
  return outputs


@pytest.mark.parametrize('resets', [0, 0.2])
@pytest.mark.parametrize('memory_size', [1, 4, 20])
@pytest.mark.parametrize('splits', [(), (5,), (2, 3, 9), range(1, LENGTH)])
def test_matches_the_paper(randomise, memory_size, splits, resets):
  core = randomise(_core(memory_size))
  inputs, reset = _sequence(resets=resets)
  state, outputs = core.initial_state(BATCH), []
  for start, stop in zip((0, *splits), (*splits, LENGTH)):
    part = np.s_[start:stop]
    output, state = core.unroll(inputs[part], reset[part], state)
    outputs.append(output)
  expected = _slow(core, inputs, reset, memory_size)
  np.testing.assert_allclose(tf.concat(outputs, 0), expected, atol=1e-5)


@pytest.mark.parametrize('memory_size', [1, 3, 30])
def test_a_layer_attends_to_the_memory_only(randomise, memory_size):
  core = randomise(_core(memory_size, num_layers=1))
  inputs, reset = _sequence(resets=0)
  with tf.GradientTape(persistent=True) as tape:
    tape.watch(inputs)
    outputs, _ = core.unroll(inputs, reset, core.initial_state(BATCH))
    outputs = tf.unstack(outputs**2)
  influence = [tape.gradient(output, inputs) for output in outputs]
  influence = np.abs(influence).max((2, 3)) > 0
  step, source = np.ogrid[:LENGTH, :LENGTH]
  expected = (source <= step) & (source >= step - memory_size)
  np.testing.assert_array_equal(influence, expected)


def test_state_shapes():
  core = _core(memory_size=5)
  state = core.initial_state(7)
  assert state.memory.shape == (7, LAYERS, 5, WIDTH)
  assert state.valid.shape == (7, 5)
  np.testing.assert_array_equal(state.memory, tf.zeros_like(state.memory))
  np.testing.assert_array_equal(state.valid, tf.zeros_like(state.valid))


@pytest.mark.parametrize('length', [1, 2, 4, 5])
def test_memory_slides_and_forgets(length):
  core = _core(memory_size=4)
  inputs, reset = _sequence(length, resets=0)
  reset = reset.numpy()
  state = core.initial_state(BATCH)
  _, full = core.unroll(*_sequence(resets=0), state)
  np.testing.assert_array_equal(full.valid, np.ones([BATCH, 4]))
  reset[-1, 1] = True
  _, state = core.unroll(inputs, reset, full)
  # The first layer's memory is what came in, oldest first.
  past = np.concatenate([full.memory[:, 0], np.swapaxes(inputs, 0, 1)], 1)
  np.testing.assert_array_equal(state.memory[:, 0], past[:, -4:])
  np.testing.assert_array_equal(state.valid, [[1, 1, 1, 1], [0, 0, 0, 1]])


def test_slots_of_other_episodes_are_masked(randomise):
  core = randomise(_core(memory_size=4))
  inputs, reset = _sequence(3, resets=0)
  memory = tf.random.stateless_normal([BATCH, LAYERS, 4, WIDTH], [0, 1])
  valid = tf.constant([[0.0, 0, 1, 1], [0, 0, 0, 0]])
  expected, _ = core.unroll(inputs, reset, gtrxl.GTrXLState(memory, valid))

  hidden = (valid == 0)[:, tf.newaxis, :, tf.newaxis]
  for slots, same in [(hidden, True), (~hidden, False)]:
    other = tf.where(slots, 9.0, memory)
    outputs, _ = core.unroll(inputs, reset, gtrxl.GTrXLState(other, valid))
    assert np.array_equal(outputs[:, 0], expected[:, 0]) == same
    np.testing.assert_array_equal(outputs[:, 1], expected[:, 1])


def test_no_gradient_reaches_the_memory(randomise):
  core = randomise(_core())
  inputs, reset = _sequence(resets=0)
  _, state = core.unroll(inputs, reset, core.initial_state(BATCH))
  with tf.GradientTape(persistent=True) as tape:
    tape.watch((inputs, state))
    outputs, next_state = core.unroll(inputs, reset, state)
  assert tape.gradient(outputs, state.memory) is None
  assert tape.gradient(outputs, state.valid) is None
  assert tape.gradient(next_state.memory, inputs) is None
  assert tape.gradient(outputs, inputs) is not None


def test_gate_bias_keeps_layers_near_the_identity():
  inputs, reset = _sequence()
  change = []
  for gate_bias in (0.0, 2.0, 50.0):
    core = _core(gate_bias=gate_bias)
    outputs, _ = core.unroll(inputs, reset, core.initial_state(BATCH))
    change.append(np.abs(outputs - inputs).mean())
  assert change[0] > change[1] > change[2]
  np.testing.assert_allclose(change[2], 0, atol=1e-6)


@pytest.mark.parametrize('width, num_heads', [(7, 2), (9, 3), (8, 3)])
def test_width_must_fit_the_heads(width, num_heads):
  with pytest.raises(ValueError, match=f'num_heads={num_heads}.*width={width}'):
    gtrxl.GTrXL(width, 1, num_heads, 4, 4)


@pytest.mark.parametrize('memory_size', [0, -1])
def test_memory_must_hold_a_step(memory_size):
  # `keys[:, -0:]` drops nothing: the memory would grow without bound.
  with pytest.raises(ValueError, match=f'memory_size={memory_size}'):
    gtrxl.GTrXL(WIDTH, LAYERS, HEADS, 4, memory_size)

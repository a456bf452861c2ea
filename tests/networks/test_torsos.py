"""Torsos: which inputs change the features."""

from acme import specs
import dm_env
import numpy as np
import pytest
import sonnet as snt
import tensorflow as tf
import tree

from ald_acme import distributions
from ald_acme import types
from ald_acme.acting import policies
from ald_acme.networks import lstm
from ald_acme.networks import policy_value
from ald_acme.networks import torsos

BATCH, ACTIONS, SIZE = 4, 3, 6
POLICY = distributions.from_spec(specs.DiscreteArray(ACTIONS))
WINDOW = np.random.RandomState(0).randint(255, size=[BATCH, 2, 2, 3])


def _inputs(observation=None, start=False, action=1, reward=0.5):
  if observation is None:
    observation = WINDOW.astype(np.float32)
  return types.Inputs(
    observation=tree.map_structure(tf.constant, observation),
    action=tf.fill([BATCH], action),
    reward=tf.fill([BATCH], reward),
    start_of_episode=tf.fill([BATCH], start),
  )


@pytest.fixture
def torso(randomise):
  torso = torsos.Torso(SIZE, POLICY)
  torso(_inputs())
  # All units on, for a unit that is off hides what it reads.
  _, weights = randomise(torso).variables
  weights.assign(tf.abs(weights))
  return torso


def test_features(torso):
  features = torso(_inputs())
  assert features.shape == (BATCH, SIZE)
  assert features.dtype == tf.float32
  bias, weights = torso.variables
  parts = [
    WINDOW.reshape(BATCH, -1),
    np.eye(ACTIONS)[[1] * BATCH],
    [[np.log(1.5)]] * BATCH,
  ]
  expected = np.concatenate(parts, 1) @ weights.numpy() + bias.numpy()
  np.testing.assert_allclose(features, np.maximum(expected, 0), rtol=1e-5)


@pytest.mark.parametrize('start', [False, True])
def test_start_of_episode_hides_the_action(torso, start):
  one, other = (torso(_inputs(start=start, action=a)) for a in (0, 2))
  assert np.array_equal(one, other) == start


def test_no_action_differs_from_the_first_action(torso):
  begun, after = torso(_inputs(start=True)), torso(_inputs(action=0))
  assert not np.allclose(begun, after)


def test_reward_is_an_input(torso):
  one, other = torso(_inputs(reward=0.0)), torso(_inputs(reward=1.0))
  assert not np.allclose(one, other)


def test_large_rewards_are_compressed(torso):
  def change(reward):
    return np.abs(torso(_inputs(reward=reward)) - torso(_inputs(reward=0.0)))

  # log(1 + 1e6) is 20 log(1 + 1); layers after a ReLU may cut more off.
  assert change(1e6).max() < 21 * max(change(1.0).max(), change(-1.0).max())
  assert change(-1e6).max() > change(-1.0).max() > 0


@pytest.mark.parametrize(
  'dtype', [np.uint8, np.uint16, np.int16, np.int32, np.int64, np.float64]
)
def test_numbers_are_cast(torso, dtype):
  np.testing.assert_array_equal(
    torso(_inputs(WINDOW.astype(dtype))), torso(_inputs())
  )


def test_booleans_are_0_and_1(torso):
  bits = WINDOW > 100
  np.testing.assert_array_equal(
    torso(_inputs(bits)), torso(_inputs(bits.astype(np.float32)))
  )


@pytest.mark.parametrize(
  'nest',
  [
    lambda flat: {'a': flat[:, :5], 'b': {'c': flat[:, 5:]}},
    lambda flat: (flat[:, :1].reshape(BATCH, 1, 1), [flat[:, 1:]]),
    lambda flat: {'number': flat[:, 0], 'rest': flat[:, 1:]},
    lambda flat: {
      'bytes': flat[:, :6].astype(np.uint8),
      'reals': flat[:, 6:].reshape(BATCH, 2, 3),
    },
  ],
  ids=['dicts', 'tuples', 'number', 'mixed'],
)
def test_nested_observations_are_joined(torso, nest):
  flat = WINDOW.reshape(BATCH, -1).astype(np.float32)
  np.testing.assert_allclose(
    torso(_inputs(nest(flat))), torso(_inputs()), rtol=1e-6
  )


# --- Images.

IMAGE = np.random.RandomState(1).randint(256, size=[BATCH, 17, 20, 2])
IMAGE = IMAGE.astype(np.uint8)
CHANNELS = 3


@pytest.mark.parametrize(
  'shape, dtype, expected',
  [
    ((16, 16, 1), np.uint8, True),
    ((84, 84, 3), np.float32, True),
    ((64, 16, 30), np.float64, True),
    ((15, 84, 3), np.uint8, False),  # A window.
    ((84, 15, 3), np.float32, False),
    ((84, 84), np.uint8, False),  # No channels.
    ((4, 84, 84, 3), np.uint8, False),
    ((84, 84, 3), np.int64, False),  # A map of kinds.
    ((84, 84, 3), np.bool_, False),
    ((), np.float32, False),
  ],
)
def test_which_observations_are_images(shape, dtype, expected):
  assert torsos.is_image(shape, dtype) == expected


def _slow_convolution(x, weights, bias):
  """3 x 3, one output pixel at a time; outside the image there are zeros."""
  rows, columns = x.shape[1:3]
  padded = np.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)])
  y = np.zeros((*x.shape[:3], weights.shape[-1]))
  for i, j in np.ndindex(rows, columns):
    patch = padded[:, i : i + 3, j : j + 3]
    y[:, i, j] = np.tensordot(patch, weights, 3) + bias
  return y


def _slow_pool(x):
  """The largest of 3 x 3 at each second row and column."""
  rows, columns = ((side + 1) // 2 for side in x.shape[1:3])
  y = np.zeros((len(x), rows, columns, x.shape[3]))
  for i, j in np.ndindex(rows, columns):
    # An odd side is padded on both ends, an even one on the last.
    top, left = 2 * i - x.shape[1] % 2, 2 * j - x.shape[2] % 2
    patch = x[:, max(top, 0) : top + 3, max(left, 0) : left + 3]
    y[:, i, j] = patch.max((1, 2))
  return y


def _slow_image_torso(module, x):
  """Figure 3 of the IMPALA paper, from the variables' names."""
  p = {v.name.split('/', 1)[1]: v.numpy() for v in module.variables}

  def convolution(name, x):
    return _slow_convolution(x, p[f'{name}/w:0'], p[f'{name}/b:0'])

  for section in range(3):
    x = _slow_pool(convolution(f'section_{section}/first', x))
    for block in range(2):
      y = x
      for layer in range(2):
        name = f'section_{section}/block_{block}_{layer}'
        y = convolution(name, np.maximum(y, 0))
      x = x + y
  return np.maximum(x, 0).reshape(len(x), -1)


def test_images_match_the_paper(randomise):
  module = torsos.ResidualImageTorso(CHANNELS)
  module(tf.constant(IMAGE))
  randomise(module)
  features = module(tf.constant(IMAGE))
  assert features.dtype == tf.float32
  assert features.shape == (BATCH, 3 * 3 * 2 * CHANNELS)
  expected = _slow_image_torso(module, IMAGE / 255)
  assert (expected > 0).mean() > 0.2  # There is something to compare.
  np.testing.assert_allclose(features, expected, atol=1e-5 * expected.max())


def _slow_strided(x, weights, bias, stride):
  """One output pixel at a time; padded so that sides are divided, up."""
  size = len(weights)
  sides = [-(-side // stride) for side in x.shape[1:3]]
  pads = [
    max((out - 1) * stride + size - side, 0)
    for out, side in zip(sides, x.shape[1:3])
  ]
  padded = np.pad(
    x, [(0, 0), *((pad // 2, pad - pad // 2) for pad in pads), (0, 0)]
  )
  y = np.zeros((len(x), *sides, weights.shape[-1]))
  for i, j in np.ndindex(*sides):
    top, left = i * stride, j * stride
    patch = padded[:, top : top + size, left : left + size]
    y[:, i, j] = np.tensordot(patch, weights, 3) + bias
  return y


def test_shallow_images_match_the_paper(randomise):
  module = torsos.ShallowImageTorso(CHANNELS)
  module(tf.constant(IMAGE))
  randomise(module)
  p = {v.name.split('/', 1)[1]: v.numpy() for v in module.variables}
  x = IMAGE / 255
  for name, stride in (('first', 4), ('second', 2)):
    x = _slow_strided(x, p[f'{name}/w:0'], p[f'{name}/b:0'], stride)
    x = np.maximum(x, 0)
  features = module(tf.constant(IMAGE))
  assert features.shape == (BATCH, 3 * 3 * 2 * CHANNELS)
  assert (x > 0).mean() > 0.2
  np.testing.assert_allclose(features, x.reshape(BATCH, -1), atol=1e-4)


@pytest.mark.parametrize(
  'kind', [torsos.ShallowImageTorso, torsos.ResidualImageTorso]
)
def test_bytes_are_scaled_and_floats_are_not(kind):
  module = kind(CHANNELS)
  by_bytes = module(tf.constant(IMAGE))
  scaled = (IMAGE / np.float32(255)).astype(np.float32)
  np.testing.assert_allclose(module(tf.constant(scaled)), by_bytes, rtol=1e-5)
  raw = module(tf.constant(IMAGE.astype(np.float32)))
  assert not np.allclose(raw, by_bytes, rtol=1e-2)


def _mixed(rng, *leading):
  """Observations of every kind."""
  return {
    'flag': rng.rand(*leading) < 0.5,
    'front': rng.randint(256, size=(*leading, 17, 20, 2)).astype(np.uint8),
    'rest': (
      rng.rand(*leading, 16, 16, 1).astype(np.float32),
      rng.randint(3, size=(*leading, 2, 2, 3)).astype(np.uint8),
      rng.randint(9, size=leading),
    ),
  }


def test_each_leaf_has_its_own_torso(randomise):
  observation = _mixed(np.random.RandomState(0), BATCH)
  torso = torsos.Torso(SIZE, POLICY, CHANNELS, 'residual')
  torso(_inputs(observation))
  randomise(torso)

  def parts(kind):
    return [part for part in torso.submodules if isinstance(part, kind)]

  front, depth = parts(torsos.ResidualImageTorso)
  (layer,) = parts(snt.Linear)
  rest = observation['rest']
  joined = np.concatenate(
    [
      observation['flag'][:, np.newaxis],
      front(tf.constant(observation['front'])),
      depth(tf.constant(rest[0])),
      rest[1].reshape(BATCH, -1),
      rest[2][:, np.newaxis],
      np.eye(ACTIONS)[[1] * BATCH],
      [[np.log(1.5)]] * BATCH,
    ],
    axis=1,
  )
  expected = np.maximum(joined @ layer.w.numpy() + layer.b.numpy(), 0)
  np.testing.assert_allclose(
    torso(_inputs(observation)), expected, atol=1e-5 * expected.max()
  )


def test_without_images_there_is_one_layer():
  """Checkpoints from before image support still fit."""
  torso = torsos.Torso(SIZE, POLICY)
  torso(_inputs())
  assert [v.name for v in torso.variables] == [
    'torso/linear/b:0',
    'torso/linear/w:0',
  ]


def test_every_variable_learns(randomise):
  torso = torsos.Torso(SIZE, POLICY, CHANNELS, 'residual')
  inputs = _inputs(_mixed(np.random.RandomState(0), BATCH))
  torso(inputs)
  randomise(torso)
  with tf.GradientTape() as tape:
    loss = tf.reduce_sum(torso(inputs) ** 2)
  for gradient in tape.gradient(loss, torso.trainable_variables):
    assert np.abs(gradient).max() > 0


def test_acting_on_images_is_an_unroll(randomise):
  """Compares single XLA steps, as in acting, with the whole sequence."""
  length = 3
  rng = np.random.RandomState(0)
  observations = _mixed(rng, length, BATCH)
  network = policy_value.PolicyValueNetwork(
    torsos.Torso(SIZE, POLICY, CHANNELS, 'residual'), lstm.LSTM(SIZE), POLICY
  )
  observation_spec = tree.map_structure(
    lambda x: specs.Array(x.shape[2:], x.dtype), observations
  )
  policy_value.create_variables(network, observation_spec)
  # More would make features of 10,000, whose rounding errors are seen.
  randomise(network, scale=0.1)
  policy = policies.BatchedPolicy(network, observation_spec, BATCH, seed=0)
  seen, logits = [], []
  for t in range(length):
    inputs = policy.inputs(
      dm_env.TimeStep(
        step_type=np.full(BATCH, int(t > 0)),
        reward=rng.randn(BATCH).astype(np.float32),
        discount=np.ones(BATCH, np.float32),
        observation=tree.map_structure(lambda x, t=t: x[t], observations),
      )
    )
    seen.append(inputs)
    logits.append(policy.step(inputs).policy)
  sequence = tree.map_structure(lambda *x: tf.constant(np.stack(x)), *seen)
  outputs, state = network.unroll(sequence, network.initial_state(BATCH))
  np.testing.assert_allclose(logits, outputs.policy, rtol=1e-5, atol=1e-5)
  tree.map_structure(
    lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-5, atol=1e-5),
    policy.state,
    state,
  )

"""What a torso reads, and what it leaves out."""

import numpy as np
import pytest
import tensorflow as tf
import tree

from ald_acme import types
from ald_acme.networks import torsos

BATCH, ACTIONS, SIZE = 4, 3, 6
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
  torso = torsos.Torso(SIZE, ACTIONS)
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
    [[0.5]] * BATCH,
  ]
  expected = np.concatenate(parts, 1) @ weights.numpy() + bias.numpy()
  np.testing.assert_allclose(features, np.maximum(expected, 0), rtol=1e-5)


@pytest.mark.parametrize('start', [False, True])
def test_start_of_episode_hides_the_action(torso, start):
  one, other = (torso(_inputs(start=start, action=a)) for a in (0, 2))
  assert np.array_equal(one, other) == start


def test_no_action_is_not_the_first_action(torso):
  begun, after = torso(_inputs(start=True)), torso(_inputs(action=0))
  assert not np.allclose(begun, after)


def test_reward_is_seen(torso):
  one, other = torso(_inputs(reward=0.0)), torso(_inputs(reward=1.0))
  assert not np.allclose(one, other)


@pytest.mark.parametrize('dtype', [np.uint8, np.int32, np.float64])
def test_numbers_are_cast(torso, dtype):
  np.testing.assert_array_equal(
    torso(_inputs(WINDOW.astype(dtype))), torso(_inputs())
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

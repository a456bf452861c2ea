"""Small networks, synthetic unrolls, and fakes."""

from acme import specs
import numpy as np
import pytest
import sonnet as snt
import tensorflow as tf
import tree

from agents.ald import builder as ald_builder
from agents.ald import config as ald_config
from ald_acme import types
from ald_acme.environments.tasks import i_maze
from ald_acme.networks import sizes

T, E, A = 4, 3, 4
_TINY = sizes.PRESETS['tiny']


class _Writer:
  """Keeps a copy of each item; says that the program stopped when told to."""

  def __init__(self):
    self.items = {}
    self.stopped = False

  def write(self, step, select):
    if not self.stopped:
      for table, part in select.items():
        item = tree.map_structure(np.array, part(step))
        self.items.setdefault(table, []).append(item)
    return not self.stopped


@pytest.fixture
def writer():
  return _Writer()


@pytest.fixture
def make_config():
  """Makes a config of small networks."""
  return lambda **kwargs: ald_config.ALDConfig(
    **{
      'networks': _TINY,
      'unroll_length': T,
      'envs_per_actor': E,
      'learner_learning_rate': 1e-2,
      'distiller_learning_rate': 1e-2,
      **kwargs,
    }
  )


@pytest.fixture
def make_networks(make_config):
  """Makes both networks; no variable is left at zero."""

  def make(seed=0, **kwargs):
    config = make_config(seed=seed, **kwargs)
    maze = i_maze.BatchedIMaze(size=5)
    networks = ald_builder.ALDBuilder(config).make_networks(
      specs.make_environment_spec(maze)
    )
    rng = np.random.RandomState(seed)
    for network in (networks.actor, networks.learner):
      for variable in network.trainable_variables:
        variable.assign_add(0.3 * rng.randn(*variable.shape))
    return networks

  return make


@pytest.fixture
def make_unroll():
  """Makes up an unroll of a few short episodes."""

  def make(seed=0, length=T, stream=0, sequence=0, learner_updates=0):
    rng = np.random.RandomState(seed)
    # Episodes of six steps, each environment somewhere else in its own. Those
    # of the last are cut off, the others end.
    age = (np.arange(length + 1)[:, np.newaxis] + 2 * np.arange(E)) % 6
    start, is_last = age == 0, age == 5
    ended = is_last & (np.arange(E) < E - 1)
    reward = np.where(start, 0, rng.randn(length + 1, E)).astype(np.float32)
    discount = np.where(ended, 0, 1).astype(np.float32)
    action = rng.randint(A, size=(length + 1, E)).astype(np.int32)
    return types.Unroll(
      inputs=types.Inputs(
        observation=np.eye(6, dtype=np.float32)[
          rng.randint(6, size=(length + 1, E, 3, 3))
        ],
        action=np.roll(action, 1, axis=0),
        reward=reward,
        start_of_episode=start,
      ),
      action=action[:-1],
      reward=reward[1:].copy(),  # The inputs' own is left alone by changes.
      discount=discount[1:],
      is_last=is_last[:-1],
      behaviour_policy=rng.randn(length, E, A).astype(np.float32),
      actor_state=snt.LSTMState(*rng.randn(2, E, 8).astype(np.float32)),
      stamp=types.Stamp(*map(np.int64, (stream, sequence, learner_updates))),
    )

  return make


@pytest.fixture
def tensors():
  """Turns the arrays of a nest into tensors, as a reader gives them."""
  return lambda nest: tree.map_structure(tf.convert_to_tensor, nest)

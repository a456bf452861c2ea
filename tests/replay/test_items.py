"""Signatures match real unrolls; items are concatenated to batches."""

from typing import NamedTuple

from acme import specs
import dm_env
import numpy as np
import pytest
import tensorflow as tf
import tree

from agents.actor_critic import acting
from agents.actor_critic import learning
from agents.ald import builder as ald_builder
from agents.ald import config as ald_config
from agents.ald import learner_runner
from ald_acme import types
from ald_acme.environments.batches import stacking
from ald_acme.environments.tasks import i_maze
from ald_acme.networks import sizes
from ald_acme.parameters import variables
from ald_acme.replay import adder as unroll_adder
from ald_acme.replay import items
from ald_acme.replay import tables

T, E = 4, 3


class Toy(dm_env.Environment):
  """An observation of several parts."""

  def reset(self):
    return dm_env.restart(self._observation())

  def step(self, action):
    return dm_env.transition(0.0, self._observation())

  def _observation(self):
    return tree.map_structure(
      lambda s: s.generate_value(), self.observation_spec()
    )

  def observation_spec(self):
    return {
      'picture': specs.Array((2, 2, 3), np.uint8),
      'place': (specs.Array((2,), np.float32), specs.Array((), np.int64)),
    }

  def action_spec(self):
    return specs.DiscreteArray(7)


class Fake:
  """A writer that keeps what it gets, and parameters that stay."""

  def __init__(self, network):
    self.items = {}
    self.vector = variables.Variables(network.trainable_variables).read_flat()
    self.age = 0

  def write(self, step, select):
    self.items.update({name: part(step) for name, part in select.items()})
    return True

  def pull(self):
    pass


@pytest.mark.parametrize(
  'environment',
  [i_maze.BatchedIMaze(E, size=5), stacking.Stacked([Toy() for _ in range(E)])],
  ids=['maze', 'toy'],
)
def test_specs_match_items(environment):
  config = ald_config.ALDConfig(networks=sizes.PRESETS['tiny'])
  spec = specs.make_environment_spec(environment)
  networks = ald_builder.ALDBuilder(config).make_networks(spec)
  unroll_spec = items.unroll_spec(
    spec, items.state_spec(networks.actor, E), T, E
  )
  expected = {
    tables.QUEUE: unroll_spec,
    'learner': learning.LearnerItem(
      unroll_spec, items.state_spec(networks.learner, E)
    ),
    'distill': learner_runner.distill_spec(
      unroll_spec, networks.learner.feature_size
    ),
  }

  fake = Fake(networks.learner)
  adder = unroll_adder.UnrollAdder(fake, T)
  actor = acting.RecurrentActor(networks.actor, seed=0, adder=adder)
  acting.UnrollLoop(environment, actor, adder, T).step()
  unroll = tree.map_structure(tf.constant, fake.items[tables.QUEUE])
  learner_runner.DistillingRunner(
    networks.learner, iter([[unroll]]), fake, fake, features=True
  ).step()
  assert fake.items.keys() == expected.keys()
  for table, spec in expected.items():
    made = tree.map_structure(
      lambda x: tf.TensorSpec(np.shape(x), np.asarray(x).dtype),
      fake.items[table],
    )
    tree.assert_same_structure(made, spec, check_types=True)
    for path, leaf in tree.flatten_with_path(made):
      assert dict(tree.flatten_with_path(spec))[path] == leaf, path


class State(NamedTuple):
  """A recurrent state of more than one level."""

  memory: np.ndarray
  more: dict


def _numbers(rng, *shape):
  return rng.randint(99, size=shape)


def _unroll(rng):
  scalars = [np.asarray(_numbers(rng)) for _ in types.Stamp._fields]
  observation = {
    'x_state': _numbers(rng, T + 1, E, 2, 1),  # No recurrent state.
    'y': _numbers(rng, T + 1, E),
  }
  return types.Unroll(
    inputs=types.Inputs(
      observation, *(_numbers(rng, T + 1, E) for _ in range(3))
    ),
    action=_numbers(rng, T, E),
    reward=_numbers(rng, T, E),
    discount=_numbers(rng, T, E),
    is_last=_numbers(rng, T, E),
    behaviour_policy=_numbers(rng, T, E, 7),
    actor_state=_state(rng),
    stamp=types.Stamp(*scalars),
  )


def _state(rng):
  return State(_numbers(rng, E, 5), {'z': _numbers(rng, E)})


def _learner_item(rng):
  return learning.LearnerItem(_unroll(rng), _state(rng))


def _distill_item(rng):
  targets = learner_runner.Targets(
    policy=_numbers(rng, T, E, 7),
    value=_numbers(rng, T, E),
    features=_numbers(rng, T, E, 5),
    learner_updates=np.asarray(_numbers(rng)),
  )
  return learner_runner.DistillItem(_unroll(rng), targets)


@pytest.mark.parametrize('graph', [False, True], ids=['eager', 'graph'])
@pytest.mark.parametrize('count', [1, 3])
@pytest.mark.parametrize('make', [_unroll, _learner_item, _distill_item])
def test_concatenate(make, count, graph):
  rng = np.random.RandomState(0)
  made = [make(rng) for _ in range(count)]
  tensors = tree.map_structure(tf.constant, made)
  join = tf.function(items.concatenate) if graph else items.concatenate
  joined = join(tensors)
  tree.assert_same_structure(joined, made[0], check_types=True)
  for path, leaf in tree.flatten_with_path(joined):
    leaves = [dict(tree.flatten_with_path(item))[path] for item in made]
    if np.ndim(leaves[0]) == 0:
      expected = np.stack(leaves)
      assert expected.shape == (count,)
    elif 'actor_state' in path or 'learner_state' in path:
      expected = np.concatenate(leaves, axis=0)
      assert expected.shape[0] == count * E
    else:
      expected = np.concatenate(leaves, axis=1)
      assert expected.shape[0] in (T, T + 1)
      assert expected.shape[1] == count * E
    np.testing.assert_array_equal(leaf, expected)

"""The parts that the actor-critic builder creates, without a server."""

import functools

from acme import specs
import numpy as np
import pytest
import tree

from agents import actor_critic
from ald_acme.environments.tasks import i_maze
from ald_acme.networks import sizes
from ald_acme.replay import local

E, T = 3, 4
_CONFIG = functools.partial(
  actor_critic.ActorCriticConfig,
  networks=sizes.PRESETS['tiny'],
  envs_per_actor=E,
  unroll_length=T,
  learner_reuse=1.0,
)


def _make_environment(batch_size, seed):
  return i_maze.BatchedIMaze(batch_size, size=5, limit=6, seed=seed)


def _networks(builder):
  spec = specs.make_environment_spec(_make_environment(1, 0))
  return builder.make_networks(spec)


class _Still:
  """Serves parameters that stay as they are."""

  def __init__(self, network):
    self._arrays = [v.numpy() for v in network.trainable_variables]

  def get_variables(self, names):
    known = {'actor': self._arrays, 'updates': [np.int64(0)]}
    return [known[name] for name in names]


@pytest.mark.parametrize('kind', ['lstm', 'gtrxl', 'memoryless'])
def test_the_learner_begins_where_the_actor_was(kind):
  builder = actor_critic.ActorCriticBuilder(_CONFIG(), kind)
  network = _networks(builder).actor
  replay = local.LocalReplay(builder.tables(), seed=0)
  loop = builder.make_acting_loop(
    _networks(builder), _make_environment, replay, _Still(network)
  )
  for _ in range(5):
    assert loop.step()
  items = [item for (item,) in builder.make_dataset_iterator(replay)]
  assert len(items) == 5
  state = network.initial_state(E)
  for item in items:
    tree.map_structure(
      lambda own, expected: np.testing.assert_allclose(
        own, expected, rtol=1e-4, atol=1e-5
      ),
      item.learner_state,
      state,
    )
    inputs = tree.map_structure(lambda x: x[:-1], item.unroll.inputs)
    _, state = network.unroll(inputs, state)


def test_custom_objective_and_optimiser():
  made = []

  def make_objective(network, config):
    made.append((network, config))
    return actor_critic.VMPO(network, config)

  builder = actor_critic.ActorCriticBuilder(
    _CONFIG(),
    objective_factory=make_objective,
    optimizer_factory=lambda size: made.append(size),
  )
  networks = _networks(builder)
  learner = builder.make_learner(networks, iter([]))
  assert made[0][0] is networks.learner
  assert made[0][1] is builder.config
  assert made[1] == sum(
    v.shape.num_elements() for v in networks.learner.trainable_variables
  )
  assert isinstance(learner._objective, actor_critic.VMPO)


def test_defaults_are_those_of_the_command_line():
  # As --agent=lstm; only ALD has a regulariser.
  assert actor_critic.ActorCriticConfig().regulariser_cost == 0.0
  assert actor_critic.AsymmetricConfig().regulariser_cost == 0.0

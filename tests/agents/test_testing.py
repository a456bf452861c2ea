"""Our builders and Acme's pass the conformance tests."""

import copy
import os

import acme
import pytest

from agents import catalogue
from agents import testing
from ald_acme.environments.tasks import i_maze
from ald_acme.networks import sizes


class _Ours(testing.BuilderTestMixin):
  """Agents of this project."""

  agent: str

  def make_object_under_test(self):
    return catalogue.make_builder(
      self.agent,
      catalogue.config_class(self.agent)(
        envs_per_actor=1, unroll_length=5, networks=sizes.PRESETS['tiny']
      ),
    )

  def make_environment(self):
    return i_maze.IMaze(size=5, limit=10)

  def make_networks(self, builder, environment_spec):
    return builder.make_networks(environment_spec)

  def make_adder(self, builder, client, should_stop):
    return builder.make_adder(client, should_stop=should_stop)


class _WithRunner(_Ours):
  """Agents with a learner runner."""

  def relay(self, builder, client, learner, should_stop):
    networks = builder.make_networks(
      acme.make_environment_spec(self.make_environment())
    )
    runner = builder.make_learner_runner(
      networks, client, learner, should_stop=should_stop
    )
    runner.run(should_stop)


class TestALD(_WithRunner):
  agent = 'ald'

  def serve_actor(self, builder, networks, learner):
    return builder.make_actor_parameters(networks)


class TestLSTM(_Ours):
  agent = 'lstm'


class TestAsymmetric(_WithRunner):
  agent = 'asymmetric'


@pytest.fixture(params=catalogue.NAMES)
def name(request):
  return request.param


class TestOurPrograms(testing.ProgramBuilderTestMixin):
  """Agents of this project in a program."""

  @pytest.fixture(autouse=True)
  def _name(self, name):
    self.name = name

  def make_object_under_test(self):
    config = catalogue.config_class(self.name)()
    return catalogue.make_builder(self.name, config)


class TestToysProgram(testing.ProgramBuilderTestMixin):
  @pytest.fixture(autouse=True)
  def _import(self, monkeypatch):
    monkeypatch.syspath_prepend(os.path.dirname(__file__))

  def make_object_under_test(self):
    import toy_builder

    return toy_builder.ToyBuilder()


class TestD4PG(testing.BuilderTestMixin):
  """Acme's own: the contract is not made for ours."""

  updates = 2  # It serves the targets, which follow one update later.

  def make_object_under_test(self):
    pytest.importorskip('jax', reason="Acme's adders import it.")
    from acme.agents.tf import d4pg
    from acme.agents.tf.d4pg import agent

    assert d4pg
    return agent.D4PGBuilder(
      agent.D4PGConfig(
        batch_size=4,
        min_replay_size=4,
        samples_per_insert=None,
        target_update_period=1,
      )
    )

  def make_environment(self):
    from acme.testing import fakes

    return fakes.ContinuousEnvironment(
      action_dim=2, observation_dim=3, episode_length=10, bounded=True
    )

  def make_networks(self, builder, environment_spec):
    from acme.agents.tf.d4pg import agent
    from acme.tf import networks as acme_networks
    import numpy as np
    import sonnet as snt
    import tensorflow as tf

    online = agent.D4PGNetworks(
      policy_network=snt.Sequential(
        [
          snt.nets.MLP([8, int(np.prod(environment_spec.actions.shape))]),
          acme_networks.TanhToSpec(environment_spec.actions),
        ]
      ),
      critic_network=snt.Sequential(
        [
          acme_networks.CriticMultiplexer(),
          # The fake observes zeros alone, where a ReLU has no gradient.
          snt.nets.MLP([8, 8], activation=tf.tanh),
          acme_networks.DiscreteValuedHead(-1.0, 1.0, 11),
        ]
      ),
      observation_network=tf.identity,
    )
    target = copy.deepcopy(online)
    online.init(environment_spec)
    target.init(environment_spec)
    self._spec = environment_spec
    return online, target

  def policy_network(self, networks):
    return networks[0].make_policy(self._spec, sigma=0.3)

  def variable_names(self):
    return ['policy']

"""The builder of agents whose learner has a different network."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
import copy
import typing
from typing import Any

import acme
from acme import specs
from acme.utils import counting
from acme.utils import loggers

from agents import builders
from agents.actor_critic import builder
from agents.actor_critic import config as actor_critic_config
from agents.actor_critic import parts

if typing.TYPE_CHECKING:
  from agents.actor_critic import learner_runner
  from agents.actor_critic import learning
  from agents.actor_critic import networks as actor_critic_networks
  from agents.actor_critic import objectives
  from agents.actor_critic import turns
  from ald_acme import optimizers
  from ald_acme.acting import observing
  from ald_acme.replay import local
  from ald_acme.replay import tables


class AsymmetricBuilder(builder.ActorCriticBuilder):
  """An actor and a learner with different networks.

  A learner runner reads the actors' queue with the learner's network and
  attaches that network's initial recurrent state to each unroll.
  """

  learner_table = 'learner'
  _config: actor_critic_config.AsymmetricConfig

  def __init__(
    self,
    config: actor_critic_config.AsymmetricConfig,
    network_factory: actor_critic_networks.NetworkFactory | None = None,
    objective_factory: objectives.ObjectiveFactory | None = None,
    optimizer_factory: Callable[[int], optimizers.Optimizer] | None = None,
    observer_factory: observing.ObserverFactory | None = None,
  ) -> None:
    """Stores the configuration and the factories.

    Args:
      config: the agent's configuration.
      network_factory: creates the networks for an `acme.EnvironmentSpec`; by
        default an LSTM actor, and a learner with a GTrXL for its value.
      objective_factory: as `ActorCriticBuilder`.
      optimizer_factory: as `ActorCriticBuilder`.
      observer_factory: as `ActorCriticBuilder`.
    """
    super().__init__(
      config,
      network_factory=network_factory,
      objective_factory=objective_factory,
      optimizer_factory=optimizer_factory,
      observer_factory=observer_factory,
    )

  def _make_networks(
    self, environment_spec: specs.EnvironmentSpec
  ) -> actor_critic_networks.ActorCriticNetworks:
    from agents.actor_critic import networks

    config = self._config
    return networks.make_asymmetric(
      environment_spec, config.networks, config.actor_observations, config.seed
    )

  def tables(self) -> list[tables.Queue | tables.Replay]:
    from agents.actor_critic import learner_runner
    from ald_acme.replay import tables

    size = self._config.learner_queue_size
    return [*super().tables(), tables.Queue(learner_runner.LEARNER, size)]

  def _signatures(
    self,
    environment_spec: specs.EnvironmentSpec,
    networks: actor_critic_networks.ActorCriticNetworks,
  ) -> dict[str, Any]:
    from agents.actor_critic import learner_runner
    from agents.actor_critic import learning
    from ald_acme.replay import items
    from ald_acme.replay import tables

    made = super()._signatures(environment_spec, networks)
    state = items.state_spec(networks.learner, self._config.envs_per_actor)
    item = learning.LearnerItem(made[tables.QUEUE], state)
    return {**made, learner_runner.LEARNER: item}

  def _stores_state(self) -> bool:
    return False

  def _make_batches(
    self, replay_client: parts.Replay, should_stop: builders.ShouldStop
  ) -> Iterator[Sequence[learning.LearnerItem]]:
    batch = self._config.learner_batch
    return parts.queue_reader(
      replay_client, self.learner_table, batch, should_stop
    )

  def make_learner_runner(
    self,
    networks: actor_critic_networks.ActorCriticNetworks,
    replay_client: parts.Replay,
    variable_source: acme.VariableSource,
    counter: counting.Counter | None = None,
    logger: loggers.Logger | None = None,
    should_stop: builders.ShouldStop = builders.never,
  ) -> learner_runner.LearnerRunner:
    """Creates the learner runner, the only reader of `queue`."""
    from agents.actor_critic import learner_runner
    from ald_acme.parameters import pulled
    from ald_acme.replay import tables

    size = self._config.learner_queue_size
    return self._learner_runner_class()(
      network=networks.learner,
      unrolls=parts.queue_reader(replay_client, tables.QUEUE, 1, should_stop),
      writer=parts.queue_writer(
        replay_client, self.learner_table, self._ahead(size), should_stop
      ),
      parameters=pulled.PulledParameters(
        variable_source,
        learner_runner.LEARNER,
        networks.learner.trainable_variables,
      ),
      counter=counter,
      logger=logger,
    )

  def _learner_runner_class(
    self,
  ) -> Callable[..., learner_runner.LearnerRunner]:
    from agents.actor_critic import learner_runner

    return learner_runner.LearnerRunner

  def make_turns(
    self,
    networks: actor_critic_networks.ActorCriticNetworks,
    replay: local.LocalReplay,
    learner: learning.ActorCriticLearner,
    counter: counting.Counter,
  ) -> turns.Turns:
    from agents.actor_critic import turns

    runner = self.make_learner_runner(
      copy.deepcopy(networks), replay, learner, counter
    )
    return turns.RunnerTurns(learner, replay, runner)

  def nodes(self) -> list[builders.Node]:
    """The learner runner."""
    return [
      *super().nodes(),
      builders.Node(
        'learner_runner',
        self._make_runner_node,
        uses=(builders.LEARNER,),
        accelerated=True,
      ),
    ]

  def _make_runner_node(self, context: builders.Context) -> builders.Worker:
    return self.make_learner_runner(
      context.networks,
      context.replay,
      context.nodes[builders.LEARNER],
      context.counter,
      context.logger,
      context.should_stop,
    )

"""The acting half of a builder: networks, queue, actors and evaluator."""

from __future__ import annotations

from collections.abc import Callable
import typing
from typing import Any

import acme
from acme import specs
from acme.utils import counting
from acme.utils import loggers
import numpy as np

from agents import builders
from agents import experiment
from agents.actor_critic import config as actor_critic_config
from agents.actor_critic import parts
from ald_acme.environments.batches import checked
from ald_acme.environments.interface import base

if typing.TYPE_CHECKING:
  import reverb

  from agents.actor_critic import acting
  from agents.actor_critic import networks as actor_critic_networks
  from ald_acme.acting import evaluator
  from ald_acme.acting import observing
  from ald_acme.networks import protocols
  from ald_acme.replay import adder
  from ald_acme.replay import tables

# Methods import their parts themselves: TensorFlow takes seconds to import, and
# the launcher and some nodes do not need it.

# Consumers of random numbers, with independent streams.
ACTING, EVALUATING_ACTOR, EVALUATING_LEARNER, SAMPLING, REUSING = range(5)


class UnrollBuilder:
  """Creates the networks and the parts that act; a subclass adds the learner.

  Actors store the network's recurrent state with each unroll.
  """

  def __init__(
    self,
    config: actor_critic_config.ActorCriticConfig,
    kind: str = 'lstm',
    network_factory: actor_critic_networks.NetworkFactory | None = None,
    observer_factory: observing.ObserverFactory | None = None,
  ) -> None:
    """Stores the configuration and the factories; as `ActorCriticBuilder`."""
    config.validate()
    self._config = config
    self._kind = kind
    self._network_factory = network_factory
    self._observer_factory = observer_factory

  @property
  def config(self) -> actor_critic_config.ActorCriticConfig:
    """The agent's configuration."""
    return self._config

  # --- Networks.

  def make_networks(
    self, environment_spec: specs.EnvironmentSpec
  ) -> actor_critic_networks.ActorCriticNetworks:
    """Creates both networks, initialised from the seed.

    Raises:
      ValueError: if the network factory returns anything else.
    """
    if self._network_factory is None:
      return self._make_networks(environment_spec)
    import tensorflow as tf

    tf.random.set_seed(self._config.seed)
    made = self._network_factory(environment_spec)
    self.check_networks(made, environment_spec)
    return made

  def check_networks(
    self, made: Any, environment_spec: specs.EnvironmentSpec
  ) -> None:
    """Checks networks of the user's; as `agents.actor_critic.networks.check`.

    Raises:
      ValueError: if a network is missing, lacks a method, or is for other
        actions.
    """
    from agents.actor_critic import networks

    networks.check(made, environment_spec)

  def _make_networks(
    self, environment_spec: specs.EnvironmentSpec
  ) -> actor_critic_networks.ActorCriticNetworks:
    """Creates the default networks, with the config's sizes."""
    from agents.actor_critic import networks

    config = self._config
    return networks.make_symmetric(
      self._kind, environment_spec, config.networks, config.seed
    )

  # --- Replay.

  def tables(self) -> list[tables.Queue | tables.Replay]:
    """Describes the tables, without their signatures."""
    from ald_acme.replay import tables

    return [tables.Queue(tables.QUEUE, self._config.queue_size)]

  def make_replay_tables(
    self, environment_spec: specs.EnvironmentSpec
  ) -> list[reverb.Table]:
    """The tables, for one `reverb.Server`."""
    from ald_acme.replay import tables

    networks = self.make_networks(environment_spec)
    signatures = self._signatures(environment_spec, networks)
    described = self.tables()
    queues = [table for table in described if isinstance(table, tables.Queue)]
    return [
      *(table.make(signatures[table.name]) for table in described),
      *(queue.make_permits() for queue in queues),
    ]

  def _signatures(
    self,
    environment_spec: specs.EnvironmentSpec,
    networks: actor_critic_networks.ActorCriticNetworks,
  ) -> dict[str, Any]:
    """Signatures of the tables' items, by table."""
    from ald_acme.replay import items
    from ald_acme.replay import tables

    config = self._config
    state = ()
    if self._stores_state():
      state = items.state_spec(networks.actor, config.envs_per_actor)
    return {
      tables.QUEUE: items.unroll_spec(
        environment_spec, state, config.unroll_length, config.envs_per_actor
      )
    }

  def _stores_state(self) -> bool:
    """Whether unrolls hold the acting network's initial state."""
    return True

  def _ahead(self, queue_size: int) -> int:
    """Number of items that a writer may be ahead of its queue's reader."""
    return max(queue_size, self._config.learner_batch)

  # --- Acting.

  def make_adder(
    self,
    replay_client: parts.Replay,
    stream: int = 0,
    should_stop: builders.ShouldStop = builders.never,
  ) -> adder.UnrollAdder:
    """Creates the adder of `config.envs_per_actor` environments.

    Args:
      replay_client: client of the replay server.
      stream: index of the actor.
      should_stop: called while the queue is full; true ends the wait.
    """
    from ald_acme.replay import adder
    from ald_acme.replay import tables

    size = self._config.queue_size
    return adder.UnrollAdder(
      parts.queue_writer(
        replay_client, tables.QUEUE, self._ahead(size), should_stop
      ),
      self._config.unroll_length,
      stream,
      store_state=self._stores_state(),
    )

  def make_actor(
    self,
    policy_network: protocols.Network,
    adder: adder.UnrollAdder | None = None,
    variable_source: acme.VariableSource | None = None,
    seed: Any = None,
  ) -> acting.RecurrentActor:
    """Creates an actor for one environment or a batch of them.

    Args:
      policy_network: the actor of `make_networks`.
      adder: from `make_adder`; None to act without recording.
      variable_source: serves 'actor' and 'updates'; None to keep the
        parameters.
      seed: seed of the actions; by default that of actor 0.
    """
    from agents.actor_critic import acting
    from ald_acme.parameters import pulled
    from ald_acme.parameters import variables

    variables.check_trainable(policy_network)
    parameters = None
    if variable_source is not None:
      parameters = pulled.PulledParameters(
        variable_source,
        'actor',
        policy_network.trainable_variables,
        self._config.actor_update_period,
      )
    if seed is None:
      seed = self.seed_of(ACTING, 0)
    return acting.RecurrentActor(policy_network, seed, adder, parameters)

  def make_acting_loop(
    self,
    networks: actor_critic_networks.ActorCriticNetworks,
    environment_factory: builders.EnvironmentFactory,
    replay_client: parts.Replay,
    variable_source: acme.VariableSource,
    index: int = 0,
    restarts: int = 0,
    counter: counting.Counter | None = None,
    logger: loggers.Logger | None = None,
    should_stop: builders.ShouldStop = builders.never,
  ) -> acting.UnrollLoop:
    """Creates an actor with its environments; as `agents.builders.Builder`."""
    from agents.actor_critic import acting

    seed = self.seed_of(ACTING, index, restarts)
    adder = self.make_adder(replay_client, index, should_stop)
    return acting.UnrollLoop(
      self.make_environment(
        environment_factory, self._config.envs_per_actor, seed
      ),
      self.make_actor(networks.actor, adder, variable_source, seed),
      adder,
      self._config.unroll_length,
      counter,
      logger,
      seed.spawn(1)[0] if self._config.stagger_episodes else None,
      self._observer_factory,
    )

  # --- Evaluation.

  def make_evaluator(
    self,
    networks: actor_critic_networks.ActorCriticNetworks,
    environment_factory: builders.EnvironmentFactory,
    actor_source: acme.VariableSource,
    learner_source: acme.VariableSource | None = None,
    counter: counting.Counter | None = None,
    logger: loggers.Logger | None = None,
    clock: Callable[[], float] | None = None,
    evaluation: experiment.EvaluationConfig | None = None,
  ) -> evaluator.Evaluator:
    """Creates the evaluator, also of the learner if it has a source."""
    from ald_acme.acting import evaluator
    from ald_acme.acting import policies
    from ald_acme.parameters import pulled

    def subject(
      name: str,
      network: protocols.Network,
      source: acme.VariableSource,
      schedule: evaluator.Schedule,
      place: int,
    ) -> evaluator.EvaluatedPolicy:
      seed = self.seed_of(place)
      batch = min(schedule.episodes, config.evaluation_envs)
      environment = self.make_environment(environment_factory, batch, seed)
      spec = environment.observation_spec()
      return evaluator.EvaluatedPolicy(
        environment,
        policies.BatchedPolicy(network, spec, batch, seed),
        pulled.PulledParameters(source, name, network.trainable_variables),
        schedule,
      )

    config = evaluation or experiment.EvaluationConfig()
    return evaluator.Evaluator(
      subject(
        'actor',
        networks.actor,
        actor_source,
        evaluator.Schedule(
          config.evaluation_frames,
          config.evaluation_period,
          config.evaluation_episodes,
          config.evaluation_share,
        ),
        EVALUATING_ACTOR,
      ),
      learner_source
      and subject(
        'learner',
        networks.learner,
        learner_source,
        evaluator.Schedule(
          config.learner_evaluation_frames,
          config.learner_evaluation_period,
          config.learner_evaluation_episodes,
          config.evaluation_share,
        ),
        EVALUATING_LEARNER,
      ),
      counter,
      logger,
      clock,
      max_steps=config.evaluation_max_steps,
    )

  # --- Random numbers.

  def make_environment(
    self,
    environment_factory: builders.EnvironmentFactory,
    batch_size: int,
    seed: np.random.SeedSequence,
  ) -> base.BatchedEnvironment:
    """Creates environments seeded from `seed_of`.

    Those with an action mask are checked against their specs
    (`checked.masked`).
    """
    return checked.masked(
      environment_factory(batch_size, int(seed.generate_state(1)[0] >> 1))
    )

  def seed_of(self, *path: int) -> np.random.SeedSequence:
    """An independent random stream for each consumer of random numbers."""
    return np.random.SeedSequence([self._config.seed, *path])

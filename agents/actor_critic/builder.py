"""The builder of actor-critics."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
import time
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
from ald_acme.environments import base
from ald_acme.environments import checked
from ald_acme.runs import indicators

if typing.TYPE_CHECKING:
  import reverb
  import tensorflow as tf

  from agents.actor_critic import acting
  from agents.actor_critic import agent
  from agents.actor_critic import learning
  from agents.actor_critic import networks as actor_critic_networks
  from agents.actor_critic import objectives
  from ald_acme import optimizers
  from ald_acme.acting import evaluator
  from ald_acme.acting import observing
  from ald_acme.networks import protocols
  from ald_acme.replay import adder
  from ald_acme.replay import local
  from ald_acme.replay import reader
  from ald_acme.replay import tables

# Methods import their parts themselves: TensorFlow takes seconds to import, and
# the launcher and some nodes do not need it.

# Consumers of random numbers, with independent streams.
ACTING, EVALUATING_ACTOR, EVALUATING_LEARNER, SAMPLING, REUSING = range(5)


class ActorCriticBuilder:
  """Creates the parts of an agent whose learner trains the acting network.

  Actors store the network's recurrent state with each unroll and pull
  parameters from the learner, which reads their queue. The builder holds no
  TensorFlow state, so it is picklable. Each method creates one part, and a
  subclass may override any of them.
  """

  acting_source = builders.LEARNER
  learner_table = 'queue'  # The table that the learner reads.

  def __init__(
    self,
    config: actor_critic_config.ActorCriticConfig,
    kind: str = 'lstm',
    network_factory: actor_critic_networks.NetworkFactory | None = None,
    objective_factory: objectives.ObjectiveFactory | None = None,
    optimizer_factory: Callable[[int], optimizers.Optimizer] | None = None,
    observer_factory: observing.ObserverFactory | None = None,
  ) -> None:
    """Stores the configuration and the factories.

    Args:
      config: of the agent.
      kind: kind of the network: 'lstm', 'gtrxl' or 'memoryless'.
      network_factory: creates the networks for an `acme.EnvironmentSpec`; by
        default networks of the kind, with the config's sizes.
      objective_factory: creates the learner's objective from its network and
        `config`; by default the one named by `config.loss`.
      optimizer_factory: creates the learner's optimiser from the number of
        parameters; by default Adam with the config's learning rate.
      observer_factory: creates Acme's observers of one environment, for actors
        in batches of environments; none by default.
    """
    config.validate()
    self._config = config
    self._kind = kind
    self._network_factory = network_factory
    self._objective_factory = objective_factory
    self._optimizer_factory = optimizer_factory
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
      ValueError: if the network factory returns something else.
    """
    if self._network_factory is None:
      return self._make_networks(environment_spec)
    import tensorflow as tf

    from agents.actor_critic import networks

    tf.random.set_seed(self._config.seed)
    made = self._network_factory(environment_spec)
    networks.check(made, environment_spec)
    return made

  def _make_networks(
    self, environment_spec: specs.EnvironmentSpec
  ) -> actor_critic_networks.ActorCriticNetworks:
    """Creates the default networks, with the config's sizes."""
    from agents.actor_critic import networks

    config = self._config
    return networks.make_symmetric(
      self._kind, environment_spec, config.networks, config.seed
    )

  def load_networks(
    self,
    networks: actor_critic_networks.ActorCriticNetworks,
    state: dict[str, Any],
  ) -> None:
    """Loads a checkpoint's parameters into the networks.

    Args:
      networks: from `make_networks`. state: the checkpoint's states of the
        parts, by name.

    Raises:
      ValueError: if a part is missing, or belongs to networks of other sizes.
    """
    parts.load(networks.learner, state, builders.LEARNER)
    for variable, learned in zip(
      networks.actor.trainable_variables, self._acting_variables(networks)
    ):
      variable.assign(learned)

  def _acting_variables(
    self, networks: actor_critic_networks.ActorCriticNetworks
  ) -> list[tf.Variable]:
    """The learner's variables that actors pull."""
    from agents.actor_critic import networks as own_networks

    return own_networks.acting_variables(networks)

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

  def make_dataset_iterator(
    self,
    replay_client: parts.Replay,
    should_stop: builders.ShouldStop = builders.never,
  ) -> reader.Reuse:
    """The learner's batches: new ones in order, recent ones replayed."""
    from ald_acme.replay import reader

    return reader.Reuse(
      self._make_batches(replay_client, should_stop),
      self._config.learner_reuse,
      self._config.learner_replay_size,
      self.seed_of(REUSING),
    )

  def _make_batches(
    self, replay_client: parts.Replay, should_stop: builders.ShouldStop
  ) -> Iterator[Sequence[learning.LearnerItem]]:
    """New batches: each unroll once and in order."""
    from agents.actor_critic import learning
    from ald_acme.replay import reader

    def items(
      unrolls: Sequence[Any],
    ) -> list[learning.LearnerItem]:
      return [learning.LearnerItem(u, u.actor_state) for u in unrolls]

    batch = self._config.learner_batch
    return reader.Mapped(
      items,
      parts.queue_reader(replay_client, self.learner_table, batch, should_stop),
    )

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
      replay_client: of the replay server.
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
        len(policy_network.trainable_variables),
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

  # --- Learning.

  def make_learner(
    self,
    networks: actor_critic_networks.ActorCriticNetworks,
    dataset: Iterator[Sequence[learning.LearnerItem]],
    counter: counting.Counter | None = None,
    logger: loggers.Logger | None = None,
    checkpoint: bool = False,
    directory: str | None = None,
  ) -> learning.ActorCriticLearner:
    """The learner of `networks.learner`.

    Args:
      networks: of `make_networks`.
      dataset: from `make_dataset_iterator`.
      counter: counts `learner_updates`.
      logger: receives a row per update.
      checkpoint: whether the learner saves and restores itself and its counter.
        In `DistributedAgent` the monitor saves all parts instead.
      directory: folder of these checkpoints.

    Raises:
      ValueError: if `checkpoint` is set without a directory, or if a network
        has variables that are not trainable.
    """
    from agents.actor_critic import learning

    if checkpoint and directory is None:
      raise ValueError(
        'make_learner(checkpoint=True) needs directory=, but received none; '
        'give a folder that stays the same across restarts, or '
        'checkpoint=False.'
      )
    network = networks.learner
    size = sum(v.shape.num_elements() for v in network.trainable_variables)
    return learning.ActorCriticLearner(
      network,
      dataset,
      self.make_objective(network),
      self.make_optimizer(size),
      counter,
      logger,
      self._acting_variables(networks),
      directory if checkpoint else None,
    )

  def make_objective(
    self, network: protocols.LearnerNetwork
  ) -> objectives.Objective:
    """The learner's objective."""
    from agents.actor_critic import objectives

    factory = self._objective_factory or objectives.make
    return factory(network, self._config)

  def make_optimizer(self, size: int) -> optimizers.Optimizer:
    """The learner's optimiser.

    Args:
      size: number of parameters.
    """
    from ald_acme import optimizers

    if self._optimizer_factory:
      return self._optimizer_factory(size)
    return optimizers.FlatAdam(
      size,
      self._config.learner_learning_rate,
      self._config.learner_gradient_norm,
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
    clock: Callable[[], float] = time.monotonic,
    evaluation: experiment.EvaluationConfig | None = None,
  ) -> evaluator.Evaluator:
    """Creates the evaluator; it also evaluates the learner if given its
    source."""
    from ald_acme.acting import evaluator
    from ald_acme.acting import policies
    from ald_acme.parameters import pulled

    def subject(
      name: str,
      network: protocols.Network,
      source: acme.VariableSource,
      episodes: int,
      schedule: evaluator.Schedule,
      place: int,
    ) -> evaluator.EvaluatedPolicy:
      seed = self.seed_of(place)
      environment = self.make_environment(environment_factory, episodes, seed)
      spec = environment.observation_spec()
      return evaluator.EvaluatedPolicy(
        environment,
        policies.BatchedPolicy(network, spec, episodes, seed),
        pulled.PulledParameters(source, name, len(network.trainable_variables)),
        schedule,
      )

    config = evaluation or experiment.EvaluationConfig()
    return evaluator.Evaluator(
      subject(
        'actor',
        networks.actor,
        actor_source,
        config.evaluation_episodes,
        evaluator.Schedule(config.evaluation_frames, config.evaluation_period),
        EVALUATING_ACTOR,
      ),
      learner_source
      and subject(
        'learner',
        networks.learner,
        learner_source,
        config.learner_evaluation_episodes,
        evaluator.Schedule(
          config.learner_evaluation_frames, config.learner_evaluation_period
        ),
        EVALUATING_LEARNER,
      ),
      counter,
      logger,
      clock,
      max_steps=config.evaluation_max_steps,
    )

  # --- Further parts of the program or of the single-process agent.

  def make_turns(
    self,
    networks: actor_critic_networks.ActorCriticNetworks,
    replay: local.LocalReplay,
    learner: learning.ActorCriticLearner,
    counter: counting.Counter,
  ) -> agent.Turns:
    """Creates the schedule of the other parts in the single-process agent.

    Args:
      networks: the agent's networks.
      replay: the agent's tables.
      learner: the agent's learner.
      counter: the agent's counter.
    """
    from agents.actor_critic import agent

    return agent.Turns(learner)

  def nodes(self) -> list[builders.Node]:
    """The agent's own nodes: none."""
    return []

  def indicators(self) -> indicators.Indicators:
    """The agent's values in the progress and the summary of a run."""
    config = self._config
    frames = config.unroll_length * config.envs_per_actor * config.learner_batch
    return indicators.Indicators(
      seed=config.seed,
      first_update=(
        f'{frames:,}: unroll_length={config.unroll_length} x '
        f'envs_per_actor={config.envs_per_actor} x '
        f'learner_batch={config.learner_batch}'
      ),
      counts={'learner_updates': builders.LEARNER},
      metrics=(
        indicators.Metric(
          'policy_lag', 'policy lag', '.0f', builders.LEARNER, 'policy_lag'
        ),
      ),
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

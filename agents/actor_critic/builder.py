"""The builder of actor-critics."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
import typing
from typing import Any

from acme.utils import counting
from acme.utils import loggers

from agents import builders
from agents.actor_critic import config as actor_critic_config
from agents.actor_critic import parts
from agents.actor_critic import unroll_builder
from ald_acme.runs import indicators

if typing.TYPE_CHECKING:
  import tensorflow as tf

  from agents.actor_critic import learning
  from agents.actor_critic import networks as actor_critic_networks
  from agents.actor_critic import objectives
  from agents.actor_critic import turns
  from ald_acme import optimizers
  from ald_acme.acting import observing
  from ald_acme.networks import protocols
  from ald_acme.replay import local
  from ald_acme.replay import reader

# Methods import their parts themselves: TensorFlow takes seconds to import, and
# the launcher and some nodes do not need it.


class ActorCriticBuilder(unroll_builder.UnrollBuilder):
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
      config: the agent's configuration.
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
    super().__init__(config, kind, network_factory, observer_factory)
    self._objective_factory = objective_factory
    self._optimizer_factory = optimizer_factory

  def load_networks(
    self,
    networks: actor_critic_networks.ActorCriticNetworks,
    state: dict[str, Any],
  ) -> None:
    """Loads a checkpoint's parameters into the networks.

    Args:
      networks: from `make_networks`.
      state: the checkpoint's states of the parts, by name.

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

  # --- Learning.

  def make_dataset_iterator(
    self,
    replay_client: parts.Replay,
    should_stop: builders.ShouldStop = builders.never,
  ) -> reader.Reuse:
    """The learner's batches: new ones in order, recent ones replayed."""
    from ald_acme.replay import reader

    batches = self._make_batches(replay_client, should_stop)
    return reader.Reuse(
      parts.prefetched(replay_client, batches),
      self._config.learner_reuse,
      self._config.learner_replay_size,
      self.seed_of(unroll_builder.REUSING),
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
      networks: from `make_networks`.
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
      self._config.learner_average_decay,
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

  # --- Further parts of the program or of the single-process agent.

  def make_turns(
    self,
    networks: actor_critic_networks.ActorCriticNetworks,
    replay: local.LocalReplay,
    learner: learning.ActorCriticLearner,
    counter: counting.Counter,
  ) -> turns.Turns:
    """Creates the schedule of the other parts in the single-process agent.

    Args:
      networks: the agent's networks.
      replay: the agent's tables.
      learner: the agent's learner.
      counter: the agent's counter.
    """
    from agents.actor_critic import turns

    return turns.Turns(learner)

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

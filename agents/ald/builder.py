"""The builder of ALD: an asymmetric actor-critic whose actor is distilled."""

from __future__ import annotations

from collections.abc import Callable
import copy
import dataclasses
import functools
import typing
from typing import Any

from acme import specs
from acme.utils import counting
from acme.utils import loggers

from agents import builders
from agents.actor_critic import asymmetric
from agents.actor_critic import parts
from agents.ald import config as ald_config
from ald_acme.runs import indicators

if typing.TYPE_CHECKING:
  import tensorflow as tf

  from agents.actor_critic import learner_runner
  from agents.actor_critic import learning
  from agents.actor_critic import objectives
  from agents.ald import distilling
  from agents.ald import networks as ald_networks
  from agents.ald import turns
  from ald_acme import optimizers
  from ald_acme.acting import observing
  from ald_acme.parameters import shared as shared_parameters
  from ald_acme.replay import local
  from ald_acme.replay import tables

_PARAMETERS = 'actor_parameters'


class ALDBuilder(asymmetric.AsymmetricBuilder):
  """A small network acts; distillers train it to imitate a large learner.

  Actors pull the parameters that the distillers share. The builder holds no
  TensorFlow state, so it is picklable. Each method creates one part, and a
  subclass may override any of them.
  """

  acting_source = _PARAMETERS
  _config: ald_config.ALDConfig

  def __init__(
    self,
    config: ald_config.ALDConfig,
    network_factory: ald_networks.NetworkFactory | None = None,
    objective_factory: objectives.ObjectiveFactory | None = None,
    optimizer_factory: Callable[[int], optimizers.Optimizer] | None = None,
    observer_factory: observing.ObserverFactory | None = None,
  ) -> None:
    """Stores the configuration and the factories.

    Args:
      config: the agent's configuration.
      network_factory: creates `ALDNetworks` for an `acme.EnvironmentSpec`; by
        default an LSTM and a GTrXL with the config's sizes.
      objective_factory: creates the learner's objective from its network and
        `config`; by default the one named by `config.loss`.
      optimizer_factory: creates the learner's optimiser from the number of
        parameters; by default Adam with the config's learning rate.
      observer_factory: as `ActorCriticBuilder`.
    """
    super().__init__(
      config,
      network_factory,
      objective_factory,
      optimizer_factory,
      observer_factory,
    )

  def _make_networks(
    self, environment_spec: specs.EnvironmentSpec
  ) -> ald_networks.ALDNetworks:
    from agents.ald import networks

    config = self._config
    return networks.make_default_networks(
      environment_spec,
      config.networks,
      config.actor_observations,
      config.seed,
    )

  def check_networks(
    self, made: Any, environment_spec: specs.EnvironmentSpec
  ) -> None:
    super().check_networks(made, environment_spec)
    if self._distils_features():
      from agents.ald import networks

      networks.with_features(made.actor, 'actor')
      networks.with_features(made.learner, 'learner')

  def load_networks(
    self, networks: ald_networks.ALDNetworks, state: dict[str, Any]
  ) -> None:
    parts.load(networks.learner, state, builders.LEARNER)
    parts.load(networks.actor, state, _PARAMETERS)

  def _acting_variables(
    self, networks: ald_networks.ALDNetworks
  ) -> list[tf.Variable]:
    return []  # Actors pull the shared parameters.

  def tables(self) -> list[tables.Queue | tables.Replay]:
    """The tables `queue`, `learner` and `distill`."""
    from agents.ald import learner_runner
    from ald_acme.replay import tables

    config = self._config
    return [
      *super().tables(),
      tables.Replay(
        learner_runner.DISTILL,
        config.distill_table_size,
        config.distill_min_size,
        config.samples_per_insert,
      ),
    ]

  def _signatures(
    self,
    environment_spec: specs.EnvironmentSpec,
    networks: ald_networks.ALDNetworks,
  ) -> dict[str, Any]:
    from agents.ald import learner_runner
    from ald_acme.replay import tables

    made = super()._signatures(environment_spec, networks)
    item = learner_runner.distill_spec(
      made[tables.QUEUE], self._feature_size(networks)
    )
    return {**made, learner_runner.DISTILL: item}

  def _stores_state(self) -> bool:
    return True  # Distillers start from it.

  def _learner_runner_class(
    self,
  ) -> Callable[..., learner_runner.LearnerRunner]:
    from agents.ald import learner_runner

    return functools.partial(
      learner_runner.DistillingRunner, features=self._distils_features()
    )

  def _distils_features(self) -> bool:
    return self._config.feature_learning_rate > 0.0

  def _feature_size(self, networks: ald_networks.ALDNetworks) -> int:
    """Size of the learner's features; 0 if they are not distilled."""
    if not self._distils_features():
      return 0
    from agents.ald import networks as ald_networks

    return ald_networks.with_features(networks.learner, 'learner').feature_size

  def make_actor_parameters(
    self, networks: ald_networks.ALDNetworks
  ) -> shared_parameters.ActorParameters:
    """Creates the parameters that distillers update and actors pull."""
    from ald_acme.parameters import shared

    initial = [v.numpy() for v in networks.actor.trainable_variables]
    return shared.ActorParameters(initial, self._config.num_distillers)

  def make_distiller(
    self,
    networks: ald_networks.ALDNetworks,
    shared: shared_parameters.SharedParameters,
    replay_client: parts.Replay,
    worker: int = 0,
    counter: counting.Counter | None = None,
    logger: loggers.Logger | None = None,
    should_stop: builders.ShouldStop = builders.never,
  ) -> distilling.Distiller:
    """Creates one of the N_D distillers."""
    from agents.ald import distilling
    from agents.ald import learner_runner

    batches = parts.reader(
      replay_client,
      learner_runner.DISTILL,
      self._config.distill_batch,
      should_stop,
    )
    return distilling.Distiller(
      networks.actor,
      shared,
      parts.prefetched(replay_client, batches),
      self._config,
      worker,
      counter,
      logger,
    )

  def make_turns(
    self,
    networks: ald_networks.ALDNetworks,
    replay: local.LocalReplay,
    learner: learning.ActorCriticLearner,
    counter: counting.Counter,
  ) -> turns.DistillingTurns:
    from agents.ald import turns
    from ald_acme.parameters import shared

    runner = self.make_learner_runner(
      copy.deepcopy(networks), replay, learner, counter
    )
    parameters = self.make_actor_parameters(networks)
    distillers = [
      self.make_distiller(
        copy.deepcopy(networks),
        shared.SharedParameters.attach(parameters.handle()),
        replay,
        worker,
        counter,
      )
      for worker in range(self._config.num_distillers)
    ]
    return turns.DistillingTurns(
      parameters, replay, runner, distillers, self._config.dprl
    )

  def nodes(self) -> list[builders.Node]:
    """The learner runner, the shared parameters and the distillers."""
    return [
      *super().nodes(),
      builders.Node(
        _PARAMETERS,
        lambda context: self.make_actor_parameters(context.networks),
        serves=('handle', 'get_variables', 'get_vector'),
        saved=True,
      ),
      builders.Node(
        'distiller',
        self._make_distiller_node,
        count=self._config.num_distillers,
        uses=(_PARAMETERS,),
        saved=True,
      ),
    ]

  def _make_distiller_node(
    self, context: builders.Context
  ) -> distilling.Distiller:
    from ald_acme.parameters import shared

    return self.make_distiller(
      context.networks,
      shared.SharedParameters.attach(context.nodes[_PARAMETERS].handle()),
      context.replay,
      context.index,
      context.counter,
      context.logger,
      context.should_stop,
    )

  def indicators(self) -> indicators.Indicators:
    own = super().indicators()
    return dataclasses.replace(
      own,
      counts={
        'learner_updates': builders.LEARNER,
        'actor_updates': _PARAMETERS,
      },
      metrics=(
        indicators.Metric('kl', 'KL', '.4f', 'distiller_0', 'kl'),
        *own.metrics,
      ),
      ratio=indicators.Ratio(
        'dprl', 'DpRL', 'actor_updates', 'learner_updates', self._config.dprl
      ),
    )

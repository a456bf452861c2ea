"""The builder: makes each part of an ALD agent from one config."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
import time
import typing
from typing import Any

import acme
from acme.utils import counting
from acme.utils import loggers
import numpy as np

from agents.ald import config as ald_config
from ald_acme.environments import base

if typing.TYPE_CHECKING:
  import reverb

  from agents.ald import acting
  from agents.ald import distilling
  from agents.ald import learner_runner
  from agents.ald import learning
  from agents.ald import networks as ald_networks
  from ald_acme import types
  from ald_acme.acting import evaluator
  from ald_acme.networks import policy_value
  from ald_acme.parameters import shared as shared_parameters
  from ald_acme.parameters import store
  from ald_acme.replay import adder

# Each method imports what its part is made of: TensorFlow takes seconds to
# import, and neither the launcher nor every node needs it.

ShouldStop = Callable[[], bool]
# A `reverb.Client`, or a `replay.local.LocalReplay` where there is no server.
Replay = Any
# Makes E environments from (batch_size, seed).
EnvironmentFactory = Callable[[int, int], base.BatchedEnvironment]
# Places that draw random numbers, each with streams of its own.
ACTING, EVALUATING_ACTOR, EVALUATING_LEARNER, SAMPLING = range(4)


def _never() -> bool:
  return False


class ALDBuilder:
  """Makes the parts; holds no TensorFlow state, so it can be pickled.

  Each method makes one part, and a subclass may replace any one of them.

  Attributes:
    distils: whether distillers teach the acting network; where they do not, it
      is a part of the learner's, and actors pull it from the learner.
  """

  distils = True

  def __init__(
    self,
    config: ald_config.ALDConfig,
    network_factory: ald_networks.NetworkFactory | None = None,
  ):
    """Keeps what the parts are made from.

    Args:
      config: of the agent.
      network_factory: makes `ALDNetworks` for an `acme.EnvironmentSpec`; by
        default the LSTM and GTrXL of the config's sizes.
    """
    config.validate()
    self._config = config
    self._network_factory = network_factory

  @property
  def config(self) -> ald_config.ALDConfig:
    """What the parts are made from."""
    return self._config

  def make_networks(
    self, environment_spec: acme.specs.EnvironmentSpec
  ) -> ald_networks.ALDNetworks:
    """Both networks, with the first parameters that the seed gives."""
    import tensorflow as tf

    tf.random.set_seed(self._config.seed)
    if self._network_factory:
      return self._network_factory(environment_spec)
    return self._make_networks(environment_spec)

  def _make_networks(
    self, environment_spec: acme.specs.EnvironmentSpec
  ) -> ald_networks.ALDNetworks:
    """The agent's own networks, of the config's sizes."""
    from agents.ald import networks

    sizes = self._config.networks
    return networks.make_default_networks(environment_spec, sizes)

  def make_replay_tables(
    self, environment_spec: acme.specs.EnvironmentSpec
  ) -> list[reverb.Table]:
    """The tables `queue`, `learner` and, to distil, `distill`."""
    from ald_acme.replay import items
    from ald_acme.replay import tables

    config = self._config
    networks = self.make_networks(environment_spec)
    unroll = items.unroll_spec(
      environment_spec,
      items.state_spec(networks.actor, config.envs_per_actor)
      if self.distils
      else (),
      config.unroll_length,
      config.envs_per_actor,
    )
    learner_state = items.state_spec(networks.learner, config.envs_per_actor)
    limits = tables.Limits(
      queue_size=config.queue_size,
      learner_queue_size=config.learner_queue_size,
      distill_size=config.distill_table_size,
      distill_min_size=config.distill_min_size,
      samples_per_insert=config.samples_per_insert,
    )
    return tables.make_tables(
      limits,
      unroll,
      items.learner_spec(unroll, learner_state),
      items.distill_spec(unroll) if self.distils else None,
    )

  def make_dataset_iterator(
    self, replay_client: Replay, should_stop: ShouldStop = _never
  ) -> Iterator[Sequence[types.LearnerItem]]:
    """Batches for the learner, each item once and in order."""
    from ald_acme.replay import tables

    batch = self._config.learner_batch
    return _reader(replay_client, tables.LEARNER, batch, should_stop)

  def make_actor_parameters(
    self,
    networks: ald_networks.ALDNetworks,
    state: dict[str, Any] | None = None,
  ) -> store.ActorParameters:
    """The shared parameters that distillers improve and actors pull."""
    from ald_acme.parameters import store

    initial = [v.numpy() for v in networks.actor.trainable_variables]
    return store.ActorParameters(initial, self._config.num_distillers, state)

  def make_adder(
    self,
    replay_client: Replay,
    stream: int = 0,
    should_stop: ShouldStop = _never,
  ) -> adder.UnrollAdder:
    """Writes what `config.envs_per_actor` environments do, an unroll at a time.

    Args:
      replay_client: of the replay server.
      stream: number of the actor.
      should_stop: asked while the queue is full; true ends the wait.
    """
    from ald_acme.replay import adder

    return adder.UnrollAdder(
      _writer(replay_client, should_stop),
      self._config.unroll_length,
      stream,
      store_state=self.distils,
    )

  def make_actor(
    self,
    policy_network: policy_value.PolicyValueNetwork,
    adder: adder.UnrollAdder | None = None,
    variable_source: acme.VariableSource | None = None,
    seed: Any = None,
  ) -> acting.RecurrentActor:
    """Acts in one environment or in a batch, as its first time step is.

    Args:
      policy_network: the actor of `make_networks`.
      adder: of `make_adder`; None to act without leaving a trace.
      variable_source: has 'actor' and 'updates'; None to keep the parameters.
      seed: of the actions; by default that of actor 0.
    """
    from agents.ald import acting
    from ald_acme.parameters import pulled

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

  def make_learner_runner(
    self,
    networks: ald_networks.ALDNetworks,
    replay_client: Replay,
    variable_source: acme.VariableSource,
    counter: counting.Counter | None = None,
    logger: loggers.Logger | None = None,
    should_stop: ShouldStop = _never,
  ) -> learner_runner.LearnerRunner:
    """The sole consumer of `queue`."""
    from agents.ald import learner_runner
    from ald_acme.parameters import pulled
    from ald_acme.replay import tables

    return learner_runner.LearnerRunner(
      network=networks.learner,
      unrolls=_reader(replay_client, tables.QUEUE, 1, should_stop),
      writer=_writer(replay_client, should_stop),
      parameters=pulled.PulledParameters(
        variable_source, 'learner', len(networks.learner.trainable_variables)
      ),
      counter=counter,
      logger=logger,
      distil=self.distils,
    )

  def make_learner(
    self,
    networks: ald_networks.ALDNetworks,
    dataset: Iterator[Sequence[types.LearnerItem]],
    counter: counting.Counter | None = None,
    logger: loggers.Logger | None = None,
    checkpoint: bool = False,
  ) -> learning.ALDLearner:
    """The learner of the large network.

    Args:
      networks: of `make_networks`.
      dataset: of `make_dataset_iterator`.
      counter: counts `learner_updates`.
      logger: gets a row per update.
      checkpoint: whether the learner saves itself as Acme's learners do, under
        `~/acme`. In a program of ours the monitor saves all parts together.
    """
    from agents.ald import learning

    return learning.ALDLearner(
      networks.learner,
      dataset,
      self._config,
      counter,
      logger,
      self._acting_variables(networks),
      checkpoint,
    )

  def _acting_variables(self, networks: ald_networks.ALDNetworks) -> list:
    """Variables of the learner's network that actors pull; none to distil."""
    return []

  def make_distiller(
    self,
    networks: ald_networks.ALDNetworks,
    shared: shared_parameters.SharedParameters,
    replay_client: Replay,
    worker: int = 0,
    counter: counting.Counter | None = None,
    logger: loggers.Logger | None = None,
    should_stop: ShouldStop = _never,
  ) -> distilling.Distiller:
    """One of N_D workers on the shared actor parameters."""
    from agents.ald import distilling
    from ald_acme.replay import tables

    batch = self._config.distill_batch
    batches = _reader(replay_client, tables.DISTILL, batch, should_stop)
    return distilling.Distiller(
      networks.actor, shared, batches, self._config, worker, counter, logger
    )

  def make_evaluator(
    self,
    networks: ald_networks.ALDNetworks,
    environment_factory: EnvironmentFactory,
    actor_source: acme.VariableSource,
    learner_source: acme.VariableSource | None = None,
    counter: counting.Counter | None = None,
    logger: loggers.Logger | None = None,
    clock: Callable[[], float] = time.monotonic,
  ) -> evaluator.Evaluator:
    """Evaluates in environments of its own; the learner if it has a source."""
    from ald_acme.acting import evaluator
    from ald_acme.acting import policies
    from ald_acme.parameters import pulled

    def subject(name, network, source, episodes, period, place):
      seed = self.seed_of(place)
      environment = self.make_environment(environment_factory, episodes, seed)
      spec = environment.observation_spec()
      return evaluator.Subject(
        environment,
        policies.BatchedPolicy(network, spec, episodes, seed),
        pulled.PulledParameters(source, name, len(network.trainable_variables)),
        period,
      )

    config = self._config
    return evaluator.Evaluator(
      subject(
        'actor',
        networks.actor,
        actor_source,
        config.evaluation_episodes,
        config.evaluation_period,
        EVALUATING_ACTOR,
      ),
      learner_source
      and subject(
        'learner',
        networks.learner,
        learner_source,
        config.learner_evaluation_episodes,
        config.learner_evaluation_period,
        EVALUATING_LEARNER,
      ),
      counter,
      logger,
      clock,
    )

  def make_environment(
    self,
    environment_factory: EnvironmentFactory,
    batch_size: int,
    seed: np.random.SeedSequence,
  ) -> base.BatchedEnvironment:
    """Environments whose episodes come from a stream of `seed_of`."""
    return environment_factory(batch_size, int(seed.generate_state(1)[0] >> 1))

  def seed_of(self, *path: int) -> np.random.SeedSequence:
    """A stream of its own for each place that draws random numbers."""
    return np.random.SeedSequence([self._config.seed, *path])


def _reader(
  client: Replay, table: str, batch_size: int, should_stop: ShouldStop
) -> Iterator[list]:
  """Batches of a table's items, from a server or from this process."""
  from ald_acme.replay import local
  from ald_acme.replay import reader

  if isinstance(client, local.LocalReplay):
    return local.Reader(client, table, batch_size)
  return reader.Reader(client, table, batch_size, should_stop)


def _writer(client: Replay, should_stop: ShouldStop):
  """What writes items, to a server or within this process."""
  from ald_acme.replay import local
  from ald_acme.replay import writer

  if isinstance(client, local.LocalReplay):
    return client
  return writer.Writer(client, should_stop)

"""All parts in one process, taking turns: the agent to debug with."""

from collections.abc import Callable, Sequence
import copy
import dataclasses

import acme
from acme import specs
from acme.utils import counting
from acme.utils import loggers
import dm_env
import numpy as np

from agents.ald import builder as ald_builder
from agents.ald import config as ald_config
from agents.ald import networks as ald_networks
from ald_acme import distributions
from ald_acme.environments import base
from ald_acme.environments import contract
from ald_acme.parameters import shared as shared_parameters
from ald_acme.replay import local
from ald_acme.replay import tables


class ALD(acme.Actor, acme.VariableSource):
  """An ALD agent for `acme.EnvironmentLoop`.

  The parts are those of the distributed program; they take turns in a fixed
  order, so a seed gives the same run again.
  """

  def __init__(
    self,
    environment_spec: specs.EnvironmentSpec,
    networks: ald_networks.ALDNetworks,
    config: ald_config.ALDConfig | None = None,
    counter: counting.Counter | None = None,
    logger: loggers.Logger | None = None,
    make_builder: Callable[
      [ald_config.ALDConfig], ald_builder.ALDBuilder
    ] = ald_builder.ALDBuilder,
  ):
    """Makes the parts.

    Args:
      environment_spec: of one environment, the networks are made for.
      networks: whose variables exist; both are trained in place.
      config: of the agent. As the loop has one environment, `envs_per_actor`
        counts as 1, and an unroll batch is `unroll_length` frames: raise
        `learner_batch` to learn from more at a time.
      counter: counts `unrolls`, `learner_updates` and `actor_updates`.
      logger: gets a row per learner update.
      make_builder: makes the builder of the parts from their config: a subclass
        of `ALDBuilder`, say.

    Raises:
      ValueError: if the actions are neither discrete nor bounded, an
        observation holds something else than numbers and booleans, or the
        networks' actions are others.
    """
    self._contract = contract.Contract(
      'environment_spec',
      environment_spec.observations,
      environment_spec.actions,
    )
    self._seen = 0  # Time steps so far.
    theirs = distributions.from_spec(environment_spec.actions).describe()
    ours = networks.actor.distribution.describe()
    if ours != theirs:
      raise ValueError(
        f'networks.actor has the actions {ours}, but the environment has '
        f'{theirs}; make the networks for this environment_spec.'
      )
    config = dataclasses.replace(
      config or ald_config.ALDConfig(), envs_per_actor=1
    )
    self._config = config
    counter = counter or counting.Counter()
    builder = make_builder(config)
    self._replay = local.LocalReplay(
      config.distill_table_size, builder.seed_of(ald_builder.SAMPLING)
    )
    self._learner = builder.make_learner(
      networks, builder.make_dataset_iterator(self._replay), counter, logger
    )
    self._runner = builder.make_learner_runner(
      copy.deepcopy(networks), self._replay, self._learner, counter
    )
    self._parameters, self._distillers = self._learner, []
    if builder.distils:
      self._parameters = builder.make_actor_parameters(networks)
      self._distillers = [
        builder.make_distiller(
          copy.deepcopy(networks),
          shared_parameters.SharedParameters.attach(self._parameters.handle()),
          self._replay,
          worker,
          counter,
        )
        for worker in range(config.num_distillers)
      ]
    self._adder = builder.make_adder(self._replay)
    self._stamp()
    self._actor = builder.make_actor(
      networks.actor, self._adder, self._parameters
    )
    self._distillations = 0.0  # Due, as DpRL says.

  def observe_first(self, timestep: dm_env.TimeStep):
    """Begins an episode; as `observe`."""
    self._check(timestep)
    self._actor.observe_first(timestep)

  def select_action(self, observation) -> np.ndarray:
    return self._actor.select_action(observation)

  def observe(self, action: np.ndarray, next_timestep: dm_env.TimeStep):
    """Takes a step.

    Raises:
      ValueError: if it is not as the environment's spec says, or not finite.
    """
    self._check(next_timestep)
    self._actor.observe(action, next_timestep)

  def _check(self, timestep: dm_env.TimeStep):
    breach = self._contract.breach(base.as_batch(timestep))
    if breach:
      raise ValueError(f'environment, step {self._seen}: {breach}')
    self._seen += 1

  def update(self, wait: bool = False):
    """Has every part do what there is to do."""
    while self._replay.size(tables.QUEUE):
      self._runner.step()
    while self._replay.size(tables.LEARNER) >= self._config.learner_batch:
      self._learner.step()
      self._distillations += self._config.dprl
    if self._replay.size(tables.DISTILL) >= self._config.distill_min_size:
      while self._distillations >= 1.0:
        self._distillers[0].step()
        self._distillers.append(self._distillers.pop(0))  # In turn.
        self._distillations -= 1.0
    self._stamp()
    self._actor.update(wait=True)

  def _stamp(self):
    """Has the next unroll say how old the learner is."""
    ((updates,),) = self._learner.get_variables(['updates'])
    self._adder.learner_updates = int(updates)

  def get_variables(self, names: Sequence[str]) -> list[list[np.ndarray]]:
    """As the actor parameters: 'actor' or 'updates'."""
    return self._parameters.get_variables(names)

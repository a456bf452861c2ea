"""The single-process agent, for debugging."""

from collections.abc import Callable, Sequence
import dataclasses
import threading
from typing import Any

import acme
from acme import specs
from acme.utils import counting
from acme.utils import loggers
import dm_env
import numpy as np

from agents import builders
from agents import internals
from agents.actor_critic import builder as actor_critic_builder
from agents.actor_critic import config as actor_critic_config
from agents.actor_critic import networks as actor_critic_networks
from agents.actor_critic import unroll_builder
from ald_acme import types
from ald_acme.environments.interface import base
from ald_acme.environments.interface import contract
from ald_acme.replay import local
from ald_acme.runs import saving


class ActorCritic(acme.Actor, acme.VariableSource):
  """An actor-critic for `acme.EnvironmentLoop`.

  It has the parts of the distributed program, run in a fixed order, so a run is
  deterministic for a given seed.
  """

  def __init__(
    self,
    environment_spec: specs.EnvironmentSpec,
    networks: actor_critic_networks.ActorCriticNetworks,
    config: actor_critic_config.ActorCriticConfig | None = None,
    counter: counting.Counter | None = None,
    logger: loggers.Logger | None = None,
    make_builder: Callable[
      [Any], actor_critic_builder.ActorCriticBuilder
    ] = actor_critic_builder.ActorCriticBuilder,
  ) -> None:
    """Creates the parts; in the main thread, Ctrl-C ends the loop.

    Args:
      environment_spec: spec of one environment.
      networks: trained in place; their variables exist.
      config: the agent's configuration. The loop has one environment, so
        `envs_per_actor` counts as 1 and an unroll batch is `unroll_length`
        frames; raise `learner_batch` for larger batches.
      counter: counts `learner_updates`, and the other parts' counts.
      logger: receives a row per learner update.
      make_builder: creates the builder of the parts from the config, such as a
        subclass of `ActorCriticBuilder`.

    Raises:
      ValueError: if the actions are neither discrete nor bounded, if an
        observation holds other types than numbers and booleans, or if the
        networks are for other actions.
    """
    self._told_to_stop: Callable[[], bool] = lambda: False
    if threading.current_thread() is threading.main_thread():
      self._told_to_stop = internals.stop_loops_on_signals()
    self._contract = contract.Contract(
      'environment_spec',
      environment_spec.observations,
      environment_spec.actions,
    )
    self._seen = 0  # Number of time steps.
    config = dataclasses.replace(
      config or actor_critic_config.ActorCriticConfig(), envs_per_actor=1
    )
    self._counter = counter = counter or counting.Counter()
    builder = make_builder(config)
    builder.check_networks(networks, environment_spec)
    self._replay = local.LocalReplay(
      builder.tables(), builder.seed_of(unroll_builder.SAMPLING)
    )
    batches = builder.make_dataset_iterator(self._replay)
    self._learner = builder.make_learner(networks, batches, counter, logger)
    self._ready = lambda: (
      batches.due
      or self._replay.can_sample(builder.learner_table, config.learner_batch)
    )
    self._turns = builder.make_turns(
      networks, self._replay, self._learner, counter
    )
    self._adder = builder.make_adder(self._replay)
    self._stamp()
    self._actor = builder.make_actor(
      networks.actor, self._adder, self._turns.source
    )

  def observe_first(self, timestep: dm_env.TimeStep) -> None:
    """Starts an episode; as `observe`."""
    self._check(timestep)
    self._actor.observe_first(timestep)

  def select_action(self, observation: types.Nest) -> types.Nest:
    return self._actor.select_action(observation)

  def observe(self, action: np.ndarray, next_timestep: dm_env.TimeStep) -> None:
    """Records a step.

    Raises:
      ValueError: if it does not match the environment's spec, or is not finite.
    """
    self._check(next_timestep)
    self._actor.observe(action, next_timestep)

  def _check(self, timestep: dm_env.TimeStep) -> None:
    try:
      self._contract.take(base.raw_batch([timestep]))
    except (TypeError, ValueError) as error:
      raise ValueError(f'environment, step {self._seen}: {error}') from error
    self._seen += 1

  def update(self, wait: bool = False) -> None:
    """Runs every part once."""
    try:
      self._turns.before_learning()
      updates = 0
      while self._ready():
        self._learner.step()
        updates += 1
      self._turns.after_learning(updates)
      self._stamp()
      self._actor.update(wait=True)
    except Exception as error:
      if self._told_to_stop():  # SystemExit may have become another error.
        raise SystemExit from error
      raise

  def _stamp(self) -> None:
    """Stamps the next unroll with the learner's number of updates."""
    ((updates,),) = self._learner.get_variables(['updates'])
    self._adder.learner_updates = int(updates)

  def get_variables(self, names: Sequence[str]) -> list[list[np.ndarray]]:
    """Serves the acting parameters as 'actor' and their age as 'updates'."""
    return self._turns.source.get_variables(names)

  # --- On disk.

  def save(self, directory: str) -> str:
    """Writes a checkpoint of all learned state and of the counts.

    Args:
      directory: folder of the agent's checkpoints; the newest three are kept.

    Returns:
      The checkpoint's path.
    """
    return self._saver(directory).save()

  def restore(self, directory: str) -> bool:
    """Restores the newest readable checkpoint; call it before acting.

    Replay, the current episode and the random streams are not saved, so a
    resumed run differs from an uninterrupted one.

    Args:
      directory: as for `save`, or the `checkpoints` of a run with these
        networks.

    Returns:
      Whether there was a checkpoint.

    Raises:
      ValueError: if there are checkpoints but none is readable, or the newest
        is of other networks, another loss or other parts.
    """
    found = self._saver(directory).restore()
    if found:
      self._stamp()
      self._actor.update(wait=True)
    return found

  def _saver(self, directory: str) -> saving.Saver:
    parts = {builders.LEARNER: self._learner, **self._turns.saved()}
    return saving.Saver(parts, self._counter, directory)

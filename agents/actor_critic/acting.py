"""The actor and its environment loop."""

from collections.abc import Callable, Sequence
import copy
from typing import Any, NamedTuple

import acme
from acme import specs
from acme.utils import counting
from acme.utils import loggers
import dm_env
import numpy as np
import tree

from ald_acme import activity
from ald_acme import types
from ald_acme.acting import observing
from ald_acme.acting import policies
from ald_acme.environments.batches import staggering
from ald_acme.environments.interface import base
from ald_acme.networks import protocols
from ald_acme.parameters import pulled
from ald_acme.replay import adder as unroll_adder
from ald_acme.runs import counts as run_counts

_LAST = int(dm_env.StepType.LAST)


class RecurrentActor(acme.Actor):
  """Samples actions from a recurrent network, for one environment or E.

  Observes time steps of a `BatchedEnvironment`, or of a single
  `dm_env.Environment`, e.g. in an `acme.EnvironmentLoop`.
  """

  def __init__(
    self,
    network: protocols.Network,
    seed: Any,
    adder: unroll_adder.UnrollAdder | None = None,
    parameters: pulled.PulledParameters | None = None,
  ) -> None:
    """Stores the arguments; the first time step sets the batch size.

    Args:
      network: the acting network; its variables exist.
      seed: seed of the actions; anything that `np.random.default_rng` accepts.
      adder: receives the time steps; None to act without recording.
      parameters: pulled while acting; None to keep the network's.
    """
    self._network = network
    self._seed = seed
    self._adder = adder
    self._parameters = parameters
    self._single = False
    # Set by the first time step and the first action.
    self._policy: policies.BatchedPolicy | None = None
    self._timestep: Any = None
    self._decision: Any = None
    self._state = None  # Before the action, if the adder needs it.

  @property
  def age(self) -> int:
    """Number of updates that the acting parameters have received."""
    return 0 if self._parameters is None else self._parameters.age

  def halves(
    self, adders: Sequence[unroll_adder.UnrollAdder]
  ) -> list['RecurrentActor']:
    """Actors of the first and the second half of the environments.

    They share the random number generator and the parameters: `update` of the
    first actor pulls parameters, and `load` of the second copies them.

    Args:
      adders: from `UnrollAdder.halves`.
    """
    rng = np.random.default_rng(self._seed)
    actors = []
    for adder in adders:
      actor = copy.copy(self)  # Of a subclass, too.
      actor._seed, actor._adder = rng, adder
      actors.append(actor)
    return actors

  def observe_first(self, timestep: dm_env.TimeStep) -> None:
    self._single = np.ndim(timestep.step_type) == 0
    self._timestep = base.as_batch(timestep)
    if self._policy is None:
      self._policy = self._make_policy()
    if self._adder:
      self._adder.add_first(self._timestep)

  def _make_policy(self) -> policies.BatchedPolicy:
    """Creates the policy for the environments of the first time step."""
    timestep = self._timestep
    batch_size = len(timestep.reward)
    spec = tree.map_structure(
      lambda x: specs.Array(x.shape[1:], x.dtype), timestep.observation
    )
    policy = policies.BatchedPolicy(self._network, spec, batch_size, self._seed)
    if self._parameters:
      policy.load(self._parameters.arrays)
    return policy

  def select_action(self, observation: types.Nest) -> types.Nest:
    """Samples actions, `[E, ...]`; without E for a single environment.

    The policy reads the last observed time step, including its reward.
    """
    policy = self._policy
    assert policy, 'call observe_first before select_action'
    inputs = policy.inputs(self._timestep)
    needs_state = self._adder and self._adder.needs_state
    self._state = policy.state if needs_state else None
    self._decision = policy.step(inputs)
    action = self._decision.action
    if self._single:
      action = tree.map_structure(lambda x: x[0], action)
    return action

  def observe(self, action: types.Nest, next_timestep: dm_env.TimeStep) -> None:
    """Records the time step that followed the last action.

    Unrolls contain the action as the policy sampled it.
    """
    self._timestep = base.as_batch(next_timestep)
    if self._adder:
      decision = self._decision
      extras = unroll_adder.Extras(decision.policy, self._state)
      self._adder.add(decision.sample, self._timestep, extras)

  def update(self, wait: bool = False) -> bool:
    """Pulls parameters when due, and always before an unroll.

    Args:
      wait: whether to wait for a pull; otherwise a later call receives it.

    Returns:
      Whether new parameters were loaded.
    """
    if self._parameters is None:
      return False
    if self._adder and self._adder.begins_unroll:
      # The wait for the queue may have been long.
      new = self._parameters.pull()
    else:
      new = self._parameters.update(wait)
    if new:
      self.load()
    return new

  def load(self) -> None:
    """Loads the newest pulled parameters into the policy."""
    if self._policy and self._parameters:
      self._policy.load(self._parameters.arrays)


class _Episodes(NamedTuple):
  """Returns and lengths, in steps, of completed episodes."""

  returns: list[float]
  lengths: list[int]


class _Part:
  """Environments that share one inference: a batch or a half of it."""

  def __init__(
    self,
    environment: staggering.Stagger,
    actor: RecurrentActor,
    observers: observing.Observers,
    first: int,
  ) -> None:
    """Starts an episode in every environment.

    Args:
      environment: the environments of this part.
      actor: selects their actions.
      observers: observers of the whole batch.
      first: index of this part's first environment in the batch.
    """
    self.actor = actor
    self._environment = environment
    self._observers, self._first = observers, first
    self._timestep = environment.reset()
    size = len(self._timestep.reward)
    self._returns = np.zeros(size)
    self._lengths = np.zeros(size, np.int64)
    self._action: types.Nest = None
    actor.observe_first(self._timestep)
    observers.observe(self._timestep, first=first)

  def begin_step(self) -> None:
    """Selects actions and starts a step."""
    self._action = self.actor.select_action(self._timestep.observation)
    self._environment.begin_step(self._action)

  def end_step(self, episodes: _Episodes) -> int:
    """Completes the step; returns the number of frames.

    Args:
      episodes: completed episodes are added here.
    """
    # A step after LAST resets the environment and counts no frame.
    counted = self._timestep.step_type != _LAST
    with activity.doing('environment'):
      timestep = self._timestep = self._environment.end_step()
    self.actor.observe(self._action, timestep)
    reported = self._environment.reported
    self._observers.observe(timestep, self._action, reported, self._first)
    self._returns += timestep.reward
    self._lengths += counted
    ended = timestep.step_type == _LAST
    if ended.any():
      episodes.returns.extend(self._returns[ended & reported].tolist())
      episodes.lengths.extend(self._lengths[ended & reported].tolist())
      self._returns[ended] = 0.0
      self._lengths[ended] = 0
    return int(counted.sum())


class UnrollLoop:
  """Collects unrolls in a batch of environments.

  All E environments share one inference. If the batch splits into halves
  (`base.BatchedEnvironment.halves`), each half has its own inference, made
  while the other half steps. Copies of the actor act then; the given adder
  serves the second half and writes the joined unrolls, a copy of it serves the
  first. An actor or adder without `halves` gets the whole batch.
  """

  def __init__(
    self,
    environment: base.BatchedEnvironment,
    actor: RecurrentActor,
    adder: unroll_adder.UnrollAdder,
    unroll_length: int,
    counter: counting.Counter | None = None,
    logger: loggers.Logger | None = None,
    stagger: Any = None,
    observer_factory: observing.ObserverFactory | None = None,
  ) -> None:
    """Starts an episode in every environment.

    Args:
      environment: E environments; no other loop may step them.
      actor: selects the actions.
      adder: the actor's adder.
      unroll_length: T.
      counter: counts `frames` and `episodes`, and provides `learner_updates`;
        for an exact lag it must sync immediately.
      logger: receives a row per unroll.
      stagger: seed of the truncations that put the environments out of phase
        (`staggering.Stagger`); None for no truncation. Episodes truncated so
        are excluded from `episodes`, `return` and `episode_length`.
      observer_factory: creates Acme's observers of one environment; the row has
        the means of their metrics over completed episodes.
    """
    self._environment = environment
    self._length = unroll_length
    self._counter = counter or counting.Counter()
    self._counts = self._counter.get_counts()
    self._logger = logger
    self._observers = observing.Observers(environment, observer_factory)
    splits = hasattr(actor, 'halves') and hasattr(adder, 'halves')
    halves = environment.halves() if splits else [environment]
    self._adders: Sequence[unroll_adder.UnrollAdder] = [adder]
    actors = [actor]
    if len(halves) > 1:
      self._adders = adder.halves()
      actors = actor.halves(self._adders)
    rng = None if stagger is None else np.random.default_rng(stagger)
    self._parts: list[_Part] = []
    first = 0
    for half, own in zip(halves, actors, strict=True):
      staggered = staggering.Stagger(half, rng)
      self._parts.append(_Part(staggered, own, self._observers, first))
      first += half.batch_size
    self._actor = actors[0]  # Pulls parameters for both halves.

  def step(self) -> bool:
    """Acts for T steps; returns False once acting has ended.

    Acting ends when the program stops or the counter returns STOP_ACTING.
    """
    actor_updates, learner_updates = self._ages()
    for adder in self._adders:
      adder.learner_updates = learner_updates
    unrolls = self._adders[-1].unrolls_written
    frames, (returns, lengths) = self._act()
    if self._adders[-1].unrolls_written == unrolls:
      return False
    with activity.doing('count'):
      self._counts = self._counter.increment(
        frames=frames, episodes=len(returns)
      )
    self._update()
    if self._logger:
      now = self._ages()
      self._logger.write(
        {
          'frames': self._counts.get('frames', 0),
          'episodes': self._counts.get('episodes', 0),
          'return': float(np.mean(returns)) if returns else float('nan'),
          'episode_length': float(np.mean(lengths))
          if lengths
          else float('nan'),
          'policy_lag_actor_updates': now[0] - actor_updates,
          'policy_lag_learner_updates': now[1] - learner_updates,
          **self._environment.metrics(),
          **self._observers.metrics(),
        }
      )
    return not self._counts.get(run_counts.STOP_ACTING)

  def _ages(self) -> tuple[int, int]:
    """Number of updates of the acting parameters and of the learner."""
    learner_updates = int(self._counts.get('learner_updates', 0))
    return self._actor.age, learner_updates

  def _update(self) -> None:
    """Pulls parameters when due."""
    if self._actor.update(wait=True):
      for part in self._parts[1:]:
        part.actor.load()

  def _act(self) -> tuple[int, _Episodes]:
    """Acts for T steps; returns the frames and the completed episodes."""
    frames, episodes = 0, _Episodes([], [])
    for t in range(self._length):
      for part in self._parts:
        if t:
          frames += part.end_step(episodes)
          if part is self._parts[0]:
            self._update()
        part.begin_step()
    for part in self._parts:
      frames += part.end_step(episodes)
    return frames, episodes

  def run(self, should_stop: Callable[[], bool] = lambda: False) -> None:
    """Acts until told to stop."""
    while not should_stop() and self.step():
      pass

"""Batches of any `dm_env` environments, stepped one after another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
import functools
import itertools
from typing import Any

import dm_env
import numpy as np
import tree

from ald_acme import activity
from ald_acme.environments.batches import members
from ald_acme.environments.interface import base
from ald_acme.environments.interface import contract
from ald_acme.environments.interface import dtypes

_LAST = int(dm_env.StepType.LAST)


def stack(
  factory: Callable[[int], dm_env.Environment],
  batch_size: int,
  seed: int,
  name: str | None = None,
  first: int = 0,
  remakes: int = 0,
) -> Stacked:
  """Creates E environments with a factory, stepped one after another.

  Args:
    factory: creates an environment from a seed; environment i gets
      `members.seed_of(seed, i)`.
    batch_size: E.
    seed: seed of the batch.
    name: as for `Stacked`.
    first: index of the first environment, if these are part of a larger batch.
    remakes: how many failed environments are recreated, with another seed.
  """
  made = itertools.count(1)  # Counts recreated environments.

  def make(index: int, *numbers: int) -> dm_env.Environment:
    what = f'{name or "an environment"}, number {first + index}'
    with activity.waiting(f'waiting for {what} to be created'):
      environment = factory(members.seed_of(seed, first + index, *numbers))
    activity.moved()
    return environment

  environments = [make(i) for i in range(batch_size)]
  return Stacked(
    environments, name, first, lambda index: make(index, next(made)), remakes
  )


class Stacked(base.BatchedEnvironment):
  """Any `dm_env` environments of one kind, stepped one after another.

  Every time step is checked against the specs and for finite numbers, and
  observations are cast (`dtypes.taken`). If the environments have a method
  `new_task`, it is called before an episode of a new task.
  """

  def __init__(
    self,
    environments: Sequence[dm_env.Environment],
    name: str | None = None,
    first: int = 0,
    make: Callable[[int], dm_env.Environment] | None = None,
    remakes: int = 0,
  ) -> None:
    """Wraps the environments and takes ownership.

    Args:
      environments: at least one, all with the same specs.
      name: name for errors; by default that of the first's class.
      first: index of the first environment, for errors.
      make: recreates environment i.
      remakes: how many failed environments are recreated. Their episodes are
        lost, and truncated at the failure.

    Raises:
      ValueError: if there is no environment, the actions are neither discrete
        nor bounded, or a part of the observations is empty or neither numeric
        nor boolean.
    """
    if not environments:
      raise ValueError('environments must not be empty; give at least one.')
    self._members = members.Members(
      environments, name or type(environments[0]).__name__, first, make, remakes
    )
    self._lost = np.zeros(len(environments), bool)
    self._seen: dm_env.TimeStep | None = None  # The last, before casts.
    observation_spec = self._members.call(0, 'observation_spec')
    self._action_spec = self._members.call(0, 'action_spec')
    self._acts_in_nests = tree.is_nested(self._action_spec)
    self._contract = contract.Contract(
      self._members.name, observation_spec, self._action_spec
    )
    self._observation_spec = dtypes.cast_spec(observation_spec)
    self._keeps = False  # Whether tasks outlast an episode.
    self._finished = np.ones(len(environments), bool)

  @property
  def batch_size(self) -> int:
    return len(self._members)

  def keep_tasks(self) -> None:
    self._keeps = True

  def new_tasks(self, which: np.ndarray) -> None:
    for index in np.flatnonzero(which):
      if hasattr(self._members[index], 'new_task'):
        try:
          self._members.call(index, 'new_task')
        except members.Failure as failure:
          self._members.remake(index, failure)
          self._finished[index] = True

  def restart(self, which: np.ndarray) -> bool:
    self._finished |= which
    return True

  def reset(self) -> dm_env.TimeStep:
    """Starts new episodes.

    Raises:
      ValueError: as `step`, if a time step does not match the specs or is not
        finite.
      members.Failure: if an environment raises.
    """
    self._finished[:] = True
    return self.step(self._finished)  # Actions are ignored.

  def step(self, action: Any) -> dm_env.TimeStep:
    """Steps each environment, or resets it after the end of its episode.

    A `dm_env` should reset itself when stepped after LAST, but some do not, so
    `reset` is called instead.
    """
    self._lost[:] = False
    self._renew()
    if self._acts_in_nests and tree.is_nested(action):
      action = [
        tree.map_structure(lambda x, i=i: x[i], action)
        for i in range(self.batch_size)
      ]
    return self._stack(
      [
        self._advance(index, over, a)
        for index, (over, a) in enumerate(
          zip(self._finished.tolist(), action, strict=True)
        )
      ]
    )

  @property
  def lost(self) -> np.ndarray:
    return self._lost.copy()

  def _advance(self, index: int, over: bool, action: Any) -> dm_env.TimeStep:
    try:
      if over:
        return self._members.call(index, 'reset')
      return self._members.call(index, 'step', action)
    except members.Failure as failure:
      self._members.remake(index, failure)
    if over:
      return self._advance(index, over, action)
    self._lost[index] = True
    assert self._seen, 'reset comes before step'
    last_seen = tree.map_structure(lambda x: x[index], self._seen.observation)
    return dm_env.truncation(0.0, last_seen)

  def metrics(self) -> dict[str, float]:
    return self._members.metrics()

  def _renew(self) -> None:
    """Draws new tasks where episodes start, unless tasks are kept."""
    if not self._keeps and self._finished.any():
      self.new_tasks(self._finished)

  def _stack(self, steps: list[dm_env.TimeStep]) -> dm_env.TimeStep:
    try:
      self._seen = base.raw_batch(steps)
      timestep = self._contract.take(self._seen)
    except (TypeError, ValueError):  # A breach, or different shapes.
      alone = [functools.partial(base.raw_batch, [step]) for step in steps]
      contract.name_breach(self._contract, alone, self._members.where)
      raise
    self._members.steps += 1
    self._finished = timestep.step_type == _LAST
    return timestep

  def observation_spec(self) -> Any:
    return self._observation_spec

  def action_spec(self) -> Any:
    return self._action_spec

  def action_names(self) -> Sequence[str] | None:
    return getattr(self._members[0], 'action_names', None)

  def render(self, index: int = 0) -> np.ndarray:
    """An RGB image of one environment, uint8 `[height, width, 3]`.

    Raises:
      ValueError: if it cannot be rendered.
      members.Failure: if rendering raises anything else.
    """
    environment = self._members[index]
    if not hasattr(environment, 'render'):
      raise ValueError(f'{type(environment).__name__} cannot render.')
    try:
      return self._members.call(index, 'render')
    except members.Failure as failure:
      if isinstance(failure.__cause__, ValueError):
        raise failure.__cause__ from None
      raise

  def close(self) -> None:
    self._members.close()

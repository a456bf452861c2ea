"""Checks batched environments of other packages against their specs."""

from collections.abc import Sequence
import functools
from typing import Any

import dm_env
import numpy as np
import tree

from ald_acme import activity
from ald_acme.environments.batches import members
from ald_acme.environments.interface import base
from ald_acme.environments.interface import contract
from ald_acme.environments.interface import dtypes
from ald_acme.environments.interface import masks

_FIRST, _LAST = int(dm_env.StepType.FIRST), int(dm_env.StepType.LAST)


def masked(environment: base.BatchedEnvironment) -> base.BatchedEnvironment:
  """Wraps an environment in `Checked` if it has an action mask.

  A wrong mask would go unnoticed: if no action is legal, all become equally
  likely.
  """
  if masks.find(environment.observation_spec()) is None:
    return environment
  return Checked(environment, type(environment).__name__)


class Checked(base.BatchedEnvironment):
  """Checks every time step of a batch against its specs.

  Observations are cast (`dtypes.taken`). Errors name the environment, its
  index, the step and the field.
  """

  def __init__(self, environment: base.BatchedEnvironment, name: str) -> None:
    """Wraps the batch and takes ownership.

    Args:
      environment: E environments.
      name: name of the environment, for errors.

    Raises:
      ValueError: as for `contract.Contract`.
    """
    self._environment, self._name = environment, name
    self._contract = contract.Contract(
      name, environment.observation_spec(), environment.action_spec()
    )
    self._observation_spec = dtypes.cast_spec(environment.observation_spec())
    self._steps = 0
    self._over = np.ones(environment.batch_size, bool)

  @property
  def batch_size(self) -> int:
    return self._environment.batch_size

  def reset(self) -> dm_env.TimeStep:
    """As the wrapped batch.

    Raises:
      contract.Breach: as `step`, if a time step does not match the specs.
      members.Failure: if the batch raises.
    """
    self._over[:] = True
    return self._take(self._call('reset'))

  def step(self, action: Any) -> dm_env.TimeStep:
    return self._take(self._call('step', action))

  def _call(self, method: str, *arguments: Any) -> Any:
    try:
      with activity.waiting(f'waiting for {method} of {self._name}'):
        return getattr(self._environment, method)(*arguments)
    except contract.Breach as breach:
      raise contract.Breach(f'{self._where()}: {breach}') from breach
    except members.Failure:  # Its message names the environment.
      raise
    except Exception as error:  # User code may raise anything.
      raise members.Failure(
        f'{self._where()}: {method} raised {type(error).__name__}: {error}'
      ) from error

  def _where(self, index: int | None = None) -> str:
    number = '' if index is None else f', number {index}'
    return f'{self._name}{number}, step {self._steps}'

  def _take(self, timestep: dm_env.TimeStep) -> dm_env.TimeStep:
    size = self.batch_size
    for path, leaf in tree.flatten_with_path(timestep):
      if np.shape(leaf)[:1] != (size,):
        field = '.'.join(map(str, path))
        raise contract.Breach(
          f'{self._where()}: {field} must have the leading dimension {size}, '
          f'but received shape {np.shape(leaf)}.'
        )
    first = timestep.step_type == _FIRST
    if (first != self._over).any():
      index = int(np.flatnonzero(first != self._over)[0])
      raise contract.Breach(
        f'{self._where(index)}: the step after LAST, and no other, must be '
        f'FIRST, but received step type {int(timestep.step_type[index])} after '
        f'{"LAST" if self._over[index] else "FIRST or MID"}; start the new '
        'episode in the step after LAST.'
      )
    try:
      taken = self._contract.take(timestep)
    except (TypeError, ValueError):
      alone = [functools.partial(_alone, timestep, i) for i in range(size)]
      contract.name_breach(self._contract, alone, self._where)
      raise
    self._steps += 1
    self._over = timestep.step_type == _LAST
    return taken

  def restart(self, which: np.ndarray) -> bool:
    if not self._environment.restart(which):
      return False
    self._over |= which
    return True

  def observation_spec(self) -> Any:
    return self._observation_spec

  def action_spec(self) -> Any:
    return self._environment.action_spec()

  def keep_tasks(self) -> None:
    self._environment.keep_tasks()

  def new_tasks(self, which: np.ndarray) -> None:
    self._environment.new_tasks(which)

  @property
  def lost(self) -> np.ndarray:
    return self._environment.lost

  def metrics(self) -> dict[str, float]:
    return self._environment.metrics()

  def action_names(self) -> Sequence[str] | None:
    return self._environment.action_names()

  def agent_in_window(self) -> tuple[int, int] | None:
    return self._environment.agent_in_window()

  def render(self, index: int = 0) -> np.ndarray:
    """As the wrapped batch.

    Raises:
      ValueError: if it cannot be rendered.
      members.Failure: if rendering raises anything else.
    """
    try:
      return self._call('render', index)
    except members.Failure as failure:
      if isinstance(failure.__cause__, ValueError):
        raise failure.__cause__ from None
      raise

  def close(self) -> None:
    self._environment.close()


def _alone(timestep: dm_env.TimeStep, index: int) -> dm_env.TimeStep:
  """The time step of one environment, as a batch of one."""
  return tree.map_structure(lambda x: x[index : index + 1], timestep)

"""The environments of a batch; errors name the one that raised."""

from collections.abc import Callable, Sequence
import contextlib
from typing import Any

from absl import logging
import dm_env
import numpy as np

from ald_acme import activity


class Failure(RuntimeError):
  """An environment raised; the message names it, the step and the error."""


def seed_of(seed: int, *numbers: int) -> int:
  """The seed of one environment of a batch, an integer of 31 bits.

  Seeds that count up from the batch's would give batches with nearby seeds the
  same environments.

  Args:
    seed: seed of the batch, at least 0.
    *numbers: index of the environment in it, and how often it was recreated.
  """
  state = np.random.SeedSequence([seed, *numbers]).generate_state(1)
  return int(state[0] >> 1)  # Many environments accept no more bits.


class Members:
  """Single environments, which may be recreated after a failure.

  Attributes:
    name: name of the environments, for errors.
    steps: number of steps so far, for errors.
    remade: number of environments recreated so far.
  """

  def __init__(
    self,
    environments: Sequence[dm_env.Environment],
    name: str,
    first: int,
    make: Callable[[int], dm_env.Environment] | None,
    remakes: int,
  ) -> None:
    """Wraps the environments; arguments as for `stacking.Stacked`."""
    self.name = name
    self.steps = self.remade = 0
    self._environments = list(environments)
    self._first = first
    self._make, self._remakes = make, remakes

  def __len__(self) -> int:
    return len(self._environments)

  def __getitem__(self, index: int) -> dm_env.Environment:
    return self._environments[index]

  def where(self, index: int) -> str:
    """Describes an environment and the current step."""
    return f'{self.name}, number {self._first + index}, step {self.steps}'

  def call(self, index: int, method: str, *arguments: Any) -> Any:
    """Calls a method of one environment.

    Raises:
      Failure: if it raises anything.
    """
    try:
      with activity.waiting(
        f'waiting for {method} of {self.name}, number {self._first + index}'
      ):
        result = getattr(self._environments[index], method)(*arguments)
      activity.moved()
      return result
    except Exception as error:  # User code may raise anything.
      raise Failure(
        f'{self.where(index)}: {method} raised {type(error).__name__}: {error}'
      ) from error

  def remake(self, index: int, failure: Failure) -> None:
    """Replaces an environment that raised.

    Raises:
      Failure: the one given, if no more may be recreated.
    """
    if self.remade >= self._remakes or self._make is None:
      raise failure
    self.remade += 1
    logging.warning(
      '%s. Recreating it (%d of %d times); its episode is lost.',
      failure,
      self.remade,
      self._remakes,
    )
    with contextlib.suppress(Exception):  # It may fail to close.
      self._environments[index].close()
    self._environments[index] = self._make(index)

  def metrics(self) -> dict[str, float]:
    """Number of environments recreated, if that is enabled."""
    if not self._remakes:
      return {}
    return {'environments_remade': float(self.remade)}

  def close(self) -> None:
    for environment in self._environments:
      environment.close()

"""The environments of a batch; an error names the one that raised."""

from collections.abc import Callable, Sequence
import contextlib
from typing import Any

from absl import logging
import dm_env
import numpy as np

from ald_acme import activity


class Failure(RuntimeError):
  """An environment raised an error: which, at which step, and what it was."""


def seed_of(seed: int, *numbers: int) -> int:
  """The seed of one environment of a batch, an integer of 31 bits.

  Batches have seeds of their own. To count from those on would give batches
  whose seeds are near each other the same environments.

  Args:
    seed: of the batch, at least 0.
    *numbers: of the environment within it.
  """
  state = np.random.SeedSequence([seed, *numbers]).generate_state(1)
  return int(state[0] >> 1)  # Many environments take no more bits.


class Members:
  """Single environments, some of which may be made anew.

  Attributes:
    name: of the environments, for errors.
    steps: of the batch so far, for errors.
    remade: environments made anew so far.
  """

  def __init__(
    self,
    environments: Sequence[dm_env.Environment],
    name: str,
    first: int,
    make: Callable[[int], dm_env.Environment] | None,
    remakes: int,
  ):
    """Takes the environments over; arguments as of `base.Stacked`."""
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
    """Names an environment and the present step."""
    return f'{self.name}, number {self._first + index}, step {self.steps}'

  def call(self, index: int, method: str, *arguments) -> Any:
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
    except Exception as error:  # Foreign code may raise anything.
      raise Failure(
        f'{self.where(index)}: {method} raised {type(error).__name__}: {error}'
      ) from error

  def remake(self, index: int, failure: Failure):
    """Replaces an environment that raised.

    Raises:
      Failure: the one given, if as many were made anew as may be.
    """
    if self.remade >= self._remakes or self._make is None:
      raise failure
    self.remade += 1
    logging.warning(
      '%s. It is made anew (%d of %d times), and its episode is lost.',
      failure,
      self.remade,
      self._remakes,
    )
    with contextlib.suppress(Exception):  # It may be beyond closing.
      self._environments[index].close()
    self._environments[index] = self._make(index)

  def metrics(self) -> dict[str, float]:
    """How many environments were made anew, where that may happen."""
    if not self._remakes:
      return {}
    return {'environments_remade': float(self.remade)}

  def close(self):
    for environment in self._environments:
      environment.close()

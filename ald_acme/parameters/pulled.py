"""Parameters pulled from a variable source, for acting."""

from collections.abc import Sequence

import acme
from acme.tf import variable_utils
import numpy as np

from ald_acme import activity


class PulledParameters:
  """Copies of a source's parameters as plain arrays, and their age.

  Acme's `VariableClient` does the pulling. It assigns to what it is given:
  here, to places for arrays, because no TensorFlow variable is needed to act.
  """

  def __init__(
    self, source: acme.VariableSource, name: str, count: int, period: int = 1
  ) -> None:
    """Pulls for the first time.

    Args:
      source: has the variables `name` and 'updates'.
      name: of the parameters.
      count: how many arrays they are.
      period: calls of `update` between pulls.
    """
    self._places = [_ParameterSlot() for _ in range(count)]
    self._updates = _ParameterSlot()
    self._client = variable_utils.VariableClient(
      source, {name: self._places, 'updates': [self._updates]}, period
    )
    self.pull()

  @property
  def arrays(self) -> Sequence[np.ndarray]:
    """The newest parameters that arrived, in the source's order."""
    return [place.value for place in self._places]

  @property
  def age(self) -> int:
    """Number of updates behind them."""
    return int(self._updates.value)

  def pull(self) -> None:
    """Pulls now."""
    with activity.waiting('waiting for parameters', True, 'pull'):
      self._client.update_and_wait()

  def update(self, wait: bool = False) -> bool:
    """Pulls when due; returns whether new parameters arrived.

    Args:
      wait: whether to wait for them; else they arrive in a later call.
    """
    before = self._updates.assigned
    self._client.update(wait)
    return self._updates.assigned > before


class _ParameterSlot:
  """Receives an array where `VariableClient` expects a `tf.Variable`."""

  def __init__(self) -> None:
    self.value = None
    self.assigned = 0  # Times.

  def assign(self, value: np.ndarray) -> None:
    self.value = value
    self.assigned += 1

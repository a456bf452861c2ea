"""The owner of shared parameters, which serves them to actors."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ald_acme.parameters import shared as shared_parameters
from ald_acme.parameters import vectors


class ActorParameters:
  """An Acme variable source over parameters that other processes update."""

  def __init__(
    self,
    initial: Sequence[np.ndarray],
    num_workers: int,
  ) -> None:
    """Puts the parameters into shared memory.

    Args:
      initial: the actor network's variables, in order.
      num_workers: how many processes may update them.
    """
    self._layout = vectors.Layout([np.shape(array) for array in initial])
    self._shared = shared_parameters.SharedParameters.create(
      self._layout.pack(initial), num_workers
    )

  def handle(self) -> list[Any]:
    """What a worker on this host needs to attach."""
    return list(self._shared.handle)

  def get_variables(self, names: Sequence[str]) -> list[list[np.ndarray]]:
    """Variables by name: 'actor' (the network's) or 'updates' (their age)."""
    known = {
      'updates': [np.int64(self._shared.updates)],
      'actor': self._layout.unpack(self._shared.read()),
    }
    return [known[name] for name in names]

  def save(self) -> dict[str, Any]:
    """The parameters and their age."""
    return {
      'variables': self._shared.read(),
      'updates': np.int64(self._shared.updates),
    }

  def restore(self, state: dict[str, Any]) -> None:
    """Restores a state returned by `save`; call it before any worker attaches.

    Raises:
      ValueError: if the state is of a network of another size.
    """
    self._layout.check(state['variables'])
    self._shared.write(state['variables'])
    self._shared.restore_updates(int(state['updates']))

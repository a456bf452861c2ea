"""The owner of the shared actor parameters, who serves them to everybody."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ald_acme.parameters import shared as shared_parameters
from ald_acme.parameters import vectors


class ActorParameters:
  """An Acme variable source over the parameters that distillers update."""

  def __init__(
    self,
    initial: Sequence[np.ndarray],
    num_workers: int,
    state: dict[str, Any] | None = None,
  ):
    """Puts the parameters into shared memory.

    Args:
      initial: the actor network's variables, in order.
      num_workers: N_D, how many distillers may update them.
      state: what `save` gave in an earlier run, to go on from it.

    Raises:
      ValueError: if the state is of a network of another size.
    """
    self._layout = vectors.Layout([np.shape(array) for array in initial])
    vector = self._layout.pack(initial)
    if state:
      self._layout.unpack(state['variables'])  # Refuses other sizes.
      vector = state['variables']
    self._shared = shared_parameters.SharedParameters.create(
      vector, num_workers
    )
    if state:
      self._shared.restore_updates(int(state['updates']))

  def handle(self) -> list[int]:
    """What a distiller on this host needs to attach."""
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

"""Acme's observers of an environment loop, on a batch of environments."""

from collections.abc import Callable, Mapping, Sequence

from acme.utils import observers
import dm_env
import numpy as np
import tree

from ald_acme import types
from ald_acme.environments import base

# Makes the observers of one environment.
ObserverFactory = Callable[[], Sequence[observers.EnvLoopObserver]]


class Observers:
  """Observers of E environments, each of which sees one.

  An observer gets what `acme.EnvironmentLoop` gives it: time steps and actions
  of a single environment, and the environment, here the batch that it is in.
  """

  def __init__(
    self, environment: base.BatchedEnvironment, factory: ObserverFactory | None
  ) -> None:
    """Makes the observers.

    Args:
      environment: of which the time steps are.
      factory: called once per environment; None for no observers.
    """
    self._environment = environment
    size = environment.batch_size
    self._observers = [factory() for _ in range(size)] if factory else []
    self._metrics: list[Mapping[str, float]] = []

  def observe(
    self,
    timestep: dm_env.TimeStep,
    action: types.Nest = None,
    reported: np.ndarray | None = None,
  ) -> None:
    """Shows each observer a time step, and asks it at the end of an episode.

    Args:
      timestep: leaves `[E, ...]`.
      action: that led there, leaves `[E, ...]`; None after a reset.
      reported: bool `[E]`, whether an episode that ends here counts; by default
        all do.
    """
    for index, own in enumerate(self._observers):
      single = base.unbatch(timestep, index)
      for observer in own:
        if single.first():
          observer.observe_first(self._environment, single)
          continue
        one = tree.map_structure(lambda x, i=index: x[i], action)
        observer.observe(self._environment, single, one)
        if single.last() and (reported is None or reported[index]):
          self._metrics.append(observer.get_metrics())

  def metrics(self) -> dict[str, float]:
    """Means over the episodes that ended since the last call, by name."""
    values: dict[str, list[float]] = {}
    for row in self._metrics:
      for name, value in row.items():
        values.setdefault(name, []).append(float(value))
    self._metrics.clear()
    return {name: float(np.mean(row)) for name, row in values.items()}

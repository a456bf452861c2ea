"""Runs Acme's environment-loop observers on a batch of environments."""

from collections.abc import Callable, Mapping, Sequence

from acme.utils import observers
import dm_env
import numpy as np
import tree

from ald_acme import types
from ald_acme.environments.interface import base

# Creates the observers of one environment.
ObserverFactory = Callable[[], Sequence[observers.EnvLoopObserver]]


class Observers:
  """Observers of E environments, a set for each.

  Each observes a single environment's time steps and actions, as in
  `acme.EnvironmentLoop`; the `environment` argument is the whole batch.
  """

  def __init__(
    self, environment: base.BatchedEnvironment, factory: ObserverFactory | None
  ) -> None:
    """Creates the observers.

    Args:
      environment: the environments that produce the time steps.
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
    first: int = 0,
  ) -> None:
    """Passes a time step to each observer; collects metrics at episode ends.

    Args:
      timestep: leaves `[E, ...]`.
      action: the previous actions, leaves `[E, ...]`; None after a reset.
      reported: bool `[E]`, whether the metrics of an episode that ends here
        count; by default all do.
      first: number in the batch of the time step's first environment.
    """
    own = self._observers[first : first + len(timestep.reward)]
    for index, watching in enumerate(own):
      single = base.unbatch(timestep, index)
      for observer in watching:
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

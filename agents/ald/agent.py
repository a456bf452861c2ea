"""ALD in a single process, for debugging."""

from collections.abc import Callable, Sequence

import acme
from acme import specs
from acme.utils import counting
from acme.utils import loggers

from agents.actor_critic import agent
from agents.actor_critic import learner_runner
from agents.ald import builder as ald_builder
from agents.ald import config as ald_config
from agents.ald import distilling
from agents.ald import learner_runner as ald_learner_runner
from agents.ald import networks as ald_networks
from ald_acme.replay import local
from ald_acme.runs import saving


class DistillingTurns(agent.RunnerTurns):
  """Runs the distillers after the learner, at the ratio DpRL."""

  def __init__(
    self,
    source: acme.VariableSource,
    replay: local.LocalReplay,
    runner: learner_runner.LearnerRunner,
    distillers: Sequence[distilling.Distiller],
    dprl: float,
  ) -> None:
    super().__init__(source, replay, runner)
    self._saved = {f'distiller_{i}': d for i, d in enumerate(distillers)}
    self._distillers, self._dprl = list(distillers), dprl
    self._due = 0.0  # Distillation updates.

  def saved(self) -> dict[str, saving.Saveable]:
    return {'actor_parameters': self.source, **self._saved}

  def after_learning(self, updates: int) -> None:
    self._due += self._dprl * updates
    if self._replay.can_sample(ald_learner_runner.DISTILL, 1):
      while self._due >= 1.0:
        self._distillers[0].step()
        self._distillers.append(self._distillers.pop(0))  # In turn.
        self._due -= 1.0


class ALD(agent.ActorCritic):
  """An ALD agent for `acme.EnvironmentLoop`.

  Deterministic for a given `config.seed` and networks made with a seed.
  """

  def __init__(
    self,
    environment_spec: specs.EnvironmentSpec,
    networks: ald_networks.ALDNetworks,
    config: ald_config.ALDConfig | None = None,
    counter: counting.Counter | None = None,
    logger: loggers.Logger | None = None,
    make_builder: Callable[
      [ald_config.ALDConfig], ald_builder.ALDBuilder
    ] = ald_builder.ALDBuilder,
  ) -> None:
    """Creates the parts; as `agents.actor_critic.ActorCritic`."""
    super().__init__(
      environment_spec,
      networks,
      config or ald_config.ALDConfig(),
      counter,
      logger,
      make_builder,
    )

"""The schedule of ALD in a single process."""

from collections.abc import Sequence

import acme

from agents.actor_critic import learner_runner
from agents.actor_critic import turns
from agents.ald import distilling
from agents.ald import learner_runner as ald_learner_runner
from ald_acme.replay import local
from ald_acme.runs import saving


class DistillingTurns(turns.RunnerTurns):
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

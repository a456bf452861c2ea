"""Schedules of the single-process agent: in which order its parts run."""

import acme

from agents.actor_critic import learner_runner
from ald_acme.replay import local
from ald_acme.replay import tables
from ald_acme.runs import saving


class Turns:
  """The schedule of an agent without further parts.

  Attributes:
    source: the source that the actor pulls from.
  """

  def __init__(self, source: acme.VariableSource) -> None:
    self.source = source

  def saved(self) -> dict[str, saving.Saveable]:
    """Further parts to checkpoint, by name."""
    return {}

  def before_learning(self) -> None:
    """Called before the learner reads its table."""

  def after_learning(self, updates: int) -> None:
    """Called after the learner's updates.

    Args:
      updates: number of updates that the learner did.
    """


class RunnerTurns(Turns):
  """Runs the learner runner before the learner."""

  def __init__(
    self,
    source: acme.VariableSource,
    replay: local.LocalReplay,
    runner: learner_runner.LearnerRunner,
  ) -> None:
    super().__init__(source)
    self._replay, self._runner = replay, runner

  def before_learning(self) -> None:
    while self._replay.size(tables.QUEUE):
      self._runner.step()

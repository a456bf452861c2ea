"""What the parts of an agent do by turns in one process."""

import acme

from agents.actor_critic import learner_runner
from ald_acme.replay import local
from ald_acme.replay import tables
from ald_acme.runs import saving


class Turns:
  """The turns of the parts beside learner and actor: none here.

  Attributes:
    source: from which the actor pulls.
  """

  def __init__(self, source: acme.VariableSource) -> None:
    self.source = source

  def saved(self) -> dict[str, saving.Saveable]:
    """The parts that are saved beside the learner, by name."""
    return {}

  def before_learning(self) -> None:
    """Called before the learner takes what is in its table."""

  def after_learning(self, updates: int) -> None:
    """Called after the learner's turn.

    Args:
      updates: that the learner did.
    """


class RunnerTurns(Turns):
  """A learner runner has its turn before the learner."""

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

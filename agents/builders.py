"""The interface between builders and the program.

It imports neither TensorFlow nor Launchpad, so that builders are created and
validated without waiting for them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
import dataclasses
import typing
from typing import Any, Protocol

from ald_acme.environments.interface import base

if typing.TYPE_CHECKING:
  import acme
  from acme import specs
  from acme.utils import counting
  from acme.utils import loggers
  import reverb

  from agents import experiment
  from ald_acme.runs import indicators

# Makes E environments from (batch_size, seed).
EnvironmentFactory = Callable[[int, int], base.BatchedEnvironment]
ShouldStop = Callable[[], bool]
LEARNER = 'learner'  # Label of the learner's node, in `Node.uses`.


def never() -> bool:
  """A `ShouldStop` that never stops."""
  return False


@dataclasses.dataclass
class Context:
  """The inputs of a node, which the program creates in the node's process.

  Attributes:
    index: index of the node within its group.
    networks: the agent's networks, created for this node alone.
    replay: client of the replay server.
    nodes: handles of the nodes that it uses, by label.
    counter: the program's counter; it counts in the background, so its replies
      lack other nodes' counts at first.
    logger: the node's logger.
    should_stop: true once the program is ending.
  """

  index: int
  networks: Any
  replay: reverb.Client
  nodes: Mapping[str, Any]
  counter: counting.Counter
  logger: loggers.Logger
  should_stop: ShouldStop


@dataclasses.dataclass(frozen=True)
class Node:
  """A kind of node that a builder adds to the program.

  Attributes:
    label: label of its group.
    make: creates the part that runs in it. If the part has a method
      `run(should_stop)`, the program ends when that returns; otherwise the part
      serves until the end.
    count: number of nodes; None for a single node without a number in its name.
    serves: names of the part's methods that other nodes may call.
    uses: labels of the nodes that it calls, which must be declared before it.
    saved: whether checkpoints include the part (`save` and `restore`).
    accelerated: whether it gets the accelerator and half of the cores.
  """

  label: str
  make: Callable[[Context], Any]
  count: int | None = None
  serves: tuple[str, ...] = ()
  uses: tuple[str, ...] = ()
  saved: bool = False
  accelerated: bool = False

  def names(self) -> list[str]:
    """Names of its nodes in logs and checkpoints."""
    if self.count is None:
      return [self.label]
    return [f'{self.label}_{i}' for i in range(self.count)]


class Worker(Protocol):
  """A part with a loop."""

  def run(self, should_stop: ShouldStop) -> None:
    """Runs until `should_stop` returns true."""


class Evaluator(Protocol):
  """A part that evaluates policies."""

  def evaluate(self) -> dict[str, float]:
    """Evaluates now; returns the row, with 'actor_return' and 'frames'."""

  def run(self, wait: Callable[[float], bool]) -> None:
    """Evaluates until `wait(seconds)`, which sleeps, returns true."""


class EvaluatorFactory(Protocol):
  """Creates an evaluator in addition to the builder's; picklable."""

  def __call__(
    self,
    networks: Any,
    variable_source: acme.VariableSource,
    counter: counting.Counter,
    logger: loggers.Logger,
  ) -> Evaluator:
    """Creates an evaluator; the program calls its `run`.

    Args:
      networks: the agent's networks, created for this evaluator alone.
      variable_source: the node that actors pull from.
      counter: the program's counter.
      logger: the evaluator's logger: `logs/evaluator_1.csv` for the first
        factory.
    """


class Builder(Protocol):
  """Creates the parts of an agent for a program; picklable.

  The signatures extend those of Acme's TensorFlow builders (0.4.0); methods
  that may block also take `should_stop`.
  """

  @property
  def acting_source(self) -> str:
    """Label of the node that actors pull parameters from."""

  def make_networks(self, environment_spec: specs.EnvironmentSpec) -> Any:
    """Creates the networks, with their variables."""

  def make_replay_tables(
    self, environment_spec: specs.EnvironmentSpec
  ) -> list[reverb.Table]:
    """Creates the tables of the replay server."""

  def make_dataset_iterator(
    self, replay_client: reverb.Client, should_stop: ShouldStop
  ) -> Iterator[Any]:
    """Creates the learner's batches; they end once `should_stop` is true."""

  def make_learner(
    self,
    networks: Any,
    dataset: Iterator[Any],
    counter: counting.Counter,
    logger: loggers.Logger,
  ) -> acme.Learner:
    """Creates the learner: `run`, `get_variables`, `save` and `restore`."""

  def make_acting_loop(
    self,
    networks: Any,
    environment_factory: EnvironmentFactory,
    replay_client: reverb.Client,
    variable_source: acme.VariableSource,
    index: int,
    restarts: int,
    counter: counting.Counter,
    logger: loggers.Logger,
    should_stop: ShouldStop,
  ) -> Worker:
    """Creates an actor with its environments.

    Args:
      networks: from `make_networks`.
      environment_factory: creates environments.
      replay_client: client of the replay server.
      variable_source: the node that `acting_source` names, or a cache of it.
      index: index of the actor.
      restarts: number of earlier starts of this actor in this run; its episodes
        must differ from theirs.
      counter: counts `frames` and `episodes`; acting ends when its reply holds
        `ald_acme.runs.counts.STOP_ACTING`.
      logger: the actor's logger.
      should_stop: true once the program is ending.
    """

  def make_evaluator(
    self,
    networks: Any,
    environment_factory: EnvironmentFactory,
    actor_source: acme.VariableSource,
    learner_source: acme.VariableSource | None,
    counter: counting.Counter,
    logger: loggers.Logger,
    clock: Callable[[], float],
    evaluation: experiment.EvaluationConfig,
  ) -> Evaluator:
    """Creates the evaluator, also of the learner if it has a source."""

  def nodes(self) -> Sequence[Node]:
    """Nodes besides replay, learner, actors, evaluator and monitor."""

  def indicators(self) -> indicators.Indicators:
    """The agent's values in the progress and the summary of a run."""

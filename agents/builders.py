"""The interface of builders to a program, and the nodes that a builder may add.

Nothing here imports TensorFlow or Launchpad: builders are made, and refused,
before either is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
import dataclasses
import typing
from typing import Any, Protocol

from ald_acme.environments import base

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
LEARNER = 'learner'  # The node that every agent has, in `Node.uses`.


def never() -> bool:
  """A `ShouldStop` that never stops."""
  return False


@dataclasses.dataclass
class Context:
  """The inputs of a node, made by the program in the node's own process.

  Attributes:
    index: number of the node within its group.
    networks: of the agent, made for this node alone.
    replay: client of the replay server.
    nodes: the nodes that it uses, by label.
    counter: of the whole program.
    logger: of the node.
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
    label: of its group.
    make: makes the part that runs in it. A part with a method
      `run(should_stop)` ends the program when that returns; a part without it
      serves until the end.
    count: how many there are; None for one without a number in its name.
    serves: names of the part's methods that other nodes may call.
    uses: labels of nodes that it calls, declared before it.
    saved: whether the part's `save` and `restore` are for checkpoints.
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
    """Names of its nodes, in logs and in checkpoints."""
    if self.count is None:
      return [self.label]
    return [f'{self.label}_{i}' for i in range(self.count)]


class Worker(Protocol):
  """A part with a loop."""

  def run(self, should_stop: ShouldStop) -> None:
    """Works until told to stop."""


class Evaluator(Protocol):
  """A part that evaluates policies."""

  def evaluate(self) -> dict[str, float]:
    """Evaluates now; gives the row, with 'actor_return' and 'frames'."""

  def run(self, wait: Callable[[float], bool]) -> None:
    """Evaluates until `wait`, which waits that many seconds, gives true."""


class EvaluatorFactory(Protocol):
  """Makes an evaluator beside that of the builder; it can be pickled."""

  def __call__(
    self,
    networks: Any,
    variable_source: acme.VariableSource,
    counter: counting.Counter,
    logger: loggers.Logger,
  ) -> Evaluator:
    """An evaluator, whose `run` the program calls.

    Args:
      networks: of the agent, made for this evaluator alone.
      variable_source: the node from which actors pull.
      counter: of the whole program.
      logger: of the evaluator: `logs/evaluator_1.csv` for the first factory.
    """


class Builder(Protocol):
  """Makes the parts of an agent for a program; it can be pickled.

  The first three methods are those of Acme's TensorFlow builders (0.4.0); the
  program tells those that wait when to stop.
  """

  @property
  def acting_source(self) -> str:
    """Label of the node from which actors pull parameters."""

  def make_networks(self, environment_spec: specs.EnvironmentSpec) -> Any:
    """The networks that the other methods take, with their variables."""

  def make_replay_tables(
    self, environment_spec: specs.EnvironmentSpec
  ) -> list[reverb.Table]:
    """The tables of the replay server."""

  def make_dataset_iterator(
    self, replay_client: reverb.Client, should_stop: ShouldStop
  ) -> Iterator[Any]:
    """Batches for the learner; ends once `should_stop` is true."""

  def make_learner(
    self,
    networks: Any,
    dataset: Iterator[Any],
    counter: counting.Counter,
    logger: loggers.Logger,
  ) -> acme.Learner:
    """The learner: `run`, `get_variables`, `save` and `restore`."""

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
    """An actor in environments of its own.

    Args:
      networks: of `make_networks`.
      environment_factory: makes environments.
      replay_client: of the replay server.
      variable_source: the node that `acting_source` names, or a cache of it.
      index: number of the actor.
      restarts: how often this actor began before, in this run; it is to play
        other episodes than it did then.
      counter: counts `frames` and `episodes`; acting is over when its answer
        holds `ald_acme.runs.counts.STOP_ACTING`.
      logger: of the actor.
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
    """Evaluates the acting policy, and the learner's if it has a source."""

  def nodes(self) -> Sequence[Node]:
    """The nodes beside replay, learner, actors, evaluator and monitor."""

  def indicators(self) -> indicators.Indicators:
    """The agent's values in the progress and the summary of a run."""

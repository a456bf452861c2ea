"""The learner runner: unrolls the learner's network over the actors' data."""

from collections.abc import Callable, Iterator
from typing import Any

from acme.utils import counting
from acme.utils import loggers
import numpy as np
import tensorflow as tf

from agents.actor_critic import learning
from ald_acme import activity
from ald_acme import graphs
from ald_acme import types
from ald_acme.networks import protocols
from ald_acme.parameters import pulled
from ald_acme.parameters import variables
from ald_acme.replay import reader
from ald_acme.replay import writer as replay_writer

LEARNER = 'learner'  # The table that the runner writes to.
# A step for the writer, and the selection of each table's item from it.
Written = tuple[dict[str, Any], dict[str, Callable[[Any], Any]]]


class LearnerRunner:
  """Attaches the learner's recurrent state to unrolls.

  It carries the state of each stream from unroll to unroll, so that the learner
  can batch unrolls freely. A stream is an actor's index, which the actor keeps
  after a restart, so there are never more states than actors. A subclass may
  write further outputs of the network, to further tables.
  """

  def __init__(
    self,
    network: protocols.Network,
    unrolls: Iterator[list[types.Unroll]],
    writer: replay_writer.Writer,
    parameters: pulled.PulledParameters,
    counter: counting.Counter | None = None,
    logger: loggers.Logger | None = None,
  ) -> None:
    """Starts each stream from the initial state.

    Args:
      network: the learner's network.
      unrolls: items of the `queue` table, one at a time.
      writer: writes to the replay server.
      parameters: the network's parameters, from the learner.
      counter: counts `unrolls`.
      logger: receives a row per unroll.
    """
    self._network = network
    self._unrolls = unrolls
    self._writer = writer
    self._parameters = parameters
    self._variables = variables.Variables(network.trainable_variables)
    self._counter = counter or counting.Counter()
    self._logger = logger
    # Stream to (sequence of the next unroll, state).
    self._memories: dict[int, tuple[int, types.Nest]] = {}

    def read(
      vector: tf.Tensor, inputs: types.Inputs, state: types.Nest
    ) -> tuple[Any, types.Nest]:
      self._variables.assign_in_graph(vector)
      # The last step belongs to the next unroll.
      inputs = tf.nest.map_structure(lambda x: x[:-1], inputs)
      return self._unroll(inputs, state)

    self._read = activity.Compiled(graphs.FlatFunction(read), 'its unroll')

  def step(self) -> bool:
    """Processes one unroll; False if the program stopped."""
    try:
      (unroll,) = next(self._unrolls)
    except StopIteration:
      return False
    # Wait for the pull: the outputs should be as recent as possible.
    self._parameters.pull()
    with activity.doing('forward'):
      vector = self._parameters.vector
      state = self._recall(unroll)
      outputs, next_state = self._read(vector, unroll.inputs, state)
    stamp = unroll.stamp
    self._memories[int(stamp.stream)] = (int(stamp.sequence) + 1, next_state)
    written = self._writer.write(*self._written(unroll, state, outputs))
    if written:
      with activity.doing('count'):
        counts = self._counter.increment(unrolls=1)
      if self._logger:
        self._logger.write(
          {
            'frames': counts.get('frames', 0),
            'unrolls': counts.get('unrolls', 0),
            'learner_age': self._parameters.age,
          }
        )
    return written

  def _unroll(
    self, inputs: types.Inputs, state: types.Nest
  ) -> tuple[Any, types.Nest]:
    """Unrolls the network over inputs `[T, E, ...]`; runs in a graph.

    Returns:
      Outputs for `_written`, and the state after them.
    """
    return self._network.unroll(inputs, state)

  def _written(
    self, unroll: types.Unroll, state: types.Nest, outputs: Any
  ) -> Written:
    """What to write for an unroll.

    Args:
      unroll: the unroll.
      state: the network's state before it.
      outputs: of `_unroll`, `[T, E, ...]`.
    """
    return {'unroll': unroll, 'state': state}, {
      LEARNER: lambda step: learning.LearnerItem(step['unroll'], step['state'])
    }

  @property
  def _age(self) -> np.int64:
    """Number of updates of the current parameters."""
    return np.int64(self._parameters.age)

  def _recall(self, unroll: types.Unroll) -> types.Nest:
    """The learner's state before the unroll; initial for a new stream."""
    sequence, state = self._memories.get(int(unroll.stamp.stream), (None, None))
    if sequence != int(unroll.stamp.sequence):  # New or restarted.
      state = self._network.initial_state(unroll.action.shape[1])
    return state

  def run(self, should_stop: Callable[[], bool] = lambda: False) -> None:
    """Processes unrolls until told to stop."""
    example = reader.example(self._unrolls)
    if example is not None:
      (unroll,) = example
      vector = self._parameters.vector
      self._read.prepare(vector, unroll.inputs, self._recall(unroll))
    while not should_stop() and self.step():
      pass

"""The learner: trains a network on the actors' unrolls."""

from collections.abc import Iterator, Sequence
import dataclasses
import functools
import secrets
import threading
import time
from typing import Any, NamedTuple

import acme
from acme.utils import counting
from acme.utils import loggers
import numpy as np
import tensorflow as tf

from agents.actor_critic import objectives
from ald_acme import activity
from ald_acme import finite
from ald_acme import graphs
from ald_acme import optimizers
from ald_acme import types
from ald_acme.networks import protocols
from ald_acme.parameters import averaging
from ald_acme.parameters import variables as parameters
from ald_acme.parameters import vectors
from ald_acme.replay import items as replay_items
from ald_acme.replay import reader
from ald_acme.runs import saving


class LearnerItem(NamedTuple):
  """An unroll and the learner's initial recurrent state.

  Attributes:
    unroll: an actor's unroll.
    learner_state: the learner's recurrent state before step 0, leaves
      `[E, ...]`.
  """

  unroll: types.Unroll
  learner_state: types.Nest


@dataclasses.dataclass(frozen=True)
class _Snapshot:
  """Data published after an update; immutable, so read without a lock.

  Attributes:
    version: differs from that of any other snapshot.
    updates: number of learner updates.
    tensor: float32 `[P]`, the average of the parameters.
  """

  version: int
  updates: int
  tensor: tf.Tensor

  @functools.cached_property
  def vector(self) -> np.ndarray:
    """The parameters; they leave the device at the first pull only."""
    vector = np.array(self.tensor)
    vector.flags.writeable = False
    return vector


class ActorCriticLearner(acme.Learner):
  """Minimises an objective over a network, with one update per batch.

  After each update it publishes a moving average of the parameters as one
  immutable vector, which any thread can pull without waiting for an update.
  Policies that act or teach therefore change more smoothly than the parameters
  that the gradient updates.
  """

  def __init__(
    self,
    network: protocols.Network,
    batches: Iterator[Sequence[LearnerItem]],
    objective: objectives.Objective,
    optimizer: optimizers.Optimizer,
    counter: counting.Counter | None = None,
    logger: loggers.Logger | None = None,
    acting_variables: Sequence[tf.Variable] = (),
    checkpoint_directory: str | None = None,
    average_decay: float = 0.0,
  ) -> None:
    """Publishes the network's initial parameters.

    Args:
      network: to train; its variables exist.
      batches: items of each update.
      objective: objective of the network.
      optimizer: optimiser of the network's number of parameters.
      counter: counts `learner_updates`.
      logger: receives a row per update.
      acting_variables: the variables that actors pull as 'actor'; empty if they
        pull from elsewhere.
      checkpoint_directory: folder to save itself and the counter in, every ten
        minutes and at the end of `run`, and to resume from; None to do neither.
      average_decay: decay of the published average per update, in [0, 1); with
        0 the newest parameters are published.

    Raises:
      ValueError: if the network has variables that are not trainable, or if the
        folder holds checkpoints of another network.
    """
    parameters.check_trainable(network)
    self._batches = batches
    self._objective = objective
    self._optimizer = optimizer
    self._counter = counter or counting.Counter()
    self._logger = logger
    self._lock = threading.Lock()  # For updates and saves, not pulls.
    self._updates = 0
    self._broken = False  # Whether the last update was NaN or infinite.

    self._variables = list(network.trainable_variables)
    self._all = parameters.Variables(self._variables)
    self._layout = vectors.Layout([v.shape for v in self._variables])
    indices = {v.ref(): i for i, v in enumerate(self._variables)}
    acting = [indices[v.ref()] for v in acting_variables]
    # Indices of the variables that are served under each name.
    self._served: dict[str, Sequence[int]] = {
      'learner': range(len(self._variables))
    }
    if acting:
      self._served['actor'] = acting
    if objective.variables:
      self._own_optimizer = optimizers.FlatAdam(
        len(objective.variables), objective.learning_rate
      )
    self._update = activity.Compiled(
      graphs.FlatFunction(self._update_on), 'its update'
    )
    self._metric_names: list[str] = []
    self._version = secrets.randbits(62)  # Another one after a restart.
    initial = tf.constant(self._all.read_flat())
    self._average = averaging.MovingAverage(initial, average_decay)
    self._publish(initial)
    self._saver = None
    if checkpoint_directory is not None:
      self._saver = saving.Saver(
        {'learner': self}, self._counter, checkpoint_directory
      )
      self._saver.restore()

  def _update_on(
    self, items: Sequence[LearnerItem]
  ) -> tuple[tf.Tensor, tf.Tensor]:
    """Updates if all metrics are finite.

    Returns:
      The average of the parameters; and the metrics as one vector, which is
      one transfer from a device, in the order of `_metric_names` (set by the
      trace).
    """
    item = replay_items.concatenate(items)
    own = list(self._objective.variables)
    with tf.GradientTape() as tape:
      loss, metrics = self._objective.loss(item.unroll, item.learner_state)
    gradients = tape.gradient(loss, self._variables + own)
    optimizers.check_gradients(gradients, self._variables + own)
    size = len(self._variables)
    gradient = optimizers.flatten(gradients[:size])
    metrics = {**metrics, 'loss': loss, 'gradient_norm': tf.norm(gradient)}
    metrics = {
      name: tf.reshape(tf.cast(value, tf.float32), [])
      for name, value in metrics.items()
    }

    def step() -> tf.Tensor:
      optimizers.add(self._optimizer.step(gradient), self._variables)
      if own:
        of_own = optimizers.flatten(gradients[size:])
        optimizers.add(self._own_optimizer.step(of_own), own)
      self._objective.after_gradient()
      self._average.update(optimizers.flatten(self._variables))
      return tf.constant(True)

    finite.step_if(metrics, step, tf.constant(False))
    self._metric_names = list(metrics)
    return self._average.value, tf.stack([*metrics.values()])

  def _publish(self, vector: tf.Tensor) -> None:
    self._version += 1
    self._snapshot = _Snapshot(self._version, self._updates, vector)

  # --- acme.Learner.

  def step(self) -> None:
    """Does one update.

    Raises:
      StopIteration: when the data ends.
      FloatingPointError: if a metric is NaN or infinite; nothing is updated.
    """
    items = next(self._batches)
    began = time.time()
    with self._lock, activity.doing('update'):
      vector, values = self._update(items)
      values = values.numpy().tolist()
      metrics = dict(zip(self._metric_names, values, strict=True))
      self._broken = True  # The step was skipped; the parameters may be bad.
      finite.check(metrics, f'learner update {self._updates + 1}')
      self._broken = False
      self._updates += 1
      self._objective.after_update(self._updates)
      self._publish(vector)
    with activity.doing('count'):
      counts = self._counter.increment(learner_updates=1)
    if self._saver:
      self._saver.save_if_due()
    if self._logger:
      acted = [int(item.unroll.stamp.learner_updates) for item in items]
      lag = self._updates - 1 - np.mean(acted)
      self._logger.write(
        {
          'frames': counts.get('frames', 0),
          'learner_updates': self._updates,
          'update_seconds': time.time() - began,
          'policy_lag': float('nan') if types.UNKNOWN in acted else lag,
          **metrics,
        }
      )

  def run(self, num_steps: int | None = None) -> None:
    """Learns until the data ends, or for a number of updates.

    It traces the update before data arrives, if the shapes are known.
    """
    items = reader.example(self._batches)
    if items is not None:
      self._update.prepare(items)
    try:
      while num_steps is None or num_steps > 0:
        self.step()
        num_steps = None if num_steps is None else num_steps - 1
    except StopIteration:
      pass
    if self._saver:
      self._saver.save()

  def get_variables(self, names: Sequence[str]) -> list[list[np.ndarray]]:
    """Averaged variables by name, all of the same update; never blocks.

    Args:
      names: any of 'learner' (the network's), 'actor' (the `acting_variables`)
        and 'updates' (the number of updates).

    Returns:
      The arrays of each name, which must not be written to.
    """
    snapshot = self._snapshot
    arrays = self._layout.unpack(snapshot.vector)
    return [
      [np.asarray(snapshot.updates, np.int64)]
      if name == 'updates'
      else [arrays[i] for i in self._indices(name)]
      for name in names
    ]

  def get_vector(self, name: str, version: int | None) -> vectors.Answer:
    """As `vectors.VectorSource`, for 'learner' and 'actor'; never blocks."""
    snapshot, indices = self._snapshot, self._indices(name)
    if version == snapshot.version:
      return snapshot.version, snapshot.updates, None
    vector = self._layout.select(snapshot.vector, indices)
    return snapshot.version, snapshot.updates, vector

  def _indices(self, name: str) -> Sequence[int]:
    if name not in self._served:
      raise KeyError(
        f'the learner serves {", ".join(self._served)} and updates, but '
        f'received {name!r}; pull other variables from the part that owns them.'
      )
    return self._served[name]

  # --- acme.core.Saveable.

  def save(self) -> dict[str, Any]:
    """The state to resume from, as flat arrays.

    'variables' is the published average, 'newest' the parameters themselves.

    Raises:
      FloatingPointError: after an update with NaN or infinite metrics, so that
        the last checkpoint stays a good one.
    """
    with self._lock:
      if self._broken:
        raise FloatingPointError(
          'the last update had NaN or infinite metrics; resume from the last '
          'checkpoint with a lower learning rate.'
        )
      state = {
        'updates': np.int64(self._updates),
        'variables': self._snapshot.vector,
        'newest': self._all.read_flat(),
        'optimizer': self._optimizer.save(),
        'objective': self._objective.save(),
      }
      if self._objective.variables:
        state['dual_optimizer'] = self._own_optimizer.save()
    return state

  def restore(self, state: dict[str, Any]) -> None:
    """Restores a state returned by `save`.

    Raises:
      ValueError: if it belongs to another network or objective.
    """
    # Older checkpoints hold the objective's state at the top level, and no
    # average.
    of_objective = state.get('objective', state)
    newest = state.get('newest', state['variables'])
    average = state['variables'] if self._average.decay else newest
    with self._lock:
      self._objective.restore(of_objective)
      self._broken = False
      self._updates = int(state['updates'])
      self._all.assign_flat(newest)
      self._average.restore(average, self._updates)
      self._optimizer.restore(state['optimizer'])
      if self._objective.variables:
        self._own_optimizer.restore(state['dual_optimizer'])
      self._publish(tf.constant(np.array(average, np.float32)))

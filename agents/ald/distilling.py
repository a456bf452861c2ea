"""The distiller: trains the actor's network to imitate the learner."""

from collections.abc import Callable, Iterator, Sequence
import threading
from typing import Any

from acme.utils import counting
from acme.utils import loggers
import numpy as np
import tensorflow as tf

from agents.ald import config as ald_config
from agents.ald import features
from agents.ald import learner_runner
from agents.ald import networks
from ald_acme import activity
from ald_acme import finite
from ald_acme import graphs
from ald_acme import optimizers
from ald_acme.losses import distillation
from ald_acme.networks import protocols
from ald_acme.parameters import shared as shared_parameters
from ald_acme.parameters import variables as parameters
from ald_acme.replay import items as replay_items
from ald_acme.replay import reader

_ZERO = tf.UnconnectedGradients.ZERO


class Distiller:
  """One HOGWILD worker on the shared actor parameters.

  Each step copies the shared vector, computes a gradient of `alpha_pi E[KL] +
  alpha_V E[1/2 (V_L - V_A)^2]`, and adds its update to the shared vector, which
  others may have changed meanwhile. Values are normalised, as the learner's
  network predicts them. Each worker has its own Adam moments. With
  `feature_learning_rate` it adds a step that distils the learner's features
  (`features`).
  """

  def __init__(
    self,
    network: protocols.Network,
    shared: shared_parameters.SharedParameters,
    batches: Iterator[Sequence[learner_runner.DistillItem]],
    config: ald_config.ALDConfig,
    worker: int = 0,
    counter: counting.Counter | None = None,
    logger: loggers.Logger | None = None,
    feature_size: int = 0,
  ) -> None:
    """Creates the optimisers with zero moments.

    Args:
      network: the actor's network, used as scratch space.
      shared: the shared parameters.
      batches: batches of the `distill` table.
      config: the agent's configuration.
      worker: index of this distiller, its slot in the shared counters.
      counter: counts `actor_updates`.
      logger: receives a row per update.
      feature_size: F, size of the learner's features in the batches; if it is
        not 0, the network must be a `protocols.FeatureNetwork`.

    Raises:
      ValueError: if the network has variables that are not trainable.
    """
    parameters.check_trainable(network)
    self._network = network
    self._variables = parameters.Variables(network.trainable_variables)
    self._shared = shared
    self._batches = batches
    self._config = config
    self._worker = worker
    self._counter = counter or counting.Counter()
    self._logger = logger
    self._lock = threading.Lock()
    self._optimizer = optimizers.FlatAdam(
      shared.handle.size,
      config.distiller_learning_rate,
      config.distiller_gradient_norm,
    )
    self._features = None
    if feature_size:
      self._with_features = networks.with_features(network, 'actor')
      self._features = features.FeatureDistillation(
        self._with_features.feature_size,
        feature_size,
        shared.handle.size,
        config.feature_learning_rate,
        config.distiller_gradient_norm,
      )
    self._update = activity.Compiled(
      graphs.FlatFunction(self._update_at), 'its update'
    )

  def _update_at(
    self, vector: tf.Tensor, items: Sequence[learner_runner.DistillItem]
  ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Computes a step at `vector`; skipped unless all metrics are finite."""
    item = replay_items.concatenate(items)
    unroll, targets = item.unroll, item.targets
    variables = self._network.trainable_variables
    self._variables.assign_in_graph(vector)
    inputs = tf.nest.map_structure(lambda x: x[:-1], unroll.inputs)
    mask = tf.logical_not(unroll.is_last)
    distilled = self._features
    with tf.GradientTape(persistent=distilled is not None) as tape:
      if distilled:
        outputs, own, _ = self._with_features.unroll_features(
          inputs, unroll.actor_state
        )
        feature_loss = distilled.loss(own, targets.features, mask)
      else:
        outputs, _ = self._network.unroll(inputs, unroll.actor_state)
      kl = distillation.policy_distillation_loss(
        self._network.distribution,
        outputs.policy,
        targets.policy,
        mask,
        self._config.kl_direction,
      )
      value_loss = distillation.value_distillation_loss(
        outputs.value, targets.value, mask
      )
      loss = self._config.policy_cost * kl
      loss += self._config.distill_value_cost * value_loss
    gradients = tape.gradient(loss, variables)
    optimizers.check_gradients(gradients, variables)
    gradient = optimizers.flatten(gradients)
    metrics = {
      'kl': kl,
      'value_loss': value_loss,
      'loss': loss,
      'gradient_norm': tf.norm(gradient),
    }
    if distilled:
      # The heads do not lead to the features.
      of_network = tape.gradient(
        feature_loss, variables, unconnected_gradients=_ZERO
      )
      of_map = tape.gradient(feature_loss, distilled.variables)
      metrics['feature_loss'] = feature_loss

    def step() -> tf.Tensor:
      difference = self._optimizer.step(gradient)
      if distilled:
        difference += distilled.step(
          optimizers.flatten(of_network), optimizers.flatten(of_map)
        )
      return difference

    difference = finite.step_if(metrics, step, tf.zeros_like(gradient))
    return difference, metrics

  def step(self) -> None:
    """Does one update of the shared parameters.

    Raises:
      StopIteration: when the data ends.
      FloatingPointError: if a metric is NaN or infinite; nothing is shared
        then.
    """
    items = next(self._batches)
    with self._lock, activity.doing('update'):
      difference, metrics = self._update(self._shared.read(), items)
      metrics = {name: float(value) for name, value in metrics.items()}
      finite.check(metrics, f'distillation update {self._shared.updates + 1}')
    self._shared.add(difference.numpy(), self._worker)
    with activity.doing('count'):
      counts = self._counter.increment(actor_updates=1)
    if self._logger:
      teacher = np.mean([int(i.targets.learner_updates) for i in items])
      self._logger.write(
        {
          'frames': counts.get('frames', 0),
          'actor_updates': self._shared.updates,
          'teacher_lag': counts.get('learner_updates', 0) - teacher,
          **metrics,
        }
      )

  def run(self, should_stop: Callable[[], bool] = lambda: False) -> None:
    """Distils until the data ends or it is told to stop."""
    items = reader.example(self._batches)
    if items is not None:
      self._update.prepare(self._shared.read(), items)
    try:
      while not should_stop():
        self.step()
    except StopIteration:
      pass

  def save(self) -> dict[str, Any]:
    """The state of the optimisers."""
    with self._lock:
      state = {'optimizer': self._optimizer.save()}
      if self._features:
        state['features'] = self._features.save()
    return state

  def restore(self, state: dict[str, Any]) -> None:
    """Restores a state returned by `save`."""
    # Older checkpoints hold the optimiser's state at the top level.
    of_optimizer = state.get('optimizer', state)
    with self._lock:
      self._optimizer.restore(of_optimizer)
      if self._features and 'features' in state:
        self._features.restore(state['features'])

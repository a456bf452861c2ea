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


def _feature_gradients(
  tape: tf.GradientTape,
  loss: tf.Tensor,
  variables: Sequence[tf.Variable],
  of_map: Sequence[tf.Variable],
) -> tuple[tf.Tensor, tf.Tensor]:
  """Flat gradients by the network's variables and the map's.

  Raises:
    ValueError: if the loss depends on no variable of the network.
  """
  gradients = tape.gradient(loss, variables)
  if all(gradient is None for gradient in gradients):
    raise ValueError(
      'the features of `unroll_features` have no gradient for any variable of '
      'the network: it stops their gradient; remove that, or set '
      'feature_learning_rate=0.'
    )
  # The heads do not lead to the features.
  of_network = [
    tf.zeros_like(variable) if gradient is None else gradient
    for variable, gradient in zip(variables, gradients)
  ]
  return (
    optimizers.flatten(of_network),
    optimizers.flatten(tape.gradient(loss, of_map)),
  )


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

    Raises:
      ValueError: if the network has variables that are not trainable; or to
        distil features, if it is not a `protocols.FeatureNetwork`.
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
    # Made when F, the size of the learner's features, is known.
    self._features: features.FeatureDistillation | None = None
    self._with_features = (
      networks.with_features(network, 'actor')
      if config.feature_learning_rate
      else None
    )
    self._update = activity.Compiled(
      graphs.FlatFunction(self._update_at), 'its update'
    )

  def _prepare(self, items: Sequence[learner_runner.DistillItem]) -> None:
    """Makes what depends on the size of the learner's features."""
    if not self._with_features:
      return
    size = items[0].targets.features.shape[-1]
    if not self._features:
      self._features = self._make_features(size)
    elif self._features.size != size:
      raise ValueError(
        f"the learner's features have size {size}, but those distilled so far "
        f'have {self._features.size}; continue with the same networks.'
      )

  def _make_features(self, size: int) -> features.FeatureDistillation:
    assert self._with_features
    return features.FeatureDistillation(
      self._with_features.feature_size,
      size,
      self._shared.handle.size,
      self._config.feature_learning_rate,
      self._config.distiller_gradient_norm,
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
    if distilled:
      feature_targets, moments = distilled.standardise(targets.features, mask)
    with tf.GradientTape(persistent=distilled is not None) as tape:
      if distilled:
        assert self._with_features
        outputs, own, _ = self._with_features.unroll_features(
          inputs, unroll.actor_state
        )
        feature_loss = distilled.loss(own, feature_targets, mask)
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
      of_network, of_map = _feature_gradients(
        tape, feature_loss, variables, distilled.variables
      )
      metrics['feature_loss'] = feature_loss
      metrics['feature_gradient_norm'] = tf.norm(
        tf.concat([of_network, of_map], axis=0)
      )

    def step() -> tf.Tensor:
      difference = self._optimizer.step(gradient)
      if distilled:
        difference += distilled.step(of_network, of_map, moments)
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
    self._prepare(items)
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
      self._prepare(items)
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
      if self._with_features and 'features' in state:
        if not self._features:
          self._features = self._make_features(len(state['features']['bias']))
        self._features.restore(state['features'])

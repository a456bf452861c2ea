"""The learner: RL on the actors' unrolls, held near the actors' policy."""

from collections.abc import Iterator, Sequence
import copy
import threading
import time
from typing import Any

import acme
from acme.tf import savers
from acme.utils import counting
from acme.utils import loggers
import numpy as np
import tensorflow as tf

from agents.ald import config as ald_config
from ald_acme import finite
from ald_acme import optimizers
from ald_acme import types
from ald_acme.losses import distillation
from ald_acme.losses import masking
from ald_acme.losses import return_scale
from ald_acme.losses import vmpo
from ald_acme.losses import vtrace
from ald_acme.parameters import variables as parameters
from ald_acme.replay import items as replay_items


class ALDLearner(acme.Learner):
  """Minimises `L_RL + lambda E[KL(pi_A || pi_L)]` over the learner's network.

  L_RL is V-trace actor-critic or V-MPO; the KL is to the policy that acted,
  whose parameters are in the unrolls. No gradient reaches the actor.
  """

  def __init__(
    self,
    network,
    batches: Iterator[Sequence[types.LearnerItem]],
    config: ald_config.ALDConfig,
    counter: counting.Counter | None = None,
    logger: loggers.Logger | None = None,
    acting_variables: Sequence[tf.Variable] = (),
    checkpoint: bool = False,
  ):
    """Begins with fresh optimisers.

    Args:
      network: a `PolicyValueNetwork` whose variables exist.
      batches: of the `learner` table; each item is used once.
      config: of the agent.
      counter: counts `learner_updates`.
      logger: gets a row per update.
      acting_variables: those of the network's that act, where actors are not
        taught by distillation but pull from here.
      checkpoint: whether to save itself and the counter as time goes, and to go
        on from what an earlier learner saved, with Acme's own `Checkpointer`.
    """
    self._network = network
    self._batches = batches
    self._config = config
    self._counter = counter or counting.Counter()
    self._logger = logger
    self._lock = threading.Lock()  # Nobody reads half an update.
    self._updates = 0
    self._broken = False  # Whether the last update was not finite.

    variables = list(network.trainable_variables)
    self._variables = variables
    self._all = parameters.Variables(variables)
    self._served = {'learner': self._all}
    if acting_variables:
      self._served['actor'] = parameters.Variables(list(acting_variables))
    self._optimizer = optimizers.FlatAdam(
      self._all.size,
      config.learner_learning_rate,
      config.learner_gradient_norm,
    )
    if config.loss == 'vmpo':
      self._target = copy.deepcopy(network)
      self._all_of_target = parameters.Variables(
        list(self._target.trainable_variables)
      )
      self._duals = [
        tf.Variable(_inverse_softplus(initial))
        for initial in (
          config.initial_temperature,
          *[config.initial_alpha] * len(network.distribution.trust_regions),
        )
      ]
      self._dual_optimizer = optimizers.FlatAdam(
        len(self._duals), config.dual_learning_rate
      )
    self._scale = return_scale.ReturnScale()
    self._differentiate = tf.function(self._gradients_on, autograph=False)
    self._step = tf.function(self._apply, autograph=False)
    self._checkpointer = None
    if checkpoint:
      self._checkpointer = savers.Checkpointer(
        {'learner': self, 'counter': self._counter}, subdirectory='ald_learner'
      )

  # --- The objective.

  def _gradients_on(self, items: Sequence[types.LearnerItem]):
    """Gradients, flat: the network's and the duals'; metrics as scalars."""
    item = replay_items.concatenate(items)
    with tf.GradientTape() as tape:
      loss, metrics, duals = self._loss(item)
    gradients = tape.gradient(loss, self._variables + duals)
    size = len(self._variables)
    flat = [optimizers.flatten(gradients[:size])]
    if duals:
      flat.append(optimizers.flatten(gradients[size:]))
    return flat, {**metrics, 'loss': loss, 'gradient_norm': tf.norm(flat[0])}

  def _apply(self, own: tf.Tensor, of_duals: tf.Tensor | None = None):
    """One step of the optimisers."""
    _add(self._optimizer.step(own), self._variables)
    if of_duals is not None:
      _add(self._dual_optimizer.step(of_duals), self._duals)

  def _loss(self, item: types.LearnerItem):
    config, unroll = self._config, item.unroll
    outputs, _ = self._network.unroll(unroll.inputs, item.learner_state)
    distribution = self._network.distribution
    policy = outputs.policy[:-1]  # [T, B, P]; the last is a bootstrap.
    mask = tf.logical_not(unroll.is_last)
    log_pi = distribution.log_probability(policy, unroll.action)
    log_rhos = log_pi - distribution.log_probability(
      unroll.behaviour_policy, unroll.action
    )
    targets = vtrace.vtrace(
      values=outputs.value,
      rewards=unroll.reward,
      discounts=config.discount * unroll.discount,
      log_rhos=tf.stop_gradient(log_rhos),
      mask=mask,
    )
    scale = self._scale.update(targets.values, mask)
    value_loss = vtrace.value_loss(outputs.value[:-1], targets.values, mask)
    value_loss /= tf.square(scale)
    regulariser = distillation.policy_regulariser(
      distribution, policy, unroll.behaviour_policy, mask
    )
    entropy = masking.masked_mean(distribution.entropy(policy), mask)
    metrics = {
      'value_loss': value_loss,
      'kl_to_actor': regulariser,
      'entropy': entropy,
      'return_scale': scale,
    }
    loss = config.value_cost * value_loss
    loss += config.regulariser_cost * regulariser
    if config.loss == 'vtrace':
      policy_loss = vtrace.policy_gradient_loss(
        log_pi, targets.advantages / scale, mask
      )
      loss += policy_loss - config.entropy_cost * entropy
      return loss, {**metrics, 'policy_loss': policy_loss}, []

    target_outputs, _ = self._target.unroll(unroll.inputs, item.learner_state)
    temperature, *alphas = (tf.nn.softplus(dual) + 1e-8 for dual in self._duals)
    regions = distribution.trust_regions
    bounds = {
      'policy': config.epsilon_alpha,
      'mean': config.epsilon_mean,
      'covariance': config.epsilon_covariance,
    }
    terms = vmpo.vmpo_loss(
      log_pi=log_pi,
      kls=distribution.trust_region_kls(
        tf.stop_gradient(target_outputs.policy[:-1]), policy
      ),
      advantages=targets.errors / scale,
      mask=mask,
      temperature=temperature,
      alphas=tf.stack(alphas),
      epsilon_temperature=config.epsilon_temperature,
      epsilon_alphas=[bounds[region] for region in regions],
    )
    loss += terms.policy + terms.temperature + terms.trust_region
    metrics.update(
      policy_loss=terms.policy,
      kl_to_target=tf.reduce_sum(terms.kls),
      temperature=temperature,
      **{_alpha_of(region): alpha for region, alpha in zip(regions, alphas)},
    )
    return loss, metrics, self._duals

  # --- acme.Learner.

  def step(self):
    """One update.

    Raises:
      StopIteration: when the data ends.
      FloatingPointError: if a term is not finite.
    """
    items = next(self._batches)
    began = time.time()
    with self._lock:
      gradients, metrics = self._differentiate(items)
      metrics = {name: float(value) for name, value in metrics.items()}
      # Before anything changes: no such gradient is applied.
      self._broken = True
      finite.check(metrics, f'learner update {self._updates + 1}')
      self._broken = False
      self._step(*gradients)
      self._updates += 1
      if self._config.loss == 'vmpo':
        if self._updates % self._config.target_update_period == 0:
          self._all_of_target.assign_flat(self._all.read_flat())
    counts = self._counter.increment(learner_updates=1)
    if self._checkpointer:
      self._checkpointer.save()
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

  def run(self, num_steps: int | None = None):
    """Learns until the data ends, or for a number of updates."""
    try:
      while num_steps is None or num_steps > 0:
        self.step()
        num_steps = None if num_steps is None else num_steps - 1
    except StopIteration:
      pass

  def get_variables(self, names: Sequence[str]) -> list[list[np.ndarray]]:
    """Variables by name.

    Args:
      names: of 'learner' (the network's), 'actor' (those of them that act) and
        'updates' (their age).
    """
    with self._lock:
      return [
        [np.int64(self._updates)]
        if name == 'updates'
        else self._served[name].read()
        for name in names
      ]

  # --- acme.core.Saveable.

  def save(self) -> dict[str, Any]:
    """Everything that learning goes on from, as flat arrays.

    Raises:
      FloatingPointError: after an update that was not finite: its parameters
        may be why, and the last checkpoint is to be a good one.
    """
    with self._lock:
      if self._broken:
        raise FloatingPointError('The last update was not finite.')
      state = {
        'updates': np.int64(self._updates),
        'variables': self._all.read_flat(),
        'optimizer': self._optimizer.save(),
        'return_moments': self._scale.save(),
      }
      if self._config.loss == 'vmpo':
        state['target'] = self._all_of_target.read_flat()
        state['duals'] = np.array([d.numpy() for d in self._duals])
        state['dual_optimizer'] = self._dual_optimizer.save()
    return state

  def restore(self, state: dict[str, Any]):
    """Takes up a state that `save` gave.

    Raises:
      ValueError: if it is of another network or another loss.
    """
    if ('target' in state) != (self._config.loss == 'vmpo'):
      raise ValueError(
        f'The checkpoint was not made with loss={self._config.loss!r}; resume '
        'with the loss that it was made with.'
      )
    with self._lock:
      self._broken = False
      self._updates = int(state['updates'])
      self._all.assign_flat(state['variables'])
      self._optimizer.restore(state['optimizer'])
      if 'return_moments' in state:  # Older checkpoints have none.
        self._scale.restore(state['return_moments'])
      if self._config.loss == 'vmpo':
        self._all_of_target.assign_flat(state['target'])
        for dual, value in zip(self._duals, state['duals']):
          dual.assign(value)
        self._dual_optimizer.restore(state['dual_optimizer'])


def _add(difference: tf.Tensor, variables: Sequence[tf.Variable]):
  parts = optimizers.unflatten(difference, variables)
  for variable, part in zip(variables, parts):
    variable.assign_add(part)


def _alpha_of(region: str) -> str:
  """The metric's name; of discrete actions there is one region."""
  return 'alpha' if region == 'policy' else f'alpha_{region}'


def _inverse_softplus(x: float) -> float:
  return float(x + np.log(-np.expm1(-x)))

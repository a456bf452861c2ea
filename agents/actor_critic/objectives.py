"""Objectives: the learner's loss on an unroll."""

from __future__ import annotations

import abc
from collections.abc import Callable, Sequence
import copy
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from agents.actor_critic import config as actor_critic_config
from ald_acme import types
from ald_acme.losses import distillation
from ald_acme.losses import masking
from ald_acme.losses import popart
from ald_acme.losses import surrogate
from ald_acme.losses import vmpo
from ald_acme.losses import vtrace
from ald_acme.networks import protocols
from ald_acme.parameters import variables as parameters

Terms = tuple[tf.Tensor, dict[str, tf.Tensor]]  # A loss, and metrics by name.


class Objective(abc.ABC):
  """The loss of a learner's network, with its own state.

  In one `tf.function` the learner calls `loss`, applies the gradients and calls
  `after_gradient`; afterwards it calls `after_update`. Its checkpoints include
  the result of `save`.

  Attributes:
    network: the learner's network.
    variables: the objective's own trained variables, such as Lagrange
      multipliers; empty by default.
    learning_rate: learning rate of those variables.
  """

  variables: Sequence[tf.Variable] = ()
  learning_rate: float = 0.01

  def __init__(self, network: protocols.LearnerNetwork) -> None:
    """Stores the network; its variables exist."""
    self.network = network

  @abc.abstractmethod
  def loss(self, unroll: types.Unroll, state: types.Nest) -> Terms:
    """Computes the loss on a batch of unrolls.

    Args:
      unroll: tensors, time-major `[T, B, ...]`; the inputs `[T + 1, B, ...]`.
      state: the network's recurrent state before step 0, leaves `[B, ...]`.

    Returns:
      A float32 scalar, and metrics to log: float32 scalars by name. A NaN or
      infinite metric aborts training.
    """

  def after_gradient(self) -> None:
    """Called in the update's graph, after the gradient was applied.

    The learner averages and publishes the network's variables after this call.
    """

  def after_update(self, updates: int) -> None:
    """Called after each update.

    Args:
      updates: number of learner updates, including this one.
    """

  def save(self) -> dict[str, np.ndarray]:
    """The state other than the network's variables, by name."""
    return {}

  def restore(self, state: dict[str, np.ndarray]) -> None:
    """Restores a state returned by `save`.

    Raises:
      ValueError: if the state belongs to another objective.
    """


# Creates a learner's objective from its network and the agent's config.
ObjectiveFactory = Callable[
  [protocols.Network, actor_critic_config.ActorCriticConfig], Objective
]


class Evaluated(NamedTuple):
  """A network's outputs on an unroll, and their V-trace targets.

  Attributes:
    unroll: as for `Objective.loss`.
    state: as for `Objective.loss`.
    outputs: the network's outputs, `[T + 1, B, ...]`; the last step is the
      bootstrap.
    policy: float32 `[T, B, P]`, of the outputs without the bootstrap.
    log_pi: float32 `[T, B]`, log-probabilities of the actions taken.
    log_ratios: float32 `[T, B]`, `log_pi` minus the log-probabilities of the
      behaviour policy.
    mask: bool `[T, B]`, the steps that count.
    targets: float32 `[T, B]`, targets of the normalised value.
    advantages: float32 `[T, B]`, normalised; without gradient and importance
      weights.
  """

  unroll: types.Unroll
  state: types.Nest
  outputs: types.Outputs
  policy: tf.Tensor
  log_pi: tf.Tensor
  log_ratios: tf.Tensor
  mask: tf.Tensor
  targets: tf.Tensor
  advantages: tf.Tensor


class ActorCriticObjective(Objective):
  """V-trace's value loss, a KL to the behaviour policy, and a policy loss.

  The network predicts normalised values (`losses.popart`), so costs need no
  tuning to a task's reward scale. A subclass defines the policy loss;
  overriding `loss_of` adds other terms.
  """

  def __init__(
    self,
    network: protocols.LearnerNetwork,
    config: actor_critic_config.ActorCriticConfig,
  ) -> None:
    """Stores the network; its variables exist.

    Args:
      network: with `rescale_value(factor, offset)`, as `PolicyValueNetwork`.
      config: the agent's configuration.

    Raises:
      ValueError: if the network has no `rescale_value`.
    """
    if not hasattr(network, 'rescale_value'):
      raise ValueError(
        "the learner's network must have rescale_value(factor, offset), but "
        f'received {type(network).__name__}; see '
        'ald_acme.networks.policy_value.PolicyValueNetwork.'
      )
    super().__init__(network)
    self.config = config
    self._popart = popart.PopArt()
    self._offset = popart.ValueOffset(config.value_offset_rate)

  @abc.abstractmethod
  def policy_loss(self, evaluated: Evaluated) -> Terms:
    """The policy loss, and its metrics."""

  def loss(self, unroll: types.Unroll, state: types.Nest) -> Terms:
    return self.loss_of(self.evaluate(unroll, state))

  def evaluate(self, unroll: types.Unroll, state: types.Nest) -> Evaluated:
    """Unrolls the network, and computes the targets."""
    outputs, _ = self.network.unroll(unroll.inputs, state)
    distribution = self.network.distribution
    policy = outputs.policy[:-1]
    mask = tf.logical_not(unroll.is_last)
    log_pi = distribution.log_probability(policy, unroll.action)
    log_ratios = log_pi - distribution.log_probability(
      unroll.behaviour_policy, unroll.action
    )
    normalisation = self._popart.normalisation
    targets = vtrace.vtrace(
      values=normalisation.denormalise(outputs.value),
      rewards=unroll.reward,
      discounts=self.config.discount * unroll.discount,
      log_rhos=tf.stop_gradient(log_ratios),
      mask=mask,
      trace_decay=self.config.trace_decay,
    )
    self._popart.observe(targets.values, unroll.reward, mask)
    # Before the first reward, advantages are noise of the untrained value.
    weight = normalisation.informative / normalisation.scale
    return Evaluated(
      unroll=unroll,
      state=state,
      outputs=outputs,
      policy=policy,
      log_pi=log_pi,
      log_ratios=log_ratios,
      mask=mask,
      targets=normalisation.normalise(targets.values),
      advantages=weight * targets.errors,
    )

  def loss_of(self, evaluated: Evaluated) -> Terms:
    """The whole loss of an evaluated unroll."""
    config, mask = self.config, evaluated.mask
    values, targets = evaluated.outputs.value[:-1], evaluated.targets
    centred, bias = self._offset.centre(targets, values, mask)
    value_loss = vtrace.value_loss(values, centred, mask)
    regulariser = distillation.policy_regulariser(
      self.network.distribution,
      evaluated.policy,
      evaluated.unroll.behaviour_policy,
      mask,
    )
    entropy = masking.masked_mean(
      self.network.distribution.entropy(evaluated.policy), mask
    )
    policy_loss, metrics = self.policy_loss(evaluated)
    loss = policy_loss + config.value_cost * value_loss
    loss += config.regulariser_cost * regulariser
    loss -= config.entropy_cost * entropy
    normalisation = self._popart.normalisation
    return loss, {
      'value_loss': value_loss,
      'value_bias': bias,
      'explained_variance': vtrace.explained_variance(values, targets, mask),
      'kl_to_actor': regulariser,
      'entropy': entropy,
      'return_scale': normalisation.scale,
      'return_mean': normalisation.mean,
      **metrics,
    }

  def after_gradient(self) -> None:
    self._offset.commit(self.network.rescale_value)
    self._popart.commit(self.network.rescale_value)

  def save(self) -> dict[str, np.ndarray]:
    return {'return_moments': self._popart.save()}

  def restore(self, state: dict[str, np.ndarray]) -> None:
    if ('target' in state) != ('target' in self.save()):
      raise ValueError(
        f"loss must be the checkpoint's, but received {self.config.loss!r}; "
        'resume with the loss that the checkpoint was trained with.'
      )
    self._popart.restore(state['return_moments'])


class VTrace(ActorCriticObjective):
  """A clipped surrogate with V-trace's advantages (Espeholt et al., 2018).

  Advantages are divided by their running root mean square, so that the policy
  loss does not vanish as the value improves.
  """

  def __init__(
    self,
    network: protocols.LearnerNetwork,
    config: actor_critic_config.ActorCriticConfig,
  ) -> None:
    super().__init__(network, config)
    self._advantages = popart.AdvantageScale()

  def policy_loss(self, evaluated: Evaluated) -> Terms:
    scale = self._advantages.update(evaluated.advantages, evaluated.mask)
    loss = surrogate.clipped_surrogate_loss(
      evaluated.log_ratios,
      evaluated.advantages / scale,
      evaluated.mask,
      self.config.clip_epsilon,
    )
    return loss, {'policy_loss': loss, 'advantage_scale': scale}

  def save(self) -> dict[str, np.ndarray]:
    return {**super().save(), 'advantage_moments': self._advantages.save()}

  def restore(self, state: dict[str, np.ndarray]) -> None:
    super().restore(state)
    self._advantages.restore(state['advantage_moments'])


class VMPO(ActorCriticObjective):
  """V-MPO (Song et al., 2020), with a trust region around a target network.

  The target network is updated every `target_update_period` updates. The
  multipliers are the softplus of their variables.
  """

  def __init__(
    self,
    network: protocols.LearnerNetwork,
    config: actor_critic_config.ActorCriticConfig,
  ) -> None:
    super().__init__(network, config)
    self.learning_rate = config.dual_learning_rate
    self._regions = network.distribution.trust_regions
    self.variables = [
      tf.Variable(_inverse_softplus(initial))
      for initial in (
        config.initial_temperature,
        *[config.initial_alpha] * len(self._regions),
      )
    ]
    self._target = copy.deepcopy(network)
    self._all = parameters.Variables(list(network.trainable_variables))
    self._all_of_target = parameters.Variables(
      list(self._target.trainable_variables)
    )

  def policy_loss(self, evaluated: Evaluated) -> Terms:
    config = self.config
    outputs, _ = self._target.unroll(evaluated.unroll.inputs, evaluated.state)
    temperature, *alphas = (
      tf.nn.softplus(variable) + 1e-8 for variable in self.variables
    )
    bounds = {
      'policy': config.epsilon_alpha,
      'mean': config.epsilon_mean,
      'covariance': config.epsilon_covariance,
    }
    terms = vmpo.vmpo_loss(
      log_pi=evaluated.log_pi,
      kls=self.network.distribution.trust_region_kls(
        tf.stop_gradient(outputs.policy[:-1]), evaluated.policy
      ),
      advantages=evaluated.advantages,
      mask=evaluated.mask,
      temperature=temperature,
      alphas=tf.stack(alphas),
      epsilon_temperature=config.epsilon_temperature,
      epsilon_alphas=[bounds[region] for region in self._regions],
    )
    return terms.policy + terms.temperature + terms.trust_region, {
      'policy_loss': terms.policy,
      'kl_to_target': tf.reduce_sum(terms.kls),
      'temperature': temperature,
      **{_alpha_of(region): x for region, x in zip(self._regions, alphas)},
    }

  def after_update(self, updates: int) -> None:
    if updates % self.config.target_update_period == 0:
      self._all_of_target.assign_flat(self._all.read_flat())

  def save(self) -> dict[str, np.ndarray]:
    return {
      **super().save(),
      'target': self._all_of_target.read_flat(),
      'duals': np.array([v.numpy() for v in self.variables]),
    }

  def restore(self, state: dict[str, np.ndarray]) -> None:
    super().restore(state)
    self._all_of_target.assign_flat(state['target'])
    for variable, value in zip(self.variables, state['duals'], strict=True):
      variable.assign(value)


def make(
  network: protocols.LearnerNetwork,
  config: actor_critic_config.ActorCriticConfig,
) -> Objective:
  """Creates the objective named by `config.loss`."""
  return {'vtrace': VTrace, 'vmpo': VMPO}[config.loss](network, config)


def _alpha_of(region: str) -> str:
  """The metric's name; discrete actions have a single region."""
  return 'alpha' if region == 'policy' else f'alpha_{region}'


def _inverse_softplus(x: float) -> float:
  return float(x + np.log(-np.expm1(-x)))

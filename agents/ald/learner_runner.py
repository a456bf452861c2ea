"""The learner runner of ALD, and the items that it writes for distillers."""

from typing import Any, NamedTuple

import tensorflow as tf

from agents.actor_critic import learner_runner
from agents.ald import networks
from ald_acme import types
from ald_acme.networks import protocols

DISTILL = 'distill'  # The table that distillers sample.


class Targets(NamedTuple):
  """Distillation targets: the learner's outputs on an unroll.

  Attributes:
    policy: float32 `[T, E, P]`, parameters of the action distribution.
    value: float32 `[T, E]`.
    features: float32 `[T, E, F]`; F is 0 if they are not distilled.
    learner_updates: int64 scalar, number of updates of the learner that
      computed them.
  """

  policy: types.Array
  value: types.Array
  features: types.Array
  learner_updates: types.Array


class DistillItem(NamedTuple):
  """An item of the `distill` table."""

  unroll: types.Unroll
  targets: Targets


def distill_spec(unroll: types.Unroll, feature_size: int) -> DistillItem:
  """Signature of the `distill` table, from the signature of an unroll."""
  length, batch_size, num_parameters = unroll.behaviour_policy.shape
  return DistillItem(
    unroll,
    Targets(
      policy=tf.TensorSpec([length, batch_size, num_parameters], tf.float32),
      value=tf.TensorSpec([length, batch_size], tf.float32),
      features=tf.TensorSpec([length, batch_size, feature_size], tf.float32),
      learner_updates=tf.TensorSpec([], tf.int64),
    ),
  )


class Taught(NamedTuple):
  """What the runner's network answers.

  Attributes:
    outputs: leaves `[T, E, ...]`.
    features: float32 `[T, E, F]`; F is 0 if they are not distilled.
  """

  outputs: types.Outputs
  features: tf.Tensor


class DistillingRunner(learner_runner.LearnerRunner):
  """Attaches the targets of distillation: the learner's outputs.

  With `features` they include the learner's features; its network must be a
  `protocols.FeatureNetwork`.
  """

  def __init__(
    self,
    network: protocols.Network,
    *args: Any,
    features: bool = False,
    **kwargs: Any,
  ) -> None:
    self._with_features = (
      networks.with_features(network, 'learner') if features else None
    )
    super().__init__(network, *args, **kwargs)

  def _unroll(
    self, inputs: types.Inputs, state: types.Nest
  ) -> tuple[Taught, types.Nest]:
    if self._with_features:
      outputs, features, state = self._with_features.unroll_features(
        inputs, state
      )
      if features.shape[-1] != self._with_features.feature_size:
        raise ValueError(
          "the learner's feature_size must be the size of the features of "
          f'unroll_features, {features.shape[-1]}, but is '
          f'{self._with_features.feature_size} (the output_size of its core).'
        )
    else:
      outputs, state = self._network.unroll(inputs, state)
      features = tf.zeros([*outputs.value.shape, 0])
    return Taught(outputs, features), state

  def _written(
    self,
    unroll: types.Unroll,
    state: types.Nest,
    outputs: Taught,
  ) -> learner_runner.Written:
    # The learner's item first: it must not wait for the distillers.
    step, tables = super()._written(unroll, state, outputs)
    (policy, value), features = outputs
    step['targets'] = Targets(policy, value, features, self._age)
    tables[DISTILL] = lambda step: DistillItem(step['unroll'], step['targets'])
    return step, tables

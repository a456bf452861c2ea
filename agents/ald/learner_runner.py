"""The learner runner of ALD, and the items that it writes for distillers."""

from typing import NamedTuple

import tensorflow as tf

from agents.actor_critic import learner_runner
from ald_acme import types

DISTILL = 'distill'  # The table that distillers sample.


class Targets(NamedTuple):
  """Distillation targets: the learner's outputs on an unroll.

  Attributes:
    policy: float32 `[T, E, P]`, parameters of the action distribution.
    value: float32 `[T, E]`.
    learner_updates: int64 scalar, number of updates of the learner that
      computed them.
  """

  policy: types.Array
  value: types.Array
  learner_updates: types.Array


class DistillItem(NamedTuple):
  """An item of the `distill` table."""

  unroll: types.Unroll
  targets: Targets


def distill_spec(unroll: types.Unroll) -> DistillItem:
  """Signature of the `distill` table, from the signature of an unroll."""
  length, batch_size, num_parameters = unroll.behaviour_policy.shape
  return DistillItem(
    unroll,
    Targets(
      policy=tf.TensorSpec([length, batch_size, num_parameters], tf.float32),
      value=tf.TensorSpec([length, batch_size], tf.float32),
      learner_updates=tf.TensorSpec([], tf.int64),
    ),
  )


class DistillingRunner(learner_runner.LearnerRunner):
  """Attaches the learner's policies and values, the targets of distillation."""

  def _written(
    self, unroll: types.Unroll, state: types.Nest, outputs: types.Outputs
  ) -> learner_runner.Written:
    # The learner's item first: it must not wait for the distillers.
    step, tables = super()._written(unroll, state, outputs)
    step['targets'] = Targets(outputs.policy, outputs.value, self._age)
    tables[DISTILL] = lambda step: DistillItem(step['unroll'], step['targets'])
    return step, tables

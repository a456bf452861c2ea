"""The learner runner of ALD: also writes the distillation targets."""

from agents.actor_critic import learner_runner
from agents.ald import types as ald_types
from ald_acme import types

DISTILL = 'distill'  # The table that distillers sample.


class DistillingRunner(learner_runner.LearnerRunner):
  """Attaches the learner's policies and values, the targets of distillation."""

  def _written(
    self, unroll: types.Unroll, state: types.Nest, outputs: types.Outputs
  ) -> learner_runner.Written:
    # The learner's item first: it must not wait for the distillers' turn.
    step, tables = super()._written(unroll, state, outputs)
    step['targets'] = ald_types.Targets(
      outputs.policy, outputs.value, self._age
    )
    tables[DISTILL] = lambda step: ald_types.DistillItem(
      step['unroll'], step['targets']
    )
    return step, tables

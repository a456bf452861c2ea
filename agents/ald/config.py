"""Configuration of Actor-Learner Distillation."""

import dataclasses

from agents.actor_critic import config as actor_critic_config
from ald_acme import validation

KL_DIRECTIONS = ('reverse', 'forward')


@dataclasses.dataclass
class ALDConfig(actor_critic_config.AsymmetricConfig):
  """Configuration of an ALD agent.

  Construction validates; after changing a field call `validate`.

  Raises:
    ValueError: if a field is out of range or fields are inconsistent.
  """

  regulariser_cost: float = validation.setting(
    0.1, 'Weight of KL(acting policy || learner) (lambda).', at_least=0.0
  )

  # Replay for distillation, in unroll batches.
  num_distillers: int = validation.setting(
    1,
    'Distiller processes (N_D), which share the actor parameters.',
    at_least=1,
  )
  dprl: float = validation.setting(
    1.5,
    'Distillation updates per learner update; may be fractional.',
    above=0.0,
  )
  distill_batch: int = validation.setting(
    1, 'Unroll batches per distillation update (b_D).', at_least=1
  )
  distill_table_size: int = validation.setting(
    8,
    'Unrolls kept to distil from; a small table holds newer data.',
    at_least=1,
  )
  distill_min_size: int = validation.setting(
    1, 'Unrolls needed before distillation starts.', at_least=1
  )

  # The distillers' loss and optimiser (Adam).
  policy_cost: float = validation.setting(
    1.0, 'Weight of the policy KL (alpha_pi).', at_least=0.0
  )
  distill_value_cost: float = validation.setting(
    0.5, 'Weight of the value loss (alpha_V).', at_least=0.0
  )
  kl_direction: str = validation.setting(
    'reverse',
    'reverse: KL(actor || learner); forward: KL(learner || actor).',
    one_of=KL_DIRECTIONS,
  )
  distiller_learning_rate: float = validation.setting(
    1e-3, "Learning rate of the distillers' Adam.", above=0.0
  )
  feature_learning_rate: float = validation.setting(
    1e-3,
    "Learning rate at which the actor also learns to predict the learner's "
    'features; 0: it does not.',
    at_least=0.0,
  )
  distiller_gradient_norm: float = validation.setting(
    1.0, "Maximum norm of the distillers' gradients.", above=0.0
  )

  def validate(self) -> None:
    """Raises ValueError if fields are out of range or inconsistent."""
    super().validate()
    if self.distill_min_size > self.distill_table_size:
      raise ValueError(
        f'distill_min_size={self.distill_min_size} exceeds '
        f'distill_table_size={self.distill_table_size}: sampling would never '
        'start and the program would deadlock. Lower distill_min_size or raise '
        'distill_table_size.'
      )
    if not 1 / 64 <= self.samples_per_insert <= 1024:
      raise ValueError(
        f'dprl={self.dprl} with learner_reuse={self.learner_reuse}, '
        f'distill_batch={self.distill_batch} and '
        f'learner_batch={self.learner_batch} gives {self.samples_per_insert:g} '
        'samples per unroll; the rate limiter supports 1/64 to 1024. Change '
        'dprl or the batches.'
      )

  @property
  def samples_per_insert(self) -> float:
    """Samples per insert of `distill`: DpRL * reuse * b_D / b_L.

    The learner does `learner_reuse` updates for each batch of b_L unrolls.
    """
    updates = self.dprl * self.learner_reuse
    return updates * self.distill_batch / self.learner_batch

"""Everything that can be set, as plain values."""

import dataclasses
import math
from typing import Any

from ald_acme import validation
from ald_acme.networks import sizes

LOSSES = ('vtrace', 'vmpo')
KL_DIRECTIONS = ('reverse', 'forward')
# What distillation alone reads; agents that do not distil have no use for it.
DISTILLATION_FIELDS = (
  'num_distillers',
  'distill_batch',
  'distill_table_size',
  'distill_min_size',
  'dprl',
  'policy_cost',
  'distill_value_cost',
  'kl_direction',
  'distiller_learning_rate',
  'distiller_gradient_norm',
)


@dataclasses.dataclass
class ALDConfig:
  """Configuration of an ALD agent.

  Construction validates; after changing a field call `validate`.

  Raises:
    ValueError: naming the field, the value received and the cure.
  """

  # Seeds every node; node i of a kind draws a stream of its own from it.
  seed: int = 0

  # Processes.
  num_actors: int = 1
  envs_per_actor: int = 16  # Stepped together, one inference for all.
  # Cuts one early episode of each environment, so that they are not in phase.
  stagger_episodes: bool = True
  num_distillers: int = 1  # N_D, updating one set of parameters (HOGWILD).

  # Networks.
  networks: sizes.NetworkSizes = dataclasses.field(
    default_factory=sizes.NetworkSizes
  )

  # Data.
  unroll_length: int = 40  # T, steps of an unroll.
  learner_batch: int = 1  # b_L, unroll batches per learner update.
  distill_batch: int = 1  # b_D, unroll batches per distillation update.

  # Replay, in unroll batches.
  queue_size: int = 1  # Back-pressure on the actors: small is on-policy.
  learner_queue_size: int = 1
  distill_table_size: int = 8  # Small is fresh: what to imitate gets old.
  distill_min_size: int = 1
  dprl: float = 4.0  # Distillation updates per learner update.

  # Learner's loss; advantages and values in units of the returns' spread,
  # where that is more than 1 (`ald_acme/losses/return_scale.py`).
  loss: str = 'vtrace'  # Or 'vmpo'.
  discount: float = 0.99
  value_cost: float = 1.0  # Times half the squared error.
  entropy_cost: float = 0.01
  regulariser_cost: float = 0.1  # lambda, times KL(actor || learner).

  # V-MPO alone.
  epsilon_temperature: float = 0.02  # Bound of the E-step's KL.
  epsilon_alpha: float = 0.01  # Bound of the M-step's KL: discrete actions;
  epsilon_mean: float = 0.01  # of continuous ones, if the mean moves alone,
  epsilon_covariance: float = 1e-4  # and if the covariance does.
  initial_temperature: float = 1.0
  initial_alpha: float = 1.0
  target_update_period: int = 10  # Learner updates.
  dual_learning_rate: float = 0.01

  # Learner's optimiser (Adam).
  learner_learning_rate: float = 1e-3
  learner_gradient_norm: float = 1.0  # Gradients are clipped to this.

  # Distillation.
  policy_cost: float = 1.0  # alpha_pi.
  distill_value_cost: float = 0.5  # alpha_V.
  kl_direction: str = 'reverse'  # KL(actor || learner), or 'forward'.
  distiller_learning_rate: float = 1e-3
  distiller_gradient_norm: float = 1.0

  # Parameters.
  actor_update_period: int = 10  # Environment steps between an actor's pulls.
  # With more actors than this, a cacher pulls for each so many of them.
  actors_per_cacher: int = 32

  # Evaluation.
  evaluation_episodes: int = 100  # Of the actor, at a time.
  evaluation_period: float = 1.0  # Seconds between starts.
  learner_evaluation_episodes: int = 32
  learner_evaluation_period: float = 30.0  # Seconds; it costs more.

  # The run; 0 means no limit.
  max_frames: int = 600_000
  target_return: float = 0.0  # Stop at this evaluation return of the actor.
  checkpoint_period: float = 30.0  # Seconds between checkpoints.
  checkpoints_kept: int = 3

  def __post_init__(self):
    self.validate()

  def validate(self):
    """Raises ValueError if a field is out of range or fields do not fit."""
    validation.check_types(self)
    if not isinstance(self.networks, sizes.NetworkSizes):
      raise ValueError(
        f'networks must be NetworkSizes, but received {self.networks!r}.'
      )
    self.networks = dataclasses.replace(self.networks)  # Validates.
    for name in ('seed', 'max_frames'):
      validation.at_least(self, name, 0)
    for name in (
      'num_actors',
      'envs_per_actor',
      'num_distillers',
      'unroll_length',
      'learner_batch',
      'distill_batch',
      'queue_size',
      'learner_queue_size',
      'distill_table_size',
      'distill_min_size',
      'target_update_period',
      'actor_update_period',
      'actors_per_cacher',
      'evaluation_episodes',
      'learner_evaluation_episodes',
    ):
      validation.at_least(self, name, 1)
    validation.at_least(self, 'checkpoints_kept', 2)  # One may be damaged.
    for name in (
      'dprl',
      'epsilon_temperature',
      'epsilon_alpha',
      'epsilon_mean',
      'epsilon_covariance',
      'initial_temperature',
      'initial_alpha',
      'dual_learning_rate',
      'learner_learning_rate',
      'learner_gradient_norm',
      'distiller_learning_rate',
      'distiller_gradient_norm',
      'checkpoint_period',
      'evaluation_period',
      'learner_evaluation_period',
    ):
      validation.above(self, name, 0.0)
    for name in (
      'value_cost',
      'entropy_cost',
      'regulariser_cost',
      'policy_cost',
      'distill_value_cost',
    ):
      validation.at_least(self, name, 0.0)
    validation.between(self, 'discount', 0.0, 1.0)
    validation.one_of(self, 'loss', LOSSES)
    validation.one_of(self, 'kl_direction', KL_DIRECTIONS)
    if self.distill_min_size > self.distill_table_size:
      raise ValueError(
        f'distill_min_size={self.distill_min_size} is more than the '
        f'distill_table_size={self.distill_table_size} can ever hold: sampling '
        'would never begin, the learner runner would block and the program '
        'deadlock. Lower distill_min_size or raise distill_table_size.'
      )
    if not 1 / 64 <= self.samples_per_insert <= 1024:
      raise ValueError(
        f'dprl={self.dprl} with distill_batch={self.distill_batch} and '
        f'learner_batch={self.learner_batch} asks for '
        f'{self.samples_per_insert:g} samples of each unroll; the limiter '
        'keeps 1/64 to 1024. Outside it one side would stand still for '
        'minutes; change dprl or the batches.'
      )

  @property
  def samples_per_insert(self) -> float:
    """What the limiter of `distill` enforces: DpRL * b_D / b_L."""
    return self.dprl * self.distill_batch / self.learner_batch

  @property
  def num_cachers(self) -> int:
    """Nodes that pull parameters for the actors; 0 where these are few."""
    if self.num_actors <= self.actors_per_cacher:
      return 0
    return math.ceil(self.num_actors / self.actors_per_cacher)


def from_dict(fields: dict[str, Any]) -> ALDConfig:
  """The configuration that `dataclasses.asdict` gave.

  Args:
    fields: as config.json holds them.

  Raises:
    ValueError: if it is not one of this version.
  """
  fields = dict(fields)
  try:
    networks = sizes.NetworkSizes(**fields.pop('networks'))
    return ALDConfig(networks=networks, **fields)
  except (KeyError, TypeError, ValueError) as error:
    raise ValueError(
      f'config.json is not of this version of ald_acme: {error}'
    ) from error

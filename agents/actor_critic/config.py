"""Configurations of actor-critics."""

import dataclasses

from ald_acme import validation
from ald_acme.networks import sizes

LOSSES = ('vtrace', 'vmpo')


@dataclasses.dataclass
class ActorCriticConfig:
  """Configuration of an actor-critic that learns from unrolls.

  Construction validates; after changing a field call `validate`.

  Raises:
    ValueError: if a field is out of range.
  """

  seed: int = validation.setting(
    0, 'Seed of the run; each node derives its own stream.', at_least=0
  )
  networks: sizes.NetworkSizes = dataclasses.field(
    default_factory=sizes.NetworkSizes
  )

  # Data.
  envs_per_actor: int = validation.setting(
    16, 'Environments per actor, stepped with one inference.', at_least=1
  )
  stagger_episodes: bool = validation.setting(
    True,
    'Truncate an early episode of each environment, so that they are out of '
    'phase.',
  )
  unroll_length: int = validation.setting(
    20, 'Steps per unroll (T).', at_least=1
  )
  learner_batch: int = validation.setting(
    1, 'Unroll batches per learner update (b_L).', at_least=1
  )
  learner_reuse: float = validation.setting(
    3.0,
    'Learner updates per new batch: 1 uses data once; may be fractional.',
    between=(1.0, 64.0),
  )
  learner_replay_size: int = validation.setting(
    4, 'Number of recent batches that the learner replays.', at_least=1
  )
  queue_size: int = validation.setting(
    1,
    "Unrolls in the actors' queue; a small queue is more on-policy.",
    at_least=1,
  )
  actor_update_period: int = validation.setting(
    10, "Environment steps between an actor's parameter pulls.", at_least=1
  )

  # The loss; advantages and values in units of the returns
  # (`ald_acme/losses/popart.py`).
  loss: str = validation.setting(
    'vtrace', 'Objective of the policy: vtrace or vmpo.', one_of=LOSSES
  )
  discount: float = validation.setting(
    0.99, 'Discount per step (gamma).', between=(0.0, 1.0)
  )
  trace_decay: float = validation.setting(
    0.95, 'Trace decay of V-trace (lambda).', between=(0.0, 1.0)
  )
  value_cost: float = validation.setting(
    0.25, 'Weight of the value loss.', at_least=0.0
  )
  value_offset_rate: float = validation.setting(
    0.1,
    "Share of a dominant mean error of a batch's values that an update "
    "corrects by the value's offset, outside of the value loss; 0: neither.",
    between=(0.0, 1.0),
  )
  entropy_cost: float = validation.setting(
    0.015, 'Weight of the entropy bonus.', at_least=0.0
  )
  regulariser_cost: float = validation.setting(
    0.0, 'Weight of KL(acting policy || learner) (lambda).', at_least=0.0
  )

  clip_epsilon: float = validation.setting(
    0.2, 'Clipping range of probability ratios (vtrace).', above=0.0
  )

  # V-MPO alone.
  epsilon_temperature: float = validation.setting(
    0.02, "Bound of the E-step's KL (vmpo).", above=0.0
  )
  epsilon_alpha: float = validation.setting(
    0.01, "Bound of the M-step's KL, discrete actions (vmpo).", above=0.0
  )
  epsilon_mean: float = validation.setting(
    0.01,
    'Bound of the KL of the mean, continuous actions (vmpo).',
    above=0.0,
  )
  epsilon_covariance: float = validation.setting(
    1e-4,
    'Bound of the KL of the covariance, continuous actions (vmpo).',
    above=0.0,
  )
  initial_temperature: float = validation.setting(
    1.0, 'First temperature (vmpo).', above=0.0
  )
  initial_alpha: float = validation.setting(
    1.0, "Initial multiplier of the M-step's KL (vmpo).", above=0.0
  )
  target_update_period: int = validation.setting(
    10,
    'Learner updates between copies to the target network (vmpo).',
    at_least=1,
  )
  dual_learning_rate: float = validation.setting(
    0.01, 'Learning rate of temperature and multipliers (vmpo).', above=0.0
  )

  # The optimiser (Adam).
  learner_learning_rate: float = validation.setting(
    1e-3, "Learning rate of the learner's Adam.", above=0.0
  )
  learner_gradient_norm: float = validation.setting(
    1.0, "Maximum norm of the learner's gradients.", above=0.0
  )
  learner_average_decay: float = validation.setting(
    0.95,
    "Decay per update of the moving average of the learner's parameters, which "
    'the other nodes pull; 0: no average.',
    between=(0.0, 0.9999),
  )

  def __post_init__(self) -> None:
    self.validate()

  def validate(self) -> None:
    """Raises ValueError if fields are out of range or inconsistent."""
    validation.check(self)
    if not isinstance(self.networks, sizes.NetworkSizes):
      raise ValueError(
        f'networks must be NetworkSizes, but received {self.networks!r}.'
      )
    self.networks = dataclasses.replace(self.networks)  # Validates.


@dataclasses.dataclass
class AsymmetricConfig(ActorCriticConfig):
  """Configuration of an agent whose learner has a different network."""

  learner_queue_size: int = validation.setting(
    1,
    "Unrolls in the learner's queue; a small one holds newer data.",
    at_least=1,
  )
  actor_observations: str = validation.setting(
    '',
    'Entries of the observation that the actor observes, separated by commas '
    '(a/b: a nested entry); the learner observes all. Empty: all.',
  )

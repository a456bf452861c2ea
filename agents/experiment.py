"""Settings of a run: processes, evaluation, checkpoints and its end."""

import dataclasses
import math

from ald_acme import validation


@dataclasses.dataclass
class EvaluationConfig:
  """Frequency and size of evaluations."""

  evaluation_episodes: int = validation.setting(
    100,
    'Episodes of the last evaluation of the actor, and the most of any other.',
    at_least=1,
  )
  evaluation_envs: int = validation.setting(
    10,
    'Environments of an evaluation at most; each plays several episodes.',
    at_least=1,
  )
  evaluation_share: float = validation.setting(
    0.2,
    'Steps of evaluation per frame of training, at most: fewer episodes are '
    'played if they are long, but at least one in each environment.',
    above=0.0,
  )
  evaluation_frames: int = validation.setting(
    10_000, 'Frames between the starts of evaluations.', at_least=1
  )
  evaluation_period: float = validation.setting(
    1.0, 'Seconds between the starts of evaluations, at least.', above=0.0
  )
  evaluation_max_steps: int = validation.setting(
    10_000, 'Steps after which an evaluation truncates an episode.', at_least=1
  )
  learner_evaluation_episodes: int = validation.setting(
    30,
    'Episodes of the last evaluation of the learner, and the most of any '
    'other.',
    at_least=1,
  )
  learner_evaluation_frames: int = validation.setting(
    50_000, 'Frames between evaluations of the learner.', at_least=1
  )
  learner_evaluation_period: float = validation.setting(
    30.0, 'Seconds between evaluations of the learner, at least.', above=0.0
  )

  def __post_init__(self) -> None:
    self.validate()

  def validate(self) -> None:
    """Raises ValueError if a field is out of range."""
    validation.check(self)


@dataclasses.dataclass
class CheckpointingConfig:
  """Frequency and number of checkpoints."""

  checkpoint_period: float = validation.setting(
    30.0, 'Seconds between checkpoints.', above=0.0
  )
  checkpoints_kept: int = validation.setting(
    3, 'Checkpoints kept; at least 2, as one may be damaged.', at_least=2
  )

  def __post_init__(self) -> None:
    self.validate()

  def validate(self) -> None:
    """Raises ValueError if a field is out of range."""
    validation.check(self)


@dataclasses.dataclass
class ExperimentConfig(CheckpointingConfig, EvaluationConfig):
  """Settings of a run that are independent of the agent.

  Construction validates; after changing a field call `validate`.

  Raises:
    ValueError: if a field is out of range.
  """

  num_actors: int = validation.setting(1, 'Actor processes.', at_least=1)
  actors_per_cacher: int = validation.setting(
    32,
    'With more actors than this, one cacher per so many actors pulls '
    'parameters.',
    at_least=1,
  )
  max_frames: int = validation.setting(
    600_000, 'Stop after this number of frames; 0: never.', at_least=0
  )
  target_return: float | None = validation.setting(
    None,
    'Stop when an evaluation of the actor reaches this return; none: never.',
  )
  solved_return: float | None = validation.setting(
    None,
    'The summary reports when three consecutive evaluations of the actor '
    "reached this return; none: the environment's own value, if it has one.",
  )
  stall_warning: float = validation.setting(
    40.0,
    'Seconds without progress after which a node is reported on the console.',
    above=0.0,
  )
  stall_limit: float = validation.setting(
    0.0,
    'Seconds without progress of a node after which the run ends; 0: never.',
    at_least=0.0,
  )

  timeline: bool = validation.setting(
    False, 'Record a timeline of each node (benchmarks/timeline.py).'
  )

  @property
  def num_cachers(self) -> int:
    """Number of nodes that cache parameters; 0 for few actors."""
    if self.num_actors <= self.actors_per_cacher:
      return 0
    return math.ceil(self.num_actors / self.actors_per_cacher)

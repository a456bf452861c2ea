"""Settings of a run: processes, evaluation, checkpoints and its end."""

import dataclasses
import math

from ald_acme import validation


@dataclasses.dataclass
class EvaluationConfig:
  """How often policies are evaluated, and on how many episodes."""

  evaluation_episodes: int = validation.setting(
    100, 'Episodes of each evaluation of the actor.', at_least=1
  )
  evaluation_frames: int = validation.setting(
    10_000, 'Frames between the starts of evaluations.', at_least=1
  )
  evaluation_period: float = validation.setting(
    1.0, 'Seconds between the starts of evaluations, at least.', above=0.0
  )
  evaluation_max_steps: int = validation.setting(
    10_000, 'Steps after which an evaluation cuts an episode.', at_least=1
  )
  learner_evaluation_episodes: int = validation.setting(
    32, 'Episodes of each evaluation of the learner.', at_least=1
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
  """How often a run is saved, and what is kept."""

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
    ValueError: naming the field, the value received and the cure.
  """

  num_actors: int = validation.setting(1, 'Actor processes.', at_least=1)
  actors_per_cacher: int = validation.setting(
    32,
    'With more actors than this, a cacher pulls parameters for each so many.',
    at_least=1,
  )
  max_frames: int = validation.setting(
    600_000, 'Stop after these frames; 0: never.', at_least=0
  )
  target_return: float | None = validation.setting(
    None,
    'Stop when an evaluation of the actor reaches this return; none: never.',
  )
  solved_return: float | None = validation.setting(
    None,
    'The summary says when evaluations of the actor had this return three '
    'times in a row; none: what the environment says of itself, if anything.',
  )
  stall_warning: float = validation.setting(
    40.0,
    'Seconds without a move after which a node is named on the console.',
    above=0.0,
  )
  stall_limit: float = validation.setting(
    0.0,
    'Seconds without a move of a node after which the run ends; 0: never.',
    at_least=0.0,
  )

  timeline: bool = validation.setting(
    False, 'Record what each node does when (benchmarks/timeline.py).'
  )

  @property
  def num_cachers(self) -> int:
    """Nodes that pull parameters for the actors; 0 where these are few."""
    if self.num_actors <= self.actors_per_cacher:
      return 0
    return math.ceil(self.num_actors / self.actors_per_cacher)

"""Data structures that the parts of the system exchange."""

from typing import Any, NamedTuple

Nest = Any
UNKNOWN = -1  # Learner updates of a stamp where nothing tells their number.
Array = Any  # A numpy array or a tensor.


class Inputs(NamedTuple):
  """Inputs of a recurrent network; leaves are `[T, B, ...]`.

  The previous action and reward make the input of RL^2 (Duan et al., 2016).

  Attributes:
    observation: the environment's observation, a nest.
    action: the sample (`distributions.Distribution`) that led here; it means
      nothing at the start of an episode.
    reward: float32, the reward that came with the observation.
    start_of_episode: bool, true where the recurrent state must be reset before
      this step is read.
  """

  observation: Nest
  action: Array
  reward: Array
  start_of_episode: Array


class Outputs(NamedTuple):
  """Outputs of a network at a step.

  Attributes:
    policy: float32 `[..., P]`, parameters of the distribution of actions.
    value: float32 `[...]`, the expected discounted return, in units of the
      learner's (`losses.popart`).
  """

  policy: Array
  value: Array


class Unroll(NamedTuple):
  """T steps of E environments, time-major: the unit of data of every table.

  `inputs` holds one step more than the rest: the last is the bootstrap, and it
  is the first of the next unroll of the same environments. A step whose
  `is_last` is set is the end of an episode: its action has no effect (the
  environment resets), so it counts in no loss.

  Attributes:
    inputs: `[T + 1, E, ...]`.
    action: `[T, E, ...]`, the sample taken at step t.
    reward: float32 `[T, E]`, received for it.
    discount: float32 `[T, E]`, the environment's: 0 where the episode ended.
    is_last: bool `[T, E]`.
    behaviour_policy: float32 `[T, E, P]`, parameters of the distribution that
      the action was sampled from.
    actor_state: the acting network's state before step 0, leaves `[E, ...]`;
      empty where it is not stored.
    stamp: where and when the unroll was made.
  """

  inputs: Inputs
  action: Array
  reward: Array
  discount: Array
  is_last: Array
  behaviour_policy: Array
  actor_state: Nest
  stamp: 'Stamp'


class Stamp(NamedTuple):
  """Where and when an unroll was made; every field an int64 scalar.

  Attributes:
    stream: number of the actor.
    sequence: 0 for the actor's first unroll, then one more each time; a gap
      tells the learner runner that the actor was restarted.
    learner_updates: learner updates done by then, or `UNKNOWN`.
  """

  stream: Array
  sequence: Array
  learner_updates: Array

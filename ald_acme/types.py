"""Data structures that the parts of the system exchange."""

from typing import Any, NamedTuple

Nest = Any
UNKNOWN = -1  # `Stamp.learner_updates` where the number is not known.
Array = Any  # A numpy array or a tensor.


class Inputs(NamedTuple):
  """Inputs of a recurrent network; leaves are `[T, B, ...]`.

  The previous action and reward make the input of RL^2 (Duan et al., 2016).

  Attributes:
    observation: the environment's observation, a nest.
    action: the previous action, a sample of `distributions.Distribution`;
      arbitrary at the start of an episode.
    reward: float32, the reward that came with the observation.
    start_of_episode: bool, true where the recurrent state is reset before this
      step.
  """

  observation: Nest
  action: Array
  reward: Array
  start_of_episode: Array


class Outputs(NamedTuple):
  """Outputs of a network at a step.

  Attributes:
    policy: float32 `[..., P]`, parameters of the action distribution.
    value: float32 `[...]`, the expected discounted return, normalised
      (`losses.popart`).
  """

  policy: Array
  value: Array


class Unroll(NamedTuple):
  """T steps of E environments, time-major: the unit of data of every table.

  `inputs` has one more step than the other fields: the last is the bootstrap
  step, which is also the first of the next unroll of these environments. Where
  `is_last` is set, the step ends an episode: its action has no effect (the
  environment resets), so the losses mask it.

  Attributes:
    inputs: `[T + 1, E, ...]`.
    action: `[T, E, ...]`, the action taken at step t, as the distribution
      samples it.
    reward: float32 `[T, E]`, the reward of that action.
    discount: float32 `[T, E]`, the environment's discount: 0 on termination.
    is_last: bool `[T, E]`.
    behaviour_policy: float32 `[T, E, P]`, parameters of the distribution that
      sampled the action.
    actor_state: the acting network's recurrent state before step 0, leaves `[E,
      ...]`; empty if not stored.
    stamp: where and when the unroll was collected.
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
  """Where and when an unroll was collected; int64 scalars.

  Attributes:
    stream: index of the actor.
    sequence: index of the unroll in its stream, from 0; a gap tells the learner
      runner that the actor was restarted.
    learner_updates: learner updates when the unroll began, or `UNKNOWN`.
  """

  stream: Array
  sequence: Array
  learner_updates: Array

"""Items that an actor-critic's learner reads."""

from typing import Any, NamedTuple

from ald_acme import types


class LearnerItem(NamedTuple):
  """An unroll and the learner's recurrent state before it.

  Attributes:
    unroll: of an actor.
    learner_state: the learner's recurrent state before step 0, leaves
      `[E, ...]`.
  """

  unroll: types.Unroll
  learner_state: Any

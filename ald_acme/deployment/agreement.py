"""Comparison of an exported policy with its network."""

from collections.abc import Sequence

import numpy as np
import tree

from ald_acme.acting import recording as recordings
from ald_acme.deployment import act
from ald_acme.deployment import step as steps


def largest_difference(
  policy: act.Policy,
  step: steps.Step,
  episodes: Sequence[recordings.Recording],
) -> float:
  """Compares an exported policy with its network on recorded episodes.

  The state is carried across episodes, so that resets are compared too.

  Args:
    policy: the exported policy.
    step: the step that it was exported from.
    episodes: recorded with the same network.

  Returns:
    The largest absolute difference of policy parameters and values; NaN if one
    of them is.
  """
  memory = {
    name: np.zeros(step.inputs[name].shape, np.float32) for name in step.state
  }
  differences = []
  for episode in episodes:
    for t in range(episode.length):
      inputs = tree.map_structure(lambda x, t=t: x[t], episode.inputs)
      answer = policy.step({**step.named(inputs), **memory})
      memory = {name: answer[next_] for name, next_ in step.state.items()}
      differences += [
        np.abs(answer['policy'][0] - episode.outputs.policy[t]).max(),
        np.abs(answer['value'][0] - episode.outputs.value[t]),
      ]
  return float(np.max(differences))

"""From what an agent sees at a step to a feature vector."""

import sonnet as snt
import tensorflow as tf
import tree

from ald_acme import types


class Torso(snt.Module):
  """Observation, previous action and previous reward, through one layer.

  The leaves of the observation are flattened and joined.
  """

  def __init__(self, size: int, num_actions: int, name: str | None = None):
    super().__init__(name=name)
    self._num_actions = num_actions
    self._linear = snt.Linear(size)

  def __call__(self, inputs: types.Inputs) -> tf.Tensor:
    """Maps inputs of shape `[N, ...]` to float32 `[N, size]`."""
    parts = [
      tf.cast(snt.flatten(leaf), tf.float32)
      for leaf in tree.flatten(inputs.observation)
    ]
    # At the start of an episode there was no action: all zeros.
    action = tf.where(inputs.start_of_episode, -1, inputs.action)
    parts.append(tf.one_hot(action, self._num_actions))
    parts.append(inputs.reward[:, tf.newaxis])
    return tf.nn.relu(self._linear(tf.concat(parts, axis=-1)))

"""What a step takes in."""

import tensorflow as tf
import tree

from ald_acme import types


def inputs(observation_spec, batch_size: int) -> types.Inputs:
  """Tensor specs of a step's inputs, leaves `[E, ...]`.

  Args:
    observation_spec: a nest of specs with `shape` and `dtype`.
    batch_size: E.
  """

  def spec(shape, dtype):
    return tf.TensorSpec([batch_size, *shape], tf.as_dtype(dtype))

  return types.Inputs(
    observation=tree.map_structure(
      lambda s: spec(s.shape, s.dtype), observation_spec
    ),
    action=spec((), tf.int32),
    reward=spec((), tf.float32),
    start_of_episode=spec((), tf.bool),
  )

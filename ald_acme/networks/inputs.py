"""Tensor specs of a network's inputs."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf
import tree

from ald_acme import distributions
from ald_acme import types
from ald_acme.environments.interface import dtypes


def specs(
  observation_spec: types.Nest,
  distribution: distributions.Distribution,
  leading: Sequence[int],
) -> types.Inputs:
  """Tensor specs of inputs.

  Args:
    observation_spec: a nest of specs with `shape` and `dtype`; the result has
      the dtypes of `dtypes.taken`.
    distribution: distribution of the actions.
    leading: the first dimensions of every leaf: `[E]` of a step, `[T, E]` of a
      sequence.
  """

  def spec(shape: Sequence[int], dtype: Any) -> tf.TensorSpec:
    return tf.TensorSpec([*leading, *shape], tf.as_dtype(dtype))

  return types.Inputs(
    observation=tree.map_structure(
      lambda s: spec(s.shape, dtypes.taken(s.dtype)), observation_spec
    ),
    action=spec(distribution.shape, distribution.dtype),
    reward=spec((), tf.float32),
    start_of_episode=spec((), tf.bool),
  )

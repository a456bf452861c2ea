"""Signatures of table items, and batching of items."""

from collections.abc import Sequence
from typing import Any

from acme import specs
import tensorflow as tf
import tree

from ald_acme import distributions
from ald_acme import types
from ald_acme.networks import inputs
from ald_acme.networks import protocols

Nest = Any


def unroll_spec(
  environment_spec: specs.EnvironmentSpec,
  actor_state_spec: Nest,
  length: int,
  batch_size: int,
) -> types.Unroll:
  """Signature of an unroll of T steps of E environments.

  Args:
    environment_spec: an `acme.specs.EnvironmentSpec`.
    actor_state_spec: `tf.TensorSpec`s of the acting network's state, leaves
      `[E, ...]`; empty if not stored.
    length: T.
    batch_size: E.

  Returns:
    A `types.Unroll` of `tf.TensorSpec`.
  """

  def per_step(shape: Sequence[int], dtype: Any) -> tf.TensorSpec:
    return tf.TensorSpec([length, batch_size, *shape], tf.as_dtype(dtype))

  distribution = distributions.from_spec(environment_spec.actions)
  scalar = tf.TensorSpec([], tf.int64)
  return types.Unroll(
    inputs=inputs.specs(
      environment_spec.observations, distribution, [length + 1, batch_size]
    ),
    action=per_step(distribution.shape, distribution.dtype),
    reward=per_step((), tf.float32),
    discount=per_step((), tf.float32),
    is_last=per_step((), tf.bool),
    behaviour_policy=per_step((distribution.num_parameters,), tf.float32),
    actor_state=actor_state_spec,
    stamp=types.Stamp(scalar, scalar, scalar),
  )


def state_spec(network: protocols.Network, batch_size: int) -> Nest:
  """Signature of a recurrent network's state, leaves `[batch_size, ...]`."""
  return tree.map_structure(
    lambda x: tf.TensorSpec(x.shape, x.dtype), network.initial_state(batch_size)
  )


def concatenate(items: Sequence[Nest]) -> Nest:
  """Concatenates items along their environments, for use in a `tf.function`.

  Args:
    items: `Unroll`s, or named tuples that hold them, all of one type. A field
      whose name ends with `_state`, outside the inputs, is a recurrent state
      with leaves `[E, ...]`.

  Returns:
    One item: time-major leaves `[T, n * E, ...]`, states `[n * E, ...]`, and
    the scalars stacked to `[n]`.
  """
  if len(items) == 1:
    return tree.map_structure_with_path(
      lambda _, x: x[tf.newaxis] if x.shape.rank == 0 else x, items[0]
    )

  def join(path: tuple, *leaves: tf.Tensor) -> tf.Tensor:
    if leaves[0].shape.rank == 0:
      return tf.stack(leaves)
    return tf.concat(leaves, axis=0 if _is_state(path) else 1)

  return tree.map_structure_with_path(join, *items)


def _is_state(path: tuple) -> bool:
  """Whether a leaf belongs to a recurrent state, which is batch-major."""
  for name in map(str, path):
    if name == 'inputs':  # Observations may have any names.
      return False
    if name.endswith('_state'):
      return True
  return False

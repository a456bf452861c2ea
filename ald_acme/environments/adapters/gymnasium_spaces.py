"""Converts Gymnasium's spaces to `dm_env` specs.

The returned functions convert values of a single environment, or with
`batched=True` arrays `[E, ...]` of a batch.
"""

from collections.abc import Callable
from typing import Any

from dm_env import specs
import gymnasium
from gymnasium import spaces
import numpy as np

from ald_acme.environments.interface import dtypes

Convert = Callable[[Any], Any]


def action(
  space: gymnasium.Space, name: str, field: str = 'action'
) -> tuple[Any, Convert]:
  """The spec of an action space, and a function from spec to space actions.

  Args:
    space: space of one environment.
    name: name of the environment, for errors.
    field: name of the part, for errors.

  Raises:
    ValueError: if the space is not supported.
  """
  if isinstance(space, (spaces.Dict, spaces.Tuple)):
    return _parts(space, field, lambda part, at: action(part, name, at))
  if isinstance(space, spaces.Discrete):
    first = int(space.start)
    return (
      specs.DiscreteArray(int(space.n), dtype=np.int32, name=field),
      lambda x: np.asarray(x) + first if np.ndim(x) else int(x) + first,
    )
  if isinstance(space, spaces.Box):
    low, high = space.low, space.high
  elif isinstance(space, spaces.MultiDiscrete):
    low = np.asarray(getattr(space, 'start', 0))  # Old versions lack it.
    high = low + space.nvec - 1
  elif isinstance(space, spaces.MultiBinary):
    low, high = np.array(0), np.array(1)
  else:
    raise ValueError(
      f'{field} of {name} must be Box, Discrete, MultiDiscrete, MultiBinary, '
      f'or a Dict or Tuple of them, but received {space}; convert it with '
      'gymnasium.wrappers.TransformAction.'
    )
  spec = specs.BoundedArray(space.shape, space.dtype, low, high, name=field)
  return spec, lambda x: np.asarray(x, space.dtype)


def observation(
  space: gymnasium.Space,
  name: str,
  field: str = 'observation',
  batched: bool = False,
) -> tuple[Any, Convert]:
  """The spec of an observation space, and a function that encodes observations.

  Box and MultiBinary stay unchanged; Discrete and MultiDiscrete become one-hot
  vectors; Dict and Tuple keep their structure.

  Args:
    space: space of one environment.
    name: name of the environment, for errors.
    field: name of the part, for errors.
    batched: whether observations are of a batch, leaves `[E, ...]`.

  Raises:
    ValueError: if the space is not supported.
  """
  if isinstance(space, (spaces.Dict, spaces.Tuple)):
    return _parts(
      space, field, lambda part, at: observation(part, name, at, batched)
    )
  if isinstance(space, (spaces.Discrete, spaces.MultiDiscrete)):
    return _one_hot(space, name, field, batched)
  if isinstance(space, spaces.Box):
    low, high = space.low, space.high
  elif isinstance(space, spaces.MultiBinary):
    low, high = np.array(0), np.array(1)
  else:
    raise ValueError(
      f'{field} of {name} must be Box, Discrete, MultiDiscrete, MultiBinary, '
      f'or a Dict or Tuple of them, but received {space}; drop it with '
      'gymnasium.wrappers.FilterObservation, or encode it with '
      'gymnasium.wrappers.TransformObservation.'
    )

  def cast(x: Any) -> np.ndarray:
    """Casts to the dtype, if that loses no more than precision."""
    try:
      return dtypes.cast(x, space.dtype)
    except ValueError as error:
      raise ValueError(
        f'{field} of {name} {error} (its space is of {space.dtype}).'
      ) from error

  spec = specs.BoundedArray(space.shape, space.dtype, low, high, name=field)
  return spec, cast


def _parts(
  space: spaces.Dict | spaces.Tuple,
  field: str,
  convert: Callable[[gymnasium.Space, str], tuple[Any, Convert]],
) -> tuple[Any, Convert]:
  """Spec and function of a space of several parts, in the same structure.

  Args:
    space: with the parts.
    field: name of the space, for errors.
    convert: gives spec and function of a part from it and its name.
  """
  if isinstance(space, spaces.Dict):
    by_key = {
      key: convert(part, f'{field}[{key!r}]')
      for key, part in space.spaces.items()
    }
    return (
      {key: spec for key, (spec, _) in by_key.items()},
      lambda x: {key: make(x[key]) for key, (_, make) in by_key.items()},
    )
  in_order = [
    convert(part, f'{field}[{i}]') for i, part in enumerate(space.spaces)
  ]
  return (
    tuple(spec for spec, _ in in_order),
    lambda x: tuple(make(y) for y, (_, make) in zip(x, in_order, strict=True)),
  )


def _one_hot(
  space: spaces.Discrete | spaces.MultiDiscrete,
  name: str,
  field: str,
  batched: bool,
) -> tuple[Any, Convert]:
  """As `observation`, for integers that count from `start`."""
  of_values = space.n if isinstance(space, spaces.Discrete) else space.nvec
  sizes = np.ravel(of_values).astype(np.int64)
  shape = tuple(space.shape or ())
  start = np.ravel(getattr(space, 'start', 0)).astype(np.int64)
  offsets = np.cumsum(sizes) - sizes
  length = int(sizes.sum())

  def encode(x: Any) -> np.ndarray:
    values = np.asarray(x)
    leading = values.shape[: int(batched)]
    proper = values.dtype.kind in 'biu' and (
      values.shape[len(leading) :] == shape
    )
    if proper:
      index = values.reshape(-1, len(sizes)).astype(np.int64) - start
      outside = ((index < 0) | (index >= sizes)).any(axis=-1)
      x = values.reshape(-1, *shape)[outside][:1] if leading else x
    if not proper or outside.any():
      raise ValueError(
        f'{field} of {name} must be in its space, but received {x!r}.'
      )
    vectors = np.zeros((len(index), length), np.float32)
    vectors[np.arange(len(index))[:, np.newaxis], offsets + index] = 1.0
    return vectors.reshape(*leading, length)

  spec = specs.BoundedArray((length,), np.float32, 0.0, 1.0, name=field)
  return spec, encode

"""What an environment of others promises by its specs, and whether it keeps it.

A breach that nobody sees at once ends far from its cause: as a loss that is not
finite, or as an item that a table refuses.
"""

from typing import Any

import dm_env
from dm_env import specs
import numpy as np
import tree

from ald_acme.environments import actions


class Contract:
  """The specs of one kind of environment."""

  def __init__(
    self,
    name: str,
    observation_spec: Any,
    action_spec: Any,
  ):
    """Reads the specs.

    Args:
      name: of the environment, for errors.
      observation_spec: a nest of `specs.Array`.
      action_spec: of one environment, a nest of `specs.BoundedArray`.

    Raises:
      ValueError: if the actions are neither discrete nor bounded, or an
        observation holds something else than numbers and booleans.
    """
    actions.parts(action_spec, name)
    self._spec = observation_spec
    self._leaves = []
    for path, spec in tree.flatten_with_path(observation_spec):
      field = 'observation' + ''.join(f'[{key!r}]' for key in path)
      if not isinstance(spec, specs.Array) or spec.dtype.kind not in 'biuf':
        raise ValueError(
          f'{field} of {name} must hold numbers or booleans, but its spec is '
          f'{spec!r}; leave it out, or encode it as numbers.'
        )
      self._leaves.append((field, spec.shape, spec.dtype))

  def breach(self, timestep: dm_env.TimeStep) -> str | None:
    """What is wrong with a batched time step, None if all is well."""
    for field in ('reward', 'discount'):
      value = getattr(timestep, field)
      if value.shape != timestep.step_type.shape:
        return (
          f'{field} must be a single number, but received shape '
          f'{value.shape[1:]}.'
        )
      if not np.isfinite(value).all():
        return _not_finite(field, value)
    try:
      tree.assert_same_structure(self._spec, timestep.observation)
    except (TypeError, ValueError) as error:
      reason = str(error).splitlines()[0]
      return f'observation must be nested as its spec is. {reason}'
    for (field, shape, dtype), value in zip(
      self._leaves, tree.flatten(timestep.observation)
    ):
      if value.shape[1:] != shape or value.dtype != dtype:
        return (
          f'{field} must be {dtype} of shape {shape} as its spec says, but '
          f'received {value.dtype} of shape {value.shape[1:]}.'
        )
      if dtype.kind == 'f' and not np.isfinite(value).all():
        return _not_finite(field, value)
    return None


def _not_finite(field: str, value: np.ndarray) -> str:
  bad = value[~np.isfinite(value)]
  return (
    f'{field} must be finite, but {bad.size} of {value.size} numbers are not; '
    f'the first is {bad[0]}.'
  )

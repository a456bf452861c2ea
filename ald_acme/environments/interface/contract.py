"""Checks that an environment's time steps match its specs.

Otherwise a mismatch shows up far from its cause: as a NaN loss, or as an item
that a table rejects.
"""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import dm_env
from dm_env import specs
import numpy as np
import tree

from ald_acme.environments.interface import actions
from ald_acme.environments.interface import dtypes
from ald_acme.environments.interface import masks

# Squared sums of such rewards are finite in float32.
_LARGEST_REWARD = 1e15
_TOLERANCE = 1e-5  # Of float bounds, relative to max(1, |bound|).


# Fields of a time step, their bounds and the cure.
_NUMBERS = (
  (
    'reward',
    (-_LARGEST_REWARD, _LARGEST_REWARD),
    'its square would overflow; scale it down',
  ),
  (
    'discount',
    (0.0, 1.0),
    'discounts are 0 on termination and 1 elsewhere, or between',
  ),
)


class Breach(ValueError):
  """A time step that violates the specs or is NaN or infinite."""


class Contract:
  """The specs of one kind of environment."""

  def __init__(
    self,
    name: str,
    observation_spec: Any,
    action_spec: Any,
  ) -> None:
    """Reads the specs.

    Args:
      name: name of the environment, for errors.
      observation_spec: a nest of `specs.Array`.
      action_spec: action spec of one environment, a nest of
        `specs.BoundedArray`.

    Raises:
      ValueError: if the actions are neither discrete nor bounded, or an
        observation is empty or neither numeric nor boolean.
    """
    actions.parts(action_spec, name)
    self._spec, self._action_spec = observation_spec, action_spec
    self._is_nest = tree.is_nested(observation_spec)
    self._mask = masks.find(observation_spec)
    self._leaves = [
      _leaf(name, path, spec)
      for path, spec in tree.flatten_with_path(observation_spec)
    ]
    if not self._leaves:
      raise ValueError(
        f'observation of {name} must not be empty, but its spec is '
        f'{observation_spec!r}; return a constant zero if there is nothing to '
        'observe.'
      )

  def take(self, timestep: dm_env.TimeStep) -> dm_env.TimeStep:
    """Checks a batched time step and casts it (`dtypes.taken`).

    Args:
      timestep: time step of any number of environments; rewards and discounts
        may be of any floating dtype.

    Raises:
      Breach: if it does not match the specs, or a number or the square of a
        reward is not finite in float32.
    """
    shape = timestep.step_type.shape
    for field, bounds, cure in _NUMBERS:
      value = getattr(timestep, field)
      # nan is within no bounds.
      if value.shape != shape or not _is_within(value, *bounds):
        _refuse_number(field, value, shape, bounds, cure)
    observation = timestep.observation
    if self._is_nest or not isinstance(observation, np.ndarray):
      try:
        tree.assert_same_structure(self._spec, observation)
      except (TypeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise Breach(
          f'observation must have the structure of its spec. {reason}'
        ) from error
      taken = [
        leaf.take(value)
        for leaf, value in zip(self._leaves, tree.flatten(observation))
      ]
      observation = tree.unflatten_as(self._spec, taken)
    else:
      observation = self._leaves[0].take(observation)
    if self._mask is not None:
      self._check_mask(timestep, self._mask)
    return timestep._replace(
      reward=timestep.reward.astype(np.float32, copy=False),
      discount=timestep.discount.astype(np.float32, copy=False),
      observation=observation,
    )

  def _check_mask(self, timestep: dm_env.TimeStep, path: tuple) -> None:
    """Raises Breach if no action is legal and the episode continues."""
    mask = masks.read(timestep.observation, path)
    acts = timestep.step_type != int(dm_env.StepType.LAST)
    for i, flags in enumerate(masks.divide(self._action_spec, mask)):
      if (acts & ~flags.any(axis=-1)).any():
        raise Breach(
          f'the action mask must leave a legal action, but all '
          f'{flags.shape[-1]} values of integer {i} of the action are illegal.'
        )


def name_breach(
  kept: Contract,
  makers: Iterable[Callable[[], dm_env.TimeStep]],
  where: Callable[[int], str],
) -> None:
  """Raises the first breach, with the environment that caused it.

  Args:
    kept: the contract.
    makers: functions that return the time step of one environment, as a batch
      of one.
    where: describes environment i and the step.
  """
  for index, make in enumerate(makers):
    try:
      kept.take(make())
    except (TypeError, ValueError) as error:
      raise Breach(f'{where(index)}: {error}') from error


class _Leaf(NamedTuple):
  """A leaf of the observation spec.

  Attributes:
    field: its name in errors.
    shape: shape for one environment.
    dtype: the spec's dtype, in native byte order.
    bounds: lower and upper bounds, scalars or arrays; None if unbounded.
    said: the spec's own bounds, without the tolerance for rounding.
    taken: the dtype after the cast (`dtypes.taken`).
    is_quick: whether the bounds exclude all invalid numbers.
  """

  field: str
  shape: tuple[int, ...]
  dtype: np.dtype
  bounds: tuple[np.ndarray, np.ndarray] | None
  said: tuple[np.ndarray, np.ndarray] | None
  taken: np.dtype
  is_quick: bool

  def take(self, value: np.ndarray) -> np.ndarray:
    """Checks a value and casts it (`dtypes.taken`); raises Breach."""
    dtype = value.dtype
    if value.shape[1:] != self.shape or (
      dtype != self.dtype and dtype.newbyteorder('=') != self.dtype
    ):
      raise Breach(
        f'{self.field} must be {self.dtype} of shape {self.shape} as in its '
        f'spec, but received {dtype} of shape {value.shape[1:]}.'
      )
    taken = value
    if dtype != self.taken:
      try:
        taken = dtypes.cast(value, self.taken)
      except ValueError as error:
        raise Breach(f'{self.field} {error}.') from error
    if self.bounds and self.is_quick and _is_within(value, *self.bounds):
      return taken
    if taken.dtype.kind == 'f' and not np.isfinite(taken).all():
      raise Breach(_not_finite(self.field, value))
    if self.bounds is not None:
      cure = 'widen the bounds of its spec, or clip it'
      _within(self.field, value, self.bounds, cure, self.said)
    return taken


def _leaf(name: str, path: tuple, spec: Any) -> _Leaf:
  field = 'observation' + ''.join(f'[{key!r}]' for key in path)
  if not isinstance(spec, specs.Array) or spec.dtype.kind not in 'biuf':
    raise ValueError(
      f'{field} of {name} must hold numbers or booleans, but its spec is '
      f'{spec!r}; leave it out, or encode it as numbers.'
    )
  if 0 in spec.shape:
    raise ValueError(
      f'{field} of {name} must hold at least one number, but its shape is '
      f'{spec.shape}; leave it out.'
    )
  dtype = spec.dtype.newbyteorder('=')
  bounds = _bounds(spec)
  said = bounds and (spec.minimum, spec.maximum)
  taken = dtypes.taken(dtype)
  is_quick = bounds is not None and np.ndim(bounds[0]) == 0
  if bounds and is_quick and taken.kind == 'f':
    is_quick = all(np.isfinite(np.float32(bound)) for bound in bounds)
  return _Leaf(field, spec.shape, dtype, bounds, said, taken, is_quick)


def _bounds(spec: specs.Array) -> tuple[np.ndarray, np.ndarray] | None:
  if not isinstance(spec, specs.BoundedArray) or spec.dtype.kind == 'b':
    return None
  low, high = np.broadcast_arrays(spec.minimum, spec.maximum)
  if spec.dtype.kind == 'f':
    with np.errstate(over='ignore'):  # Bounds may be the largest number.
      low = low - _TOLERANCE * np.maximum(1.0, np.abs(low))
      high = high + _TOLERANCE * np.maximum(1.0, np.abs(high))
    least, most = -np.inf, np.inf
  else:
    least, most = np.iinfo(spec.dtype).min, np.iinfo(spec.dtype).max
  if (low <= least).all() and (high >= most).all():
    return None
  # Scalar bounds are cheaper to check.
  same = (low == low.flat[0]).all() and (high == high.flat[0]).all()
  return (low.flat[0], high.flat[0]) if same else (low, high)


def _is_within(value: np.ndarray, low: Any, high: Any) -> bool:
  """Whether all numbers are; the bounds are scalars."""
  least, most = (
    extreme.reduce(value, axis=None) for extreme in (np.minimum, np.maximum)
  )
  return bool(low <= least and most <= high)


def _refuse_number(
  field: str,
  value: np.ndarray,
  shape: tuple[int, ...],
  bounds: tuple[float, float],
  cure: str,
) -> None:
  """Raises Breach for a reward or a discount."""
  if value.shape != shape:
    raise Breach(
      f'{field} must be a single number, but received shape {value.shape[1:]}.'
    )
  if not np.isfinite(value).all():
    raise Breach(_not_finite(field, value))
  _within(field, value, bounds, cure)


def _within(
  field: str,
  value: np.ndarray,
  bounds: tuple,
  cure: str,
  said: tuple | None = None,
) -> None:
  """Raises Breach if a value is out of bounds; reports them as `said`."""
  low, high = bounds
  if np.ndim(low) == 0:  # So is the other.
    if _is_within(value, low, high):
      return
  elif ((value >= low) & (value <= high)).all():
    return
  outside = (value < low) | (value > high)
  low, high = (
    np.broadcast_to(x, value.shape)[outside][0] for x in said or bounds
  )
  raise Breach(
    f'{field} must be {low:g} to {high:g}, but {outside.sum()} of {value.size} '
    f'numbers are not; the first is {value[outside][0]:g}: {cure}.'
  )


def _not_finite(field: str, value: np.ndarray) -> str:
  with np.errstate(over='ignore'):
    bad = value[~np.isfinite(value.astype(np.float32))]
  return (
    f'{field} must be finite in float32, but {bad.size} of {value.size} '
    f'numbers are not; the first is {bad[0]:g}.'
  )

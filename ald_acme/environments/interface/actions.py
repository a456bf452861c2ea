"""Action specs: discrete and bounded parts, checks and examples of actions."""

from typing import Any, NamedTuple

from dm_env import specs
import numpy as np
import tree

Nest = Any
_ROOT = 'action'
_MOST_VALUES = 2**24  # A float32 represents larger integers inexactly.


class Discrete(NamedTuple):
  """Integers, each with its own range.

  Attributes:
    field: name of the part, for errors.
    spec: spec of the part.
    sizes: int64 `[K]`, number of values of each integer.
    first: int64 `[K]`, smallest value of each integer.
  """

  field: str
  spec: specs.Array
  sizes: np.ndarray
  first: np.ndarray


class Continuous(NamedTuple):
  """Real numbers, each with its own finite bounds.

  Attributes:
    field: name of the part, for errors.
    spec: spec of the part.
    low: float64 `[K]`, lower bounds.
    high: float64 `[K]`, upper bounds.
  """

  field: str
  spec: specs.Array
  low: np.ndarray
  high: np.ndarray


Part = Discrete | Continuous


def parts(action_spec: Nest, name: str = 'the environment') -> list[Part]:
  """Reads an action spec.

  Args:
    action_spec: a `specs.DiscreteArray`, a `specs.BoundedArray` of integers,
      booleans or floats with finite bounds, or a nest of them.
    name: name of the environment, for errors.

  Returns:
    The parts, in the order of `tree.flatten`.

  Raises:
    ValueError: if a part is neither discrete nor bounded.
  """
  leaves = tree.flatten_with_path(action_spec)
  if not leaves:
    raise ValueError(
      f'{_ROOT} of {name} must have at least one part, but its spec is '
      f'{action_spec!r}.'
    )
  return [
    _part(_ROOT + ''.join(f'[{key!r}]' for key in path), leaf, name)
    for path, leaf in leaves
  ]


def _part(field: str, spec: Any, name: str) -> Part:
  if not isinstance(spec, specs.BoundedArray):
    raise ValueError(
      f'{field} of {name} must be a DiscreteArray or a BoundedArray of dm_env '
      f'(or a nest of them), but its spec is {spec!r}; give it bounds.'
    )
  low = np.broadcast_to(spec.minimum, spec.shape).ravel()
  high = np.broadcast_to(spec.maximum, spec.shape).ravel()
  if not low.size:
    raise ValueError(
      f'{field} of {name} must hold at least one number, but has shape '
      f'{spec.shape}; leave it out.'
    )
  if spec.dtype.kind == 'f':
    low, high = low.astype(np.float64), high.astype(np.float64)
    _check_bounds(field, low, high, name)
    return Continuous(field, spec, low, high)
  if spec.dtype.kind not in 'biu':
    raise ValueError(
      f'{field} of {name} must hold integers, booleans or floats, but has '
      f'dtype {spec.dtype}.'
    )
  low, high = low.astype(np.int64), high.astype(np.int64)
  if (low > high).any() or (high - low >= _MOST_VALUES).any():
    raise ValueError(
      f'{field} of {name} must have 1 to {_MOST_VALUES:,} values for each '
      f'integer, but its bounds are {spec.minimum} and {spec.maximum}; declare '
      'the range of values that the environment uses.'
    )
  return Discrete(field, spec, high - low + 1, low)


def _check_bounds(
  field: str, low: np.ndarray, high: np.ndarray, name: str
) -> None:
  if not (np.isfinite(low) & np.isfinite(high)).all():
    raise ValueError(
      f'{field} of {name} must have finite bounds, but has {low.tolist()} to '
      f'{high.tolist()}; declare a finite range, in Gymnasium with '
      'gymnasium.wrappers.TransformAction.'
    )
  if not (low < high).all():
    raise ValueError(
      f'{field} of {name} must have bounds with minimum < maximum, but has '
      f'{low.tolist()} to {high.tolist()}; leave out constant numbers.'
    )


def validate(action_spec: Nest, action: Nest) -> None:
  """Raises ValueError if one environment's action does not match its spec."""
  try:
    tree.assert_same_structure(action_spec, action)
  except (TypeError, ValueError) as error:
    raise ValueError(
      f'{_ROOT} must be nested as its spec {action_spec}, but received '
      f'{action!r}.'
    ) from error
  for part, value in zip(parts(action_spec), tree.flatten(action)):
    value = np.asarray(value)
    spec = part.spec
    fits = value.shape == spec.shape and value.dtype.kind in (
      'biu' if isinstance(part, Discrete) else 'biuf'
    )
    # Also false for NaN.
    if (
      not fits or not ((value >= spec.minimum) & (value <= spec.maximum)).all()
    ):
      raise ValueError(
        f'{part.field} must be {spec.dtype} of shape {spec.shape} from '
        f'{spec.minimum} to {spec.maximum}, but received {value.tolist()}.'
      )


def lowest(action_spec: Nest, batch_size: int) -> Nest:
  """An action at the lower bounds, a nest of `[E, ...]`."""
  return tree.map_structure(
    lambda s: np.broadcast_to(s.minimum, (batch_size, *s.shape)).astype(
      s.dtype
    ),
    action_spec,
  )


def uniform(
  action_spec: Nest, batch_size: int, rng: np.random.Generator
) -> Nest:
  """Random actions, uniform within their bounds, a nest of `[E, ...]`."""

  def draw(part: Part) -> np.ndarray:
    size = (batch_size, *part.spec.shape)
    if isinstance(part, Discrete):
      first, sizes = (
        x.reshape(part.spec.shape) for x in (part.first, part.sizes)
      )
      return (first + rng.integers(sizes, size=size)).astype(part.spec.dtype)
    low, high = (x.reshape(part.spec.shape) for x in (part.low, part.high))
    return rng.uniform(low, high, size).astype(part.spec.dtype)

  return tree.unflatten_as(action_spec, [draw(p) for p in parts(action_spec)])

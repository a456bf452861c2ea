"""Checks of settings and arguments: errors name the field and the value."""

from collections.abc import Callable, Sequence
import dataclasses
import math
from typing import Any

import numpy as np

_LARGEST = 2**63 - 1  # Counters and arrays are int64.


def setting(
  default: Any,
  about: str,
  *,
  at_least: float | None = None,
  above: float | None = None,
  between: tuple[float, float] | None = None,
  one_of: Sequence[str] | None = None,
) -> Any:
  """A dataclass field with its help text and its allowed range.

  Args:
    default: the field's default.
    about: one line of help.
    at_least: the least value.
    above: bound that the value must exceed.
    between: the least and the greatest value.
    one_of: the choices.

  Returns:
    A `dataclasses.field`; `check` refuses values out of range.
  """
  ranges = {
    'at_least': at_least,
    'above': above,
    'between': between,
    'one_of': one_of,
  }
  return dataclasses.field(
    default=default,
    metadata={
      'about': about,
      'ranges': {k: v for k, v in ranges.items() if v is not None},
    },
  )


def check(config: Any, where: str = '') -> None:
  """Checks the types and ranges that a dataclass's fields declare.

  Args:
    config: a dataclass whose fields were made with `setting`.
    where: name of the field that holds `config`, for the message.

  Raises:
    ValueError: if a field is out of range or of another type.
  """
  check_types(config, where)
  for field in dataclasses.fields(config):
    for name, bound in field.metadata.get('ranges', {}).items():
      _CHECKS[name](config, field.name, bound, where)


def check_types(config: Any, where: str = '') -> None:
  """Checks that a dataclass's plain fields hold what their types say.

  Integers are accepted as floats; a field of `float | None` may be None. Other
  types are not checked.

  Raises:
    ValueError: if a field is of another type, or not finite.
  """
  for field in dataclasses.fields(config):
    value = getattr(config, field.name)
    kind = getattr(field.type, '__name__', str(field.type))
    if kind.endswith(' | None') and value is None:
      continue
    kind = kind.removesuffix(' | None')
    wanted = {'int': int, 'float': float, 'bool': bool, 'str': str}.get(kind)
    if type(value) is int and not -_LARGEST <= value <= _LARGEST:
      raise ValueError(
        f'{_name(field.name, where)} must be a number of 64 bits, at most '
        f'{_LARGEST}, but received one of {len(str(abs(value)))} digits.'
      )
    if wanted is float and type(value) is int:
      setattr(config, field.name, float(value))
    elif wanted and type(value) is not wanted:
      raise ValueError(
        f'{_name(field.name, where)} must be of type {wanted.__name__}, but '
        f'received {value!r}.'
      )
    if isinstance(value, float) and not math.isfinite(value):
      raise ValueError(
        f'{_name(field.name, where)} must be a finite number, but received '
        f'{value}.'
      )


def _at_least(config: Any, name: str, least: float, where: str) -> None:
  """Raises ValueError if the field is below `least`."""
  value = getattr(config, name)
  if value < least:
    raise ValueError(
      f'{_name(name, where)} must be at least {least}, but received {value}.'
    )


def _above(config: Any, name: str, bound: float, where: str) -> None:
  """Raises ValueError if the field is not above `bound`."""
  value = getattr(config, name)
  if not value > bound:
    raise ValueError(
      f'{_name(name, where)} must be above {bound}, but received {value}.'
    )


def _between(
  config: Any, name: str, ends: tuple[float, float], where: str
) -> None:
  """Raises ValueError if the field is outside [low, high]."""
  low, high = ends
  value = getattr(config, name)
  if not low <= value <= high:
    raise ValueError(
      f'{_name(name, where)} must be from {low} to {high}, but received '
      f'{value}.'
    )


def _one_of(config: Any, name: str, choices: Sequence[str], where: str) -> None:
  """Raises ValueError if the field is none of the choices."""
  value = getattr(config, name)
  if value not in choices:
    raise ValueError(
      f'{_name(name, where)} must be one of {", ".join(choices)}, but received '
      f'{value!r}.'
    )


_CHECKS: dict[str, Callable[..., None]] = {
  'at_least': _at_least,
  'above': _above,
  'between': _between,
  'one_of': _one_of,
}


def _name(field: str, where: str) -> str:
  return f'{where}.{field}' if where else field


def integer(name: str, value: Any, least: int, odd: bool = False) -> None:
  """Raises ValueError unless the value is an integer in range, odd if asked."""
  if not isinstance(value, (int, np.integer)) or isinstance(value, bool):
    raise ValueError(f'{name} must be an integer, but received {value!r}.')
  if value < least or (odd and value % 2 == 0):
    kind = 'an odd number' if odd else 'a number'
    raise ValueError(
      f'{name} must be {kind} of at least {least}, but received {value}.'
    )


def number(name: str, value: Any) -> None:
  """Raises ValueError unless the value is a finite number."""
  if isinstance(value, bool) or not isinstance(value, (int, float, np.number)):
    raise ValueError(f'{name} must be a number, but received {value!r}.')
  if not np.isfinite(value):
    raise ValueError(f'{name} must be finite, but received {value!r}.')


def flag(name: str, value: Any) -> None:
  """Raises ValueError if the value is neither True nor False."""
  if not isinstance(value, bool):
    raise ValueError(f'{name} must be True or False, but received {value!r}.')

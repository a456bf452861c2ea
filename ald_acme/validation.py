"""Checks of configuration that name the field, the value and the cure."""

from collections.abc import Sequence
import dataclasses
import math
from typing import Any

_LARGEST = 2**63 - 1  # As arrays and counters hold them.


def check_types(config: Any, where: str = ''):
  """Checks that a dataclass's plain fields hold what their types say.

  Integers are taken for floats. Fields of other types are left alone.

  Raises:
    ValueError: naming the field, its type and the value received.
  """
  for field in dataclasses.fields(config):
    value = getattr(config, field.name)
    wanted = {'int': int, 'float': float, 'bool': bool, 'str': str}.get(
      getattr(field.type, '__name__', field.type)
    )
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


def at_least(config: Any, name: str, least: float, where: str = ''):
  """Raises ValueError if the field is below `least`."""
  value = getattr(config, name)
  if value < least:
    raise ValueError(
      f'{_name(name, where)} must be at least {least}, but received {value}.'
    )


def above(config: Any, name: str, bound: float, where: str = ''):
  """Raises ValueError if the field is not above `bound`."""
  value = getattr(config, name)
  if not value > bound:
    raise ValueError(
      f'{_name(name, where)} must be above {bound}, but received {value}.'
    )


def between(config: Any, name: str, low: float, high: float, where: str = ''):
  """Raises ValueError if the field is outside [low, high]."""
  value = getattr(config, name)
  if not low <= value <= high:
    raise ValueError(
      f'{_name(name, where)} must be from {low} to {high}, but received '
      f'{value}.'
    )


def one_of(config: Any, name: str, choices: Sequence[str], where: str = ''):
  """Raises ValueError if the field is none of the choices."""
  value = getattr(config, name)
  if value not in choices:
    raise ValueError(
      f'{_name(name, where)} must be one of {", ".join(choices)}, but received '
      f'{value!r}.'
    )


def _name(field: str, where: str) -> str:
  return f'{where}.{field}' if where else field

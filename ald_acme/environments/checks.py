"""Checks of environments' arguments."""

from typing import Any

import numpy as np


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

"""Stops learning at the first number that is none."""

from collections.abc import Mapping
import math


def check(terms: Mapping[str, float], where: str):
  """Raises FloatingPointError if a term is nan or infinite.

  Args:
    terms: scalars by name.
    where: the update, for the message.
  """
  bad = {name: x for name, x in terms.items() if not math.isfinite(x)}
  if bad:
    raise FloatingPointError(
      f'At {where} these are not finite: {bad}. Look for infinite rewards or '
      'observations, or lower the learning rate.'
    )

"""Selects entries of observations: actors may observe less than learners."""

from collections.abc import Sequence
from typing import Any

import tree

from ald_acme.environments.interface import masks

Nest = Any
_FIELD = 'actor_observations'


def parse(text: str, observation_spec: Nest) -> tuple[str, ...] | None:
  """Parses the entries of an observation that an actor observes.

  Args:
    text: names separated by commas; 'arm/position' is a nested entry. Empty for
      all.
    observation_spec: observation spec of the environment.

  Returns:
    The names, with the action mask's if there is one. None for all.

  Raises:
    ValueError: if an entry does not exist.
  """
  names = [name.strip() for name in text.split(',') if name.strip()]
  if not names:
    return None
  for name in names:
    part = observation_spec
    for key in name.split('/'):
      if not isinstance(part, dict) or key not in part:
        raise ValueError(
          f'{_FIELD} must name entries of the observation, which are '
          f'{_entries(observation_spec)}, but received {name!r}.'
        )
      part = part[key]
  mask = masks.find(observation_spec)
  if mask is not None:
    names.append('/'.join(mask))
  return tuple(dict.fromkeys(names))


def select(observation: Nest, names: Sequence[str] | None) -> Nest:
  """Selects the entries of an observation by name; all if names is None."""
  if names is None:
    return observation
  selected: dict[str, Any] = {}
  for name in names:
    *path, last = name.split('/')
    source, target = observation, selected
    for key in path:
      source, target = source[key], target.setdefault(key, {})
    target[last] = source[last]
  return selected


def by(network: Any, observation: Nest) -> Nest:
  """Selects what a network observes of an observation or its spec."""
  return select(observation, getattr(network, 'observed', None))


def _entries(observation_spec: Nest) -> str:
  paths = [path for path, _ in tree.flatten_with_path(observation_spec)]
  if paths == [()]:
    return 'none, as it is a single array'
  return ', '.join('/'.join(map(str, path)) for path in paths)

"""Parts of an observation, for actors that see less than their learner."""

from collections.abc import Sequence
from typing import Any

import tree

from ald_acme.environments import masks

Nest = Any
_FIELD = 'actor_observations'


def parse(text: str, observation_spec: Nest) -> tuple[str, ...] | None:
  """Reads which entries of an observation an actor sees.

  Args:
    text: names between commas; 'arm/position' is an entry within an entry.
      Empty for everything.
    observation_spec: of the environment.

  Returns:
    The names, with that of the action mask if there is one: an actor has to
    know which actions are legal. None for everything.

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
  """The entries of an observation by name; all of it where names is None."""
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
  """What a network reads of an observation, or of its spec."""
  return select(observation, getattr(network, 'observed', None))


def _entries(observation_spec: Nest) -> str:
  paths = [path for path, _ in tree.flatten_with_path(observation_spec)]
  if paths == [()]:
    return 'none, as it is one array'
  return ', '.join('/'.join(map(str, path)) for path in paths)

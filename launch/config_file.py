"""Reads settings from a file: a run's config.json, or fields by name."""

from collections.abc import Iterable, Mapping
import dataclasses
import difflib
import json
from typing import Any

import yaml

from agents import catalogue
from agents import settings
from ald_acme.networks import sizes

# Entries of a file other than the configuration's fields; all are text.
NAMES = (
  'agent',
  'environment',
  'environment_kwargs',
  'network_factory',
  'wandb_project',
)
_CONFIG, _NETWORKS = 'config', 'networks'


def read(path: str) -> dict[str, Any]:
  """Reads a file of settings.

  Args:
    path: a config.json, whose other entries (versions, command) are ignored; or
      JSON or YAML with fields by name, and those of `NAMES`.

  Returns:
    The file's values of `NAMES`, and its fields as 'config'.

  Raises:
    ValueError: if the file cannot be read, or an entry has another type.
  """
  try:
    with open(path, encoding='utf-8') as file:
      text = file.read()
    # YAML reads 1e-3 as text, unlike JSON, and is otherwise a superset.
    found = json.loads(text) if text[:1] == '{' else yaml.safe_load(text)
  except (OSError, ValueError, yaml.YAMLError) as error:
    raise ValueError(f'{_of(path)} cannot be read: {error}.') from error
  if not isinstance(found, Mapping):
    raise ValueError(
      f'{_of(path)} must hold fields by name, such as "discount: 0.9", but '
      f'received {found!r}.'
    )
  named = {k: v for k, v in found.items() if k in NAMES and v is not None}
  for name, value in named.items():
    if not isinstance(value, str):
      raise ValueError(
        f'{_of(path)} {name} must be text, but received {value!r}; put it in '
        'quotes.'
      )
  if 'agent' in named and named['agent'] not in catalogue.NAMES:
    raise ValueError(
      f'{_of(path)} agent must be one of {", ".join(catalogue.NAMES)}, but '
      f'received {named["agent"]!r}.'
    )
  rest = {k: v for k, v in found.items() if k not in NAMES}
  return {**named, _CONFIG: rest.get(_CONFIG, rest), 'file': found}


def fields(chosen: Mapping[str, Any], agent: str, path: str) -> dict[str, Any]:
  """All fields of an agent's settings, as set by a file.

  Args:
    chosen: the result of `read`.
    agent: one of `catalogue.NAMES`.
    path: path of the file.

  Returns:
    The fields by name, with defaults for the others.

  Raises:
    ValueError: as `read`.
  """
  given = chosen[_CONFIG]
  try:
    if _CONFIG in chosen['file']:  # Of a run, maybe of an old version.
      return settings.read(agent, chosen['file']).flat()
    defaults = settings.make(agent, {}).flat()
    _refuse_unknown(given, defaults, agent)
    made = {k: _number(v, defaults[k]) for k, v in given.items()}
    if _NETWORKS in given:
      own = given[_NETWORKS]
      if not isinstance(own, Mapping):
        raise ValueError(
          f'{_NETWORKS} must hold sizes by name, such as "lstm: 64", but '
          f'received {own!r}.'
        )
      known = [field.name for field in dataclasses.fields(sizes.NetworkSizes)]
      _refuse_unknown(own, known, agent)
      made[_NETWORKS] = {**defaults[_NETWORKS], **own}
    return settings.make(agent, {**defaults, **made}).flat()
  except ValueError as error:
    raise ValueError(f'{_of(path)} {error}') from error


def unknown(name: str, known: Iterable[str], agent: str) -> str:
  """The rest of an error about an unknown setting, with the nearest name."""
  near = difflib.get_close_matches(name, list(known), 1)
  cure = f'is {near[0]} meant?' if near else '--help lists the fields.'
  return f'is not a setting of the agent {agent}; {cure}'


def _refuse_unknown(given: Mapping[str, Any], known: Any, agent: str) -> None:
  for name, value in given.items():
    if name not in known:
      raise ValueError(f'{name}={value!r} {unknown(str(name), known, agent)}')


def _number(value: Any, default: Any) -> Any:
  """Converts a number that YAML reads as text, such as 1e-3."""
  if isinstance(value, str) and isinstance(default, int | float | None):
    try:
      return float(value)
    except ValueError:
      pass
  return value


def _of(path: str) -> str:
  return f'--config_file={path}:'

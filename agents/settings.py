"""The settings of a run, by flat names: its agent's and its experiment's."""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import importlib.metadata
from typing import Any, NamedTuple

from agents import catalogue
from agents import experiment as experiments
from ald_acme.networks import sizes


class Settings(NamedTuple):
  """All settings of a run.

  Attributes:
    agent: the agent's name, one of `catalogue.NAMES`.
    config: the agent's configuration.
    experiment: the run's configuration.
  """

  agent: str
  config: Any
  experiment: experiments.ExperimentConfig

  def validate(self) -> None:
    """Raises ValueError if fields are out of range or inconsistent."""
    self.config.validate()
    self.experiment.validate()

  def flat(self) -> dict[str, Any]:
    """All fields by name; `networks` is a nested dictionary."""
    return {
      **dataclasses.asdict(self.config),
      **dataclasses.asdict(self.experiment),
    }


def fields_of(agent: str) -> dict[str, dataclasses.Field]:
  """The fields of an agent's settings, by name."""
  classes = (catalogue.config_class(agent), experiments.ExperimentConfig)
  return {f.name: f for kind in classes for f in dataclasses.fields(kind)}


def all_fields() -> dict[str, dataclasses.Field]:
  """The fields of all agents' settings; where several share a name, ALD's."""
  fields = {}
  for name in reversed(catalogue.NAMES):
    fields.update(fields_of(name))
  return fields


def make(agent: str, fields: Mapping[str, Any]) -> Settings:
  """Settings of an agent; fields not given have the agent's defaults.

  Args:
    agent: one of `catalogue.NAMES`.
    fields: by name; `networks` may be a dictionary.

  Raises:
    TypeError: if a field is not one of the agent's.
    ValueError: if a value is out of range.
  """
  fields = dict(fields)
  if isinstance(fields.get('networks'), Mapping):
    fields['networks'] = sizes.NetworkSizes(**fields['networks'])
  own = {f.name for f in dataclasses.fields(experiments.ExperimentConfig)}
  experiment = {name: fields.pop(name) for name in own & fields.keys()}
  return Settings(
    agent,
    catalogue.config_class(agent)(**fields),
    experiments.ExperimentConfig(**experiment),
  )


def flatten(fields: Mapping[str, Any], prefix: str = '') -> dict[str, Any]:
  """Flattens {'networks': {'lstm': 64}} to {'networks.lstm': 64}."""
  flat: dict[str, Any] = {}
  for name, value in fields.items():
    if isinstance(value, Mapping):
      flat |= flatten(value, f'{prefix}{name}.')
    else:
      flat[prefix + name] = value
  return flat


def nest(fields: Mapping[str, Any]) -> dict[str, Any]:
  """The reverse of `flatten`."""
  nested: dict[str, Any] = {}
  for path, value in fields.items():
    *folders, name = path.split('.')
    holder = nested
    for folder in folders:
      holder = holder.setdefault(folder, {})
    holder[name] = value
  return nested


# Values of fields in the versions that did not have them.
BEFORE = {
  'learner_average_decay': 0.0,
  'feature_learning_rate': 0.0,
  'value_offset_rate': 0.0,
}


def read(agent: str, saved: Mapping[str, Any]) -> Settings:
  """The settings of a run's config.json.

  Args:
    agent: the run's agent.
    saved: the content of config.json. Fields of other agents are ignored,
      because earlier versions wrote all fields.

  Raises:
    ValueError: if it cannot be read by this version.
  """
  fields = saved['config']
  try:
    known, of_others = fields_of(agent), all_fields()
    unknown = fields.keys() - of_others.keys()
    if unknown:
      raise ValueError(f'there is no field {min(unknown)!r}.')
    if 'networks' not in fields:
      raise ValueError("the field 'networks' is missing.")
    fields = {k: v for k, v in fields.items() if k in known}
    if 'evaluation_frames' not in fields:  # Of a version where 0 meant none.
      for name in ('target_return', 'solved_return'):
        fields[name] = fields.get(name) or None
    fields = {k: v for k, v in BEFORE.items() if k in known} | fields
    return make(agent, fields)
  except (AttributeError, TypeError, ValueError) as error:
    raise ValueError(
      f'config.json was written by ald_acme {_version_of(saved)} and cannot be '
      f'read by {version()}: {error}'
    ) from error


def version() -> str:
  """The version of this package; 'a clone' if it is not installed."""
  try:
    return importlib.metadata.version('ald-acme')
  except importlib.metadata.PackageNotFoundError:
    return 'a clone'


def _version_of(saved: Mapping[str, Any]) -> str:
  versions = saved.get('versions')
  found = versions.get('ald-acme') if isinstance(versions, Mapping) else None
  return found or 'of an unknown version'

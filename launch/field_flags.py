"""Defines a flag for each field of the settings' dataclasses."""

from collections.abc import Callable, Mapping
import dataclasses
from typing import Any

from absl import flags

from agents import catalogue
from agents import settings
from ald_acme.networks import sizes
from launch import command_line

_PRESET = flags.DEFINE_enum(
  'preset',
  None,
  sorted(sizes.PRESETS),
  'Sizes of both networks: small (the default) for a CPU, paper for an '
  'accelerator, tiny for tests.',
)
# Fields that also have a flag without the prefix.
_SHORTHANDS = (
  'seed',
  'max_frames',
  'target_return',
  'solved_return',
  'num_actors',
  'envs_per_actor',
  'num_distillers',
  'dprl',
)
NETWORKS = 'networks'
NO_VALUE = 'none'  # None on the command line.


class _OptionalFloat(flags.ArgumentParser):
  """Parses a number or 'none'."""

  syntactic_help = 'a number, or none'

  def parse(self, argument: str | float) -> str | float:
    return NO_VALUE if argument == NO_VALUE else float(argument)

  def flag_type(self) -> str:
    return 'float or none'


def _define_optional(name: str, default: float | None, about: str) -> None:
  """Defines a flag that takes a number or 'none'."""
  serializer = flags.ArgumentSerializer()
  flags.DEFINE(_OptionalFloat(), name, default, about, serializer=serializer)


_DEFINE: Mapping[object, Callable[..., object]] = {
  float | None: _define_optional,
  int: flags.DEFINE_integer,
  float: flags.DEFINE_float,
  str: flags.DEFINE_string,
  bool: flags.DEFINE_bool,
}
_FIELDS = settings.all_fields()
_CONFIG = flags.DEFINE_string(
  'config',
  None,
  'Not a flag itself: write --config.<field>=<value> to set a field of the '
  'agent or the run.',
)


def _define(flag: str, field: dataclasses.Field, more: str = '') -> None:
  """Defines the flag of a field from its type, range and help."""
  about = f'{field.metadata["about"]} By default {_default(field)}.{more}'
  _DEFINE[field.type](flag, None, about)


def _default(field: dataclasses.Field) -> str:
  """The default, and the agents with another one."""
  others: dict[str, list[str]] = {}
  if _FIELDS.get(field.name) is field:
    for agent in catalogue.NAMES:
      own = settings.fields_of(agent).get(field.name, field).default
      if own != field.default:
        others.setdefault(_text(own), []).append(agent)
  more = (f'{value} for {", ".join(names)}' for value, names in others.items())
  return ' and '.join([_text(field.default), *more])


def _text(value: Any) -> str:
  if value is None:
    return NO_VALUE
  if isinstance(value, bool):
    return str(value).lower()
  return f'{value:,}' if isinstance(value, int | float) else str(value)


def _define_config() -> list[str]:
  """Defines --config.<field> for every field; returns the fields' paths."""
  paths = {name: f for name, f in _FIELDS.items() if name != NETWORKS}
  for field in dataclasses.fields(sizes.NetworkSizes):
    paths[f'{NETWORKS}.{field.name}'] = field
  for path, field in paths.items():
    _define(f'config.{path}', field)
  return list(paths)


def _parse_bool(text: str) -> bool:
  return flags.BooleanParser().parse(text)


_PARSE: Mapping[object, Callable[[str], object]] = {
  float | None: lambda text: None if text == NO_VALUE else float(text),
  int: int,
  float: float,
  str: str,
  bool: _parse_bool,
}


def field_of(path: str) -> dataclasses.Field:
  """The field of a path, such as 'discount' or 'networks.lstm'."""
  within, _, name = path.rpartition('.')
  if within:
    return {f.name: f for f in dataclasses.fields(sizes.NetworkSizes)}[name]
  return _FIELDS[name]


def parse_value(field: dataclasses.Field, text: str) -> Any:
  """Parses a value of a field.

  Raises:
    ValueError: if the text is not of the field's type.
  """
  return _PARSE[field.type](text)


_PATHS = _define_config()
for _name in _SHORTHANDS:
  _define(_name, _FIELDS[_name], f' Same as --config.{_name}.')


def given() -> tuple[str | None, dict[str, Any]]:
  """The preset and the fields that the parsed flags set.

  Returns:
    The name of the preset; None for none.
    The fields by path; `NO_VALUE` stands for None.

  Raises:
    UsageError: if a field is set twice.
  """
  if _CONFIG.value is not None:
    raise command_line.UsageError(
      f'--config={_CONFIG.value} names no field; write '
      '--config.<field>=<value>.'
    )
  found = {
    path: flags.FLAGS[f'config.{path}'].value
    for path in _PATHS
    if flags.FLAGS[f'config.{path}'].present
  }
  if _PRESET.value and any(path.startswith(NETWORKS) for path in found):
    raise command_line.UsageError(
      '--preset and --config.networks both set the sizes of the networks; '
      'give one of them.'
    )
  for name in _SHORTHANDS:
    value = flags.FLAGS[name].value
    if value is None:
      continue
    if name in found and found[name] != value:
      raise command_line.UsageError(
        f'--{name}={value} and --config.{name}={found[name]} differ; give one '
        'of them.'
      )
    found[name] = value
  return _PRESET.value, found


def check(fields: Mapping[str, Any], agent: str) -> None:
  """Rejects fields that do not belong to an agent.

  Args:
    fields: from `given`.
    agent: one of `catalogue.NAMES`.

  Raises:
    UsageError: if a field does not belong to the agent.
  """
  known = settings.fields_of(agent)
  for path, value in fields.items():
    name = path.split('.')[0]
    if name not in known:
      others = [x for x in catalogue.NAMES if name in settings.fields_of(x)]
      raise command_line.UsageError(
        f'{path}={value} is not a setting of --agent={agent}; leave it out, or '
        f'choose --agent={" or ".join(others)}.'
      )

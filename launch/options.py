"""The flags of a run, and the settings made of them."""

import dataclasses
import json
from typing import Any

from absl import flags

from agents import catalogue
from agents import experiment as experiments
from agents import settings
from ald_acme.environments import registry
from ald_acme.networks import sizes
from launch import command_line
from launch import config_file
from launch import trust

flags.adopt_module_key_flags(trust)

_AGENT = flags.DEFINE_enum(
  'agent',
  None,
  catalogue.NAMES,
  f'What learns; by default {catalogue.ALD}. '
  + '; '.join(f'{name}: {catalogue.about(name)}' for name in catalogue.NAMES)
  + '.',
)
_ENVIRONMENT = flags.DEFINE_string(
  'environment',
  None,
  'What to learn: a name that comes with the package (i_maze, the default), or '
  'package.module:factory of a dm_env environment; list '
  'prints what there is.',
)
_ENVIRONMENT_KWARGS = flags.DEFINE_string(
  'environment_kwargs',
  None,
  'Arguments of the environment, such as size=15,limit=250.',
)
_NETWORK_FACTORY = flags.DEFINE_string(
  'network_factory',
  None,
  'package.module:function that makes the networks from an '
  "acme.specs.EnvironmentSpec, instead of the agent's own.",
)
_CONFIG_FILE = flags.DEFINE_string(
  'config_file',
  None,
  'Settings from a file: the config.json of a run, or JSON or YAML with fields '
  'of --config by name. Flags override it.',
)
_WANDB_PROJECT = flags.DEFINE_string(
  'wandb_project',
  None,
  'Also log to this project of Weights & Biases (extra wandb); needs '
  '--isolate=off, or WANDB_MODE=offline.',
)
_WORKDIR = flags.DEFINE_string(
  'workdir',
  None,
  "The run's folder; by default a new one under runs/. A folder that holds a "
  'run is refused unless --resume is given.',
)
_RESUME = flags.DEFINE_bool(
  'resume', False, 'Continue the run in --workdir from its last checkpoint.'
)
_PRESET = flags.DEFINE_enum(
  'preset',
  None,
  sorted(sizes.PRESETS),
  'Sizes of both networks: small learns on a CPU (the default), paper wants an '
  'accelerator, tiny is for tests.',
)
# Fields that have a flag without the prefix, too.
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
_NETWORKS = 'networks'
_NO_VALUE = 'none'  # As the command line says None.


class _OptionalFloat(flags.ArgumentParser):
  """Reads a number, or 'none'."""

  syntactic_help = 'a number, or none'

  def parse(self, argument: str | float) -> str | float:
    return _NO_VALUE if argument == _NO_VALUE else float(argument)

  def flag_type(self) -> str:
    return 'float or none'


def _define_optional(name: str, default: float | None, about: str):
  """Defines a flag that takes a number or 'none'."""
  serializer = flags.ArgumentSerializer()
  flags.DEFINE(_OptionalFloat(), name, default, about, serializer=serializer)


_DEFINE = {
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
  'Not a flag itself: write --config.<field>=<value> for a field of the '
  "agent's or the run's settings.",
)


def _define(flag: str, field: dataclasses.Field, more: str = ''):
  """Defines the flag of a field from its type, range and help."""
  about = f'{field.metadata["about"]} By default {_default(field)}.{more}'
  _DEFINE[field.type](flag, None, about)


def _default(field: dataclasses.Field) -> str:
  """The default, and the agents that have another."""
  others = {}
  if _FIELDS.get(field.name) is field:
    for agent in catalogue.NAMES:
      own = settings.fields_of(agent).get(field.name, field).default
      if own != field.default:
        others.setdefault(_text(own), []).append(agent)
  more = (f'{value} for {", ".join(names)}' for value, names in others.items())
  return ' and '.join([_text(field.default), *more])


def _text(value: Any) -> str:
  if value is None:
    return _NO_VALUE
  if isinstance(value, bool):
    return str(value).lower()
  return f'{value:,}' if isinstance(value, int | float) else str(value)


def _define_config() -> list[str]:
  """Defines --config.<field> of every field; gives the fields' paths."""
  paths = {name: f for name, f in _FIELDS.items() if name != _NETWORKS}
  for field in dataclasses.fields(sizes.NetworkSizes):
    paths[f'{_NETWORKS}.{field.name}'] = field
  for path, field in paths.items():
    _define(f'config.{path}', field)
  return list(paths)


def _parse_bool(text: str) -> bool:
  return flags.BooleanParser().parse(text)


_PARSE = {
  float | None: lambda text: None if text == _NO_VALUE else float(text),
  bool: _parse_bool,
}


def field_of(path: str) -> dataclasses.Field:
  """The field of a path, such as 'discount' or 'networks.lstm'."""
  within, _, name = path.rpartition('.')
  if within:
    return {f.name: f for f in dataclasses.fields(sizes.NetworkSizes)}[name]
  return _FIELDS[name]


def parse_value(field: dataclasses.Field, text: str) -> Any:
  """A value of a field, from text.

  Raises:
    ValueError: if it is not of the field's type.
  """
  return _PARSE.get(field.type, field.type)(text)


_PATHS = _define_config()
for _name in _SHORTHANDS:
  _define(_name, _FIELDS[_name], f' Same as --config.{_name}.')


@dataclasses.dataclass
class Options:
  """A command line, read and checked.

  Attributes:
    agent: its name.
    environment: name of the environment.
    environment_kwargs: its arguments, as they were given.
    environment_arguments: the same, read.
    workdir: of the run, None for a new one.
    resume: whether to continue the run in `workdir`.
    config: of the agent.
    experiment: of the run.
    network_factory: import path of what makes the networks; None for the
      agent's own.
    wandb_project: project of Weights & Biases; None for none.
    specs: of the environment; None until one was made.
  """

  agent: str
  environment: str
  environment_kwargs: str
  environment_arguments: dict[str, Any]
  workdir: str | None
  resume: bool
  config: Any
  experiment: experiments.ExperimentConfig
  network_factory: str | None
  wandb_project: str | None
  specs: registry.Specs | None = None

  @property
  def settings(self) -> settings.Settings:
    """Everything that can be set, together."""
    return settings.Settings(self.agent, self.config, self.experiment)


def read(saved: dict[str, Any] | None = None) -> Options:
  """The options that the parsed flags give.

  Args:
    saved: contents of the config.json of the run to continue; what the command
      line does not name stays as it was there.

  Raises:
    UsageError: if a field is out of range, or may not change when resuming.
  """
  try:
    chosen = _read_file(saved)
    agent = _agent(saved, chosen)
    given = _given(agent)
    if saved is not None:
      fields = settings.read(agent, saved).flat()
    elif chosen:
      fields = config_file.fields(chosen, agent, _CONFIG_FILE.value)
    else:
      fields = settings.make(agent, {}).flat()
    if _PRESET.value:
      fields[_NETWORKS] = dataclasses.asdict(sizes.PRESETS[_PRESET.value])
    for path, value in given.items():
      *folders, name = path.split('.')
      holder = fields
      for folder in folders:
        holder = holder[folder]
      holder[name] = None if value == _NO_VALUE else value
    made = settings.make(agent, fields)
  except ValueError as error:
    raise command_line.UsageError(str(error)) from error
  if _WORKDIR.value == '':
    raise command_line.UsageError(
      "--workdir must name a folder, but received ''; leave it out for a new "
      'folder under runs/.'
    )
  named = _named(saved, chosen, made)
  environment, kwargs = named['environment'], named['environment_kwargs']
  try:
    arguments = registry.parse_arguments(kwargs or '')
  except ValueError as error:
    raise command_line.UsageError(str(error)) from error
  return Options(
    agent=agent,
    environment='i_maze' if environment is None else environment,
    environment_kwargs=kwargs or '',
    environment_arguments=arguments,
    workdir=_WORKDIR.value,
    resume=_RESUME.value,
    config=made.config,
    experiment=made.experiment,
    network_factory=named['network_factory'],
    wandb_project=named['wandb_project'],
  )


def _read_file(saved: dict[str, Any] | None) -> dict[str, Any]:
  """What --config_file sets; nothing without it."""
  if _CONFIG_FILE.value is None:
    return {}
  if saved is not None:
    raise command_line.UsageError(
      f'--config_file={_CONFIG_FILE.value} is not for --resume, which reads '
      "the run's own config.json; leave it out."
    )
  return config_file.read(_CONFIG_FILE.value)


def _named(
  saved: dict[str, Any] | None,
  chosen: dict[str, Any],
  made: settings.Settings,
) -> dict[str, Any]:
  """The values of `config_file.NAMES` without the agent: flags override files.

  Raises:
    UsageError: if a run would be resumed with something else, or code that a
      file names is not trusted.
  """
  given = {name: flags.FLAGS[name].value for name in config_file.NAMES[1:]}
  if saved is not None:
    _check_same(saved, given, made)
    trust.require(saved)
    source = saved
  else:
    own = {'environment', 'environment_kwargs'} & chosen.keys()
    if given['environment'] not in (None, chosen.get('environment')):
      chosen = {k: v for k, v in chosen.items() if k not in own}
    source = chosen
    trust.require(
      {k: v for k, v in source.items() if given.get(k, True) is None}
    )
  return {k: source.get(k) if v is None else v for k, v in given.items()}


def _given(agent: str) -> dict[str, Any]:
  """The fields that the command line sets, by path.

  Raises:
    UsageError: if one is not a field of the agent's, or is set twice.
  """
  if _CONFIG.value is not None:
    raise command_line.UsageError(
      f'--config={_CONFIG.value} names no field; write '
      '--config.<field>=<value>.'
    )
  given = {
    path: flags.FLAGS[f'config.{path}'].value
    for path in _PATHS
    if flags.FLAGS[f'config.{path}'].present
  }
  if _PRESET.value and any(path.startswith(_NETWORKS) for path in given):
    raise command_line.UsageError(
      '--preset and --config.networks both set the sizes of the networks; '
      'give one of them.'
    )
  for name in _SHORTHANDS:
    value = flags.FLAGS[name].value
    if value is None:
      continue
    if name in given and given[name] != value:
      raise command_line.UsageError(
        f'--{name}={value} and --config.{name}={given[name]} differ; give one '
        'of them.'
      )
    given[name] = value
  known = settings.fields_of(agent)
  for path, value in given.items():
    name = path.split('.')[0]
    if name not in known:
      others = [x for x in catalogue.NAMES if name in settings.fields_of(x)]
      raise command_line.UsageError(
        f'{path}={value} is not a setting of --agent={agent}; leave it out, or '
        f'choose --agent={" or ".join(others)}.'
      )
  return given


def _agent(saved: dict[str, Any] | None, chosen: dict[str, Any]) -> str:
  name, begun_with = _AGENT.value, (saved or {}).get('agent')
  if name and begun_with and name != begun_with:
    raise command_line.UsageError(
      f'--agent={name} is not what the run was begun with ({begun_with!r}); '
      'leave it out, or begin a new run.'
    )
  if begun_with and begun_with not in catalogue.NAMES:
    raise command_line.UsageError(
      f'config.json is not of this version of ald_acme: agent must be one of '
      f'{", ".join(catalogue.NAMES)}, but received {begun_with!r}.'
    )
  return begun_with or name or chosen.get('agent') or catalogue.ALD


def _check_same(
  saved: dict[str, Any], given: dict[str, Any], made: settings.Settings
):
  """Refuses settings that do not fit the checkpoint to resume from."""
  for name in ('environment', 'environment_kwargs', 'network_factory'):
    if given[name] is not None and given[name] != saved.get(name):
      raise command_line.UsageError(
        f'--{name}={given[name]} is not what the run was begun with '
        f'({saved.get(name)!r}); leave it out, or begin a new run.'
      )
  now, then = made.flat(), settings.read(made.agent, saved).flat()
  for name in (_NETWORKS, 'loss', 'seed'):
    if now[name] != then[name]:
      raise command_line.UsageError(
        f'{name} cannot change when a run is resumed: its checkpoints were '
        f'made with {json.dumps(then[name])}, but received '
        f'{json.dumps(now[name])}; leave it out, or begin a new run.'
      )

"""The flags of a run, and the configuration that they make."""

import dataclasses
import json
from typing import Any

from absl import flags
from ml_collections import config_flags

from agents import catalogue
from agents.ald import config as ald_config
from ald_acme.environments import registry
from ald_acme.networks import sizes
from launch import command_line
from launch import trust

flags.adopt_module_key_flags(trust)

_AGENT = flags.DEFINE_enum(
  'agent',
  None,
  catalogue.NAMES,
  'What learns: ald (the default); lstm or gtrxl, one network that acts and '
  'learns; asymmetric, an LSTM that acts with a GTrXL as its critic; '
  'memoryless, a network that sees the present alone.',
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
# Shorthands for fields of the configuration.
_SHORTHANDS = {
  'seed': (flags.DEFINE_integer, 'Seeds every node.'),
  'max_frames': (flags.DEFINE_integer, 'Stop after these frames; 0: never.'),
  'target_return': (
    flags.DEFINE_float,
    'Stop when an evaluation of the actor reaches this return; 0: never.',
  ),
  'num_actors': (flags.DEFINE_integer, 'Actor processes.'),
  'envs_per_actor': (flags.DEFINE_integer, 'Environments of each actor.'),
  'num_distillers': (flags.DEFINE_integer, 'Distiller processes (N_D).'),
  'dprl': (
    flags.DEFINE_float,
    'Distillation updates per learner update; may be a fraction.',
  ),
}
for _name, (_define, _help) in _SHORTHANDS.items():
  _default = getattr(ald_config.ALDConfig, _name)
  _define(
    _name,
    None,
    f'{_help} By default {_default:,}. Same as --config.{_name}.',
  )


def _define_config():
  """Defines --config; it is this that looks for unknown fields."""
  try:
    return config_flags.DEFINE_config_dataclass(
      'config',
      ald_config.ALDConfig(),
      'Any field of the configuration, such as --config.discount=0.98 or '
      '--config.networks.lstm=128.',
    )
  except (flags.Error, KeyError, TypeError, ValueError) as error:
    command_line.fail(command_line.text(error), status=2)


_CONFIG = _define_config()


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
  """

  agent: str
  environment: str
  environment_kwargs: str
  environment_arguments: dict[str, Any]
  workdir: str | None
  resume: bool
  config: ald_config.ALDConfig


def read(saved: dict[str, Any] | None = None) -> Options:
  """The options that the parsed flags give.

  Args:
    saved: contents of the config.json of the run to continue; what the command
      line does not name stays as it was there.

  Raises:
    UsageError: if a field is out of range, or may not change when resuming.
  """
  config = _CONFIG.value
  given = dict(config_flags.get_override_values(flags.FLAGS['config']))
  if saved is not None:
    config = _from_dict(saved['config'])
    for path, value in given.items():
      *folders, name = path.split('.')
      holder = config
      for folder in folders:
        holder = getattr(holder, folder)
      setattr(holder, name, value)
  if _PRESET.value:
    if any(path.startswith('networks') for path in given):
      raise command_line.UsageError(
        '--preset and --config.networks both set the sizes of the networks; '
        'give one of them.'
      )
    config.networks = dataclasses.replace(sizes.PRESETS[_PRESET.value])
  for name in _SHORTHANDS:
    value = flags.FLAGS[name].value
    if value is None:
      continue
    if name in given and given[name] != value:
      raise command_line.UsageError(
        f'--{name}={value} and --config.{name}={given[name]} differ; give one '
        'of them.'
      )
    setattr(config, name, value)
    given[name] = value
  agent = _agent(saved)
  if agent != catalogue.ALD:
    for name in ald_config.DISTILLATION_FIELDS:
      if name in given:
        raise command_line.UsageError(
          f'{name}={given[name]} is of distillation, which --agent={agent} '
          'does not do; leave it out, or choose --agent=ald.'
        )
    # Their data is their own: a pull towards it would only slow them.
    if saved is None and 'regulariser_cost' not in given:
      config.regulariser_cost = 0.0
  try:
    config.validate()
  except ValueError as error:
    raise command_line.UsageError(str(error)) from error
  if _WORKDIR.value == '':
    raise command_line.UsageError(
      "--workdir must name a folder, but received ''; leave it out for a new "
      'folder under runs/.'
    )
  environment, kwargs = _ENVIRONMENT.value, _ENVIRONMENT_KWARGS.value
  if saved is not None:
    _check_same(saved, environment, kwargs, config)
    trust.require(saved['environment'], environment)
    environment, kwargs = saved['environment'], saved['environment_kwargs']
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
    config=config,
  )


def _agent(saved: dict[str, Any] | None) -> str:
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
  return begun_with or name or catalogue.ALD


def _from_dict(fields: dict[str, Any]) -> ald_config.ALDConfig:
  try:
    return ald_config.from_dict(fields)
  except ValueError as error:
    raise command_line.UsageError(str(error)) from error


def _check_same(saved, environment, kwargs, config):
  """Refuses to resume with what a checkpoint does not fit."""
  for name, value in (
    ('environment', environment),
    ('environment_kwargs', kwargs),
  ):
    if value is not None and value != saved[name]:
      raise command_line.UsageError(
        f'--{name}={value} is not what the run was begun with '
        f'({saved[name]!r}); leave it out, or begin a new run.'
      )
  begun_with = dataclasses.asdict(_from_dict(saved['config']))
  for name in ('networks', 'loss', 'seed'):
    now = dataclasses.asdict(config)[name]
    if now != begun_with[name]:
      raise command_line.UsageError(
        f'{name} cannot change when a run is resumed: its checkpoints were '
        f'made with {json.dumps(begun_with[name])}, but received '
        f'{json.dumps(now)}; leave it out, or begin a new run.'
      )

"""The flags of a run, and the configuration that they make."""

from collections.abc import Sequence
import dataclasses
import json
import sys
from typing import Any

from absl import flags
from ml_collections import config_flags

from agents.ald import config as ald_config
from ald_acme.networks import sizes

_ENVIRONMENT = flags.DEFINE_string(
  'environment',
  None,
  'What to learn: a name that comes with the package (i_maze, the default), or '
  'package.module:factory of a dm_env environment with discrete actions.',
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
  'accelerator.',
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
  _define(_name, None, f'{_help} Same as --config.{_name}.')


def fail(message: str, status: int):
  """Ends the program with one line that says what is wrong."""
  more = ' (--help lists the options)' if status == 2 else ''
  print(f'error: {" ".join(message.split())}{more}', file=sys.stderr)
  sys.exit(status)


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
    fail(_text(error), status=2)


def _text(error: Exception) -> str:
  """What an error of the command line says, for people."""
  text = str(error.args[0]) if isinstance(error, KeyError) else str(error)
  text, dataclass, _ = text.partition(' on dataclass')
  if dataclass:
    text = f'{text} in the configuration: look for the name after --config'
  return text.removesuffix('.')


_CONFIG = _define_config()


class UsageError(ValueError):
  """The command line cannot be carried out; the text says why."""


@dataclasses.dataclass
class Options:
  """A command line, read and checked.

  Attributes:
    environment: name of the environment.
    environment_kwargs: its arguments as text.
    workdir: of the run, None for a new one.
    resume: whether to continue the run in `workdir`.
    config: of the agent.
  """

  environment: str
  environment_kwargs: str
  workdir: str | None
  resume: bool
  config: ald_config.ALDConfig


def parse(argv: Sequence[str]) -> list[str]:
  """Parses the command line; ends the program with status 2 if it is wrong."""
  if {'--help', '-h', '--helpshort'} & set(argv):  # absl's ends with status 1.
    print(sys.modules['__main__'].__doc__)
    print(flags.FLAGS.main_module_help())
    sys.exit(0)
  try:
    rest = flags.FLAGS(list(argv))
  except (
    flags.Error,
    OSError,  # A --flagfile that is not there.
    ValueError,
    TypeError,
    AttributeError,
    KeyError,
  ) as error:
    fail(_text(error), status=2)
  if len(rest) > 1:
    fail(f'unknown argument {rest[1]!r}: every option begins with --', status=2)
  return rest


def read(saved: dict[str, Any] | None = None) -> Options:
  """The options that the parsed flags give.

  Args:
    saved: contents of the config.json of the run to continue; what the command
      line does not name stays as it was there.

  Raises:
    UsageError: if a field is out of range, or may not change when resuming.
  """
  config = _CONFIG.value
  given = config_flags.get_override_values(flags.FLAGS['config'])
  if saved is not None:
    config = from_dict(saved['config'])
    for path, value in given.items():
      *folders, name = path.split('.')
      holder = config
      for folder in folders:
        holder = getattr(holder, folder)
      setattr(holder, name, value)
  if _PRESET.value:
    if any(path.startswith('networks') for path in given):
      raise UsageError(
        '--preset and --config.networks both set the sizes of the networks; '
        'give one of them.'
      )
    config.networks = dataclasses.replace(sizes.PRESETS[_PRESET.value])
  for name in _SHORTHANDS:
    value = flags.FLAGS[name].value
    if value is None:
      continue
    if name in given and given[name] != value:
      raise UsageError(
        f'--{name}={value} and --config.{name}={given[name]} differ; give one '
        'of them.'
      )
    setattr(config, name, value)
  try:
    config.validate()
  except ValueError as error:
    raise UsageError(str(error)) from error
  environment, kwargs = _ENVIRONMENT.value, _ENVIRONMENT_KWARGS.value
  if saved is not None:
    _check_same(saved, environment, kwargs, config)
    environment, kwargs = saved['environment'], saved['environment_kwargs']
  return Options(
    environment=environment or 'i_maze',
    environment_kwargs=kwargs or '',
    workdir=_WORKDIR.value,
    resume=_RESUME.value,
    config=config,
  )


def from_dict(fields: dict[str, Any]) -> ald_config.ALDConfig:
  """The configuration that `dataclasses.asdict` gave.

  Raises:
    UsageError: if it is not one of this version.
  """
  fields = dict(fields)
  try:
    networks = sizes.NetworkSizes(**fields.pop('networks'))
    return ald_config.ALDConfig(networks=networks, **fields)
  except (KeyError, TypeError, ValueError) as error:
    raise UsageError(
      f'config.json is not of this version of ald_acme: {error}'
    ) from error


def _check_same(saved, environment, kwargs, config):
  """Refuses to resume with what a checkpoint does not fit."""
  for name, value in (
    ('environment', environment),
    ('environment_kwargs', kwargs),
  ):
    if value is not None and value != saved[name]:
      raise UsageError(
        f'--{name}={value} is not what the run was begun with '
        f'({saved[name]!r}); leave it out, or begin a new run.'
      )
  for name in ('networks', 'loss', 'seed'):
    now = dataclasses.asdict(config)[name]
    if now != dataclasses.asdict(from_dict(saved['config']))[name]:
      raise UsageError(
        f'{name} cannot change when a run is resumed: its checkpoints were '
        f'made with {json.dumps(saved["config"][name])}, but received '
        f'{json.dumps(now)}; leave it out, or begin a new run.'
      )

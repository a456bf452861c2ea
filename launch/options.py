"""The flags of a run, and its settings."""

from collections.abc import Mapping
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
from launch import field_flags
from launch import trust

for _module in (field_flags, trust):
  flags.adopt_module_key_flags(_module)

_AGENT = flags.DEFINE_enum(
  'agent',
  None,
  catalogue.NAMES,
  f'Agent to train; by default {catalogue.ALD}. '
  + '; '.join(f'{name}: {catalogue.about(name)}' for name in catalogue.NAMES)
  + '.',
)
_ENVIRONMENT = flags.DEFINE_string(
  'environment',
  None,
  'Environment: a name of the package (i_maze, the default), or '
  'package.module:factory of a dm_env environment; list prints all.',
)
_ENVIRONMENT_KWARGS = flags.DEFINE_string(
  'environment_kwargs',
  None,
  'Arguments of the environment, such as size=15,limit=250.',
)
_NETWORK_FACTORY = flags.DEFINE_string(
  'network_factory',
  None,
  'package.module:function that creates the networks from an '
  'acme.specs.EnvironmentSpec, instead of the default ones.',
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
  'run is rejected unless --resume is given.',
)
_RESUME = flags.DEFINE_bool(
  'resume', False, 'Continue the run in --workdir from its last checkpoint.'
)


@dataclasses.dataclass(frozen=True)
class Given:
  """The flags of a run as given; None for those that were left out.

  Attributes:
    agent: name of the agent.
    environment: name of the environment.
    environment_kwargs: the environment's arguments, as text.
    network_factory: import path of the network factory.
    wandb_project: project of Weights & Biases.
    config_file: path of a file of settings.
    workdir: the run's folder.
    resume: whether to continue the run in `workdir`.
    trusted: whether code that only a file names may be imported.
    preset: name of the sizes of both networks.
    fields: fields of agent and run by path; `field_flags.NO_VALUE` stands for
      None.
  """

  agent: str | None
  environment: str | None
  environment_kwargs: str | None
  network_factory: str | None
  wandb_project: str | None
  config_file: str | None
  workdir: str | None
  resume: bool
  trusted: bool
  preset: str | None
  fields: Mapping[str, Any]


def given() -> Given:
  """The parsed flags of a run.

  Raises:
    UsageError: if a field is set twice.
  """
  preset, fields = field_flags.given()
  _, trusted = trust.given()
  return Given(
    agent=_AGENT.value,
    environment=_ENVIRONMENT.value,
    environment_kwargs=_ENVIRONMENT_KWARGS.value,
    network_factory=_NETWORK_FACTORY.value,
    wandb_project=_WANDB_PROJECT.value,
    config_file=_CONFIG_FILE.value,
    workdir=_WORKDIR.value,
    resume=_RESUME.value,
    trusted=trusted,
    preset=preset,
    fields=fields,
  )


@dataclasses.dataclass
class Options:
  """A parsed and checked command line.

  Attributes:
    agent: name of the agent.
    environment: name of the environment.
    environment_kwargs: the environment's arguments, as text.
    environment_arguments: the environment's arguments, parsed.
    workdir: the run's folder; None for a new one.
    resume: whether to continue the run in `workdir`.
    config: the agent's configuration.
    experiment: the run's configuration.
    network_factory: import path of the network factory; None for the default
      networks.
    wandb_project: project of Weights & Biases; None for none.
    specs: specs of the environment; None until one was created.
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
    """The settings of agent and run."""
    return settings.Settings(self.agent, self.config, self.experiment)


def read(given: Given, saved: dict[str, Any] | None = None) -> Options:
  """Creates the options from the given flags.

  Args:
    given: the flags.
    saved: content of config.json of the run to resume, whose values are the
      defaults.

  Raises:
    UsageError: if a field is out of range, or may not change when resuming.
  """
  try:
    chosen = _read_file(given.config_file, saved)
    agent = _agent(given.agent, saved, chosen)
    field_flags.check(given.fields, agent)
    if saved is not None:
      fields = settings.read(agent, saved).flat()
    elif given.config_file is not None:
      fields = config_file.fields(chosen, agent, given.config_file)
    else:
      fields = settings.make(agent, {}).flat()
    if given.preset is not None:
      fields[field_flags.NETWORKS] = dataclasses.asdict(
        sizes.PRESETS[given.preset]
      )
    for path, value in given.fields.items():
      *folders, name = path.split('.')
      holder = fields
      for folder in folders:
        holder = holder[folder]
      holder[name] = None if value == field_flags.NO_VALUE else value
    made = settings.make(agent, fields)
  except ValueError as error:
    raise command_line.UsageError(str(error)) from error
  if given.workdir == '':
    raise command_line.UsageError(
      "--workdir must name a folder, but received ''; leave it out for a new "
      'folder under runs/.'
    )
  named = _named(given, saved, chosen, made)
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
    workdir=given.workdir,
    resume=given.resume,
    config=made.config,
    experiment=made.experiment,
    network_factory=named['network_factory'],
    wandb_project=named['wandb_project'],
  )


def _read_file(
  path: str | None, saved: dict[str, Any] | None
) -> dict[str, Any]:
  """The settings of --config_file, if given."""
  if path is None:
    return {}
  if saved is not None:
    raise command_line.UsageError(
      f'--config_file={path} cannot be combined with --resume, '
      "which reads the run's own config.json; leave it out."
    )
  return config_file.read(path)


def _named(
  given: Given,
  saved: dict[str, Any] | None,
  chosen: dict[str, Any],
  made: settings.Settings,
) -> dict[str, Any]:
  """The values of `config_file.NAMES` except the agent; flags override files.

  Raises:
    UsageError: if they differ from the resumed run's, or a file names untrusted
      code.
  """
  named = {name: getattr(given, name) for name in config_file.NAMES[1:]}
  if saved is not None:
    _check_same(saved, named, made)
    trust.require(saved, named, given.trusted)
    source = saved
  else:
    own = {'environment', 'environment_kwargs'} & chosen.keys()
    if given.environment not in (None, chosen.get('environment')):
      chosen = {k: v for k, v in chosen.items() if k not in own}
    source = chosen
    trust.require(
      {k: v for k, v in source.items() if named.get(k, True) is None},
      named,
      given.trusted,
    )
  return {k: source.get(k) if v is None else v for k, v in named.items()}


def _agent(
  name: str | None, saved: dict[str, Any] | None, chosen: dict[str, Any]
) -> str:
  begun_with = (saved or {}).get('agent')
  if name and begun_with and name != begun_with:
    raise command_line.UsageError(
      f"--agent={name} differs from the run's ({begun_with!r}); leave it out, "
      'or start a new run.'
    )
  if begun_with and begun_with not in catalogue.NAMES:
    raise command_line.UsageError(
      f'config.json is not of this version of ald_acme: agent must be one of '
      f'{", ".join(catalogue.NAMES)}, but received {begun_with!r}.'
    )
  return begun_with or name or chosen.get('agent') or catalogue.ALD


def _check_same(
  saved: dict[str, Any], named: dict[str, Any], made: settings.Settings
) -> None:
  """Rejects settings that do not match the checkpoint to resume from."""
  for name in ('environment', 'environment_kwargs', 'network_factory'):
    if named[name] is not None and named[name] != saved.get(name):
      raise command_line.UsageError(
        f"--{name}={named[name]} differs from the run's ({saved.get(name)!r}); "
        'leave it out, or start a new run.'
      )
  now, then = made.flat(), settings.read(made.agent, saved).flat()
  for name in (field_flags.NETWORKS, 'loss', 'seed'):
    if now[name] != then[name]:
      was, received = then[name], now[name]
      if isinstance(was, dict):  # Show only what differs.
        keys = [key for key in received if received[key] != was[key]]
        was, received = ({k: x[k] for k in keys} for x in (was, received))
      raise command_line.UsageError(
        f'{name} cannot change in a resumed run: it was '
        f'{json.dumps(was)}, but received {json.dumps(received)}; '
        'leave it out, or start a new run.'
      )

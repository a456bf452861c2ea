"""Prepares a run: from its command line to its program."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import importlib.metadata
import os
import platform
import sys
import typing

from agents import catalogue
from ald_acme.environments import registry
from ald_acme.environments.interface import observed
from ald_acme.runs import checkpoints
from ald_acme.runs import files
from ald_acme.runs import folder as run_folder
from launch import command_line
from launch import limits
from launch import options
from launch import provenance

if typing.TYPE_CHECKING:
  from typing import TextIO

  import launchpad as lp

  from ald_acme.runs import metrics

_LIBRARIES = (
  'ald-acme',
  'dm-acme',
  'dm-launchpad',
  'dm-reverb',
  'dm-sonnet',
  'tensorflow',
  'numpy',
)


class Prepared(typing.NamedTuple):
  """A run that is ready to start.

  Attributes:
    options: the run's options.
    folder: the run's folder.
    lock: the folder's lock.
    checkpoint: path of the checkpoint to resume from; None for a new run.
    saved: earlier content of config.json; None for a new run.
  """

  options: options.Options
  folder: run_folder.RunFolder
  lock: TextIO
  checkpoint: str | None
  saved: dict[str, typing.Any] | None

  def rollback(self) -> None:
    """Restores the folder as it was before `prepare`."""
    if self.saved is not None:
      files.write_json(self.folder.config, self.saved)
      return
    for path in (self.folder.config, self.lock.name):
      os.remove(path)
    for path in (self.folder.logs, self.folder.path):
      with contextlib.suppress(OSError):  # It holds other files.
        os.rmdir(path)


def prepare(
  given: options.Given, local: bool = True, dry_run: bool = False
) -> Prepared:
  """Checks as much as possible before a process starts.

  Args:
    given: the flags of the run.
    local: whether all nodes run on this machine.
    dry_run: whether nothing will start; the folder can then be used again.

  Raises:
    UsageError: if the command line is invalid.
    ValueError: if the folder cannot be used.
  """
  saved = checkpoint = None
  if given.resume:
    if not given.workdir:
      raise command_line.UsageError(
        '--resume needs --workdir, the folder of the run to resume.'
      )
    folder = run_folder.RunFolder(os.path.abspath(given.workdir))
    limits.check_disk(folder.path)
    lock = folder.reopen()
    saved = folder.read_config()
  opts = options.read(given, saved)
  limits.check(opts.settings, local, opts.network_factory)
  try:
    specs = registry.check(opts.environment, opts.environment_arguments)
    opts.specs = specs
    seen = getattr(opts.config, 'actor_observations', '')
    observed.parse(seen, specs.observations)
    _check_extensions(opts, specs)
  except ValueError as error:
    raise command_line.UsageError(str(error)) from error
  if saved is not None:
    checkpoint = newest_checkpoint(folder, opts.experiment.max_frames)
  else:
    limits.check_disk(opts.workdir or '.')
    workdir = opts.workdir or run_folder.make_default(opts.agent)
    folder = run_folder.RunFolder(os.path.abspath(workdir))
    lock = folder.create()
  description = _description(opts, saved)
  if dry_run and saved is None:
    description['dry_run'] = True
  files.write_json(folder.config, description)
  return Prepared(opts, folder, lock, checkpoint, saved)


def _check_extensions(opts: options.Options, checked: registry.Specs) -> None:
  """Checks custom networks and Weights & Biases, if a run has them.

  Args:
    opts: the run's options.
    checked: specs of the environment.

  Raises:
    ValueError: if the networks cannot be created, or the package is missing.
  """
  if opts.network_factory is not None:
    from acme import specs  # Takes seconds, and its networks TensorFlow.

    builder = catalogue.make_builder(
      opts.agent, opts.config, opts.network_factory
    )
    builder.make_networks(specs.EnvironmentSpec(*checked))
  if opts.wandb_project is not None:
    from ald_acme.runs import weights_and_biases

    weights_and_biases.check()


def newest_checkpoint(
  folder: run_folder.RunFolder, max_frames: int
) -> str | None:
  """Path of the checkpoint to resume from; None if there is none yet.

  Raises:
    UsageError: if the run is already complete.
    ValueError: if no checkpoint can be read.
  """
  found = checkpoints.CheckpointFolder(folder.checkpoints)
  checkpoint = found.latest()
  if checkpoint is None:
    if found.paths():
      raise ValueError(
        f'no checkpoint in {folder.checkpoints} can be read; start a new run '
        'in another workdir.'
      )
    return None
  frames = checkpoint.frames
  if max_frames and frames >= max_frames:
    raise command_line.UsageError(
      f'the run has {frames} frames and max_frames is {max_frames}: it is '
      'complete; raise --max_frames to continue.'
    )
  return checkpoint.path


def _description(opts: options.Options, saved: dict | None) -> dict:
  """The contents of config.json."""
  versions = {'python': platform.python_version()}
  for library in _LIBRARIES:
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
      versions[library] = importlib.metadata.version(library)
  return {
    'agent': opts.agent,
    'environment': opts.environment,
    'environment_kwargs': opts.environment_kwargs,
    'network_factory': opts.network_factory,
    'wandb_project': opts.wandb_project,
    'seed': opts.config.seed,
    'config': opts.settings.flat(),
    'versions': versions,
    'git_commit': provenance.commit(),
    'command': sys.argv,
    'resumed': (saved or {}).get('resumed', 0) + bool(saved),
  }


def make_program(
  opts: options.Options,
  folder: run_folder.RunFolder,
  checkpoint: str | None,
  launched: float,
) -> tuple[lp.Program, lp.CourierHandle]:
  """Creates a run's program; also returns a handle of its monitor.

  Args:
    opts: the run's options.
    folder: the run's folder, as its nodes see it.
    checkpoint: path of the checkpoint to resume from; None for a new run.
    launched: start of the run, seconds since the epoch.
  """
  # Acme and Launchpad take seconds, so only after the checks.
  import acme

  from agents import program

  experiment = opts.experiment
  if experiment.solved_return is None:
    solved = registry.solved_return(
      opts.environment, opts.environment_arguments
    )
    experiment = dataclasses.replace(experiment, solved_return=solved)
  return program.DistributedAgent(
    catalogue.make_builder(opts.agent, opts.config, opts.network_factory),
    functools.partial(
      registry.make, opts.environment, opts.environment_arguments
    ),
    folder,
    experiment,
    environment_spec=opts.specs and acme.specs.EnvironmentSpec(*opts.specs),
    checkpoint=checkpoint,
    logger_factory=_logger_factory(opts, folder),
    launched=launched,
  ).build(opts.agent)


def _logger_factory(
  opts: options.Options, folder: run_folder.RunFolder
) -> metrics.LoggerFactory | None:
  """The logger factory of Weights & Biases; None without a project."""
  if opts.wandb_project is None:
    return None
  from ald_acme.runs import weights_and_biases

  return weights_and_biases.WandbLoggerFactory(
    opts.wandb_project,
    os.path.basename(folder.path),
    folder.path,
    {'agent': opts.agent, **opts.settings.flat()},
  )

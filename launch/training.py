"""A run from its command line to its end, whatever runs its nodes."""

from __future__ import annotations

from collections.abc import Callable
import contextlib
import dataclasses
import functools
import importlib.metadata
import os
import platform
import re
import signal
import sys
import time
import typing

from absl import flags
from rich import console as rich_console

from agents import catalogue
from ald_acme.environments import registry
from ald_acme.runs import checkpoints
from ald_acme.runs import curves
from ald_acme.runs import files
from ald_acme.runs import folder as run_folder
from ald_acme.runs import progress
from launch import command_line
from launch import limits
from launch import options
from launch import provenance

if typing.TYPE_CHECKING:
  from typing import TextIO

  import launchpad as lp

_POLL = 0.25  # Seconds between looks at the nodes.
# Exceptions, and what C++ logs of errors and fatal errors.
_ERROR = re.compile(r'[\w.]*(Error|Exception|Interrupt)\b|[EF]\d{4} ')
_LIBRARIES = (
  'ald-acme',
  'dm-acme',
  'dm-launchpad',
  'dm-reverb',
  'dm-sonnet',
  'tensorflow',
  'numpy',
)


class Supervisor(typing.Protocol):
  """The nodes of a program, by their names."""

  def launch(self):
    """Starts all nodes."""

  def failed(self) -> str | None:
    """The node because of which the program cannot go on, None if it can."""

  def status(self, name: str) -> str:
    """How a node ended, in words."""

  def log(self, name: str) -> str:
    """Path of what a node prints."""

  def request_stop(self, reason: str, failed: bool = False):
    """Has the monitor save and write the end, if it is there to."""

  def stop(self):
    """Ends all nodes that are left, and waits for them."""


class Prepared(typing.NamedTuple):
  """A run that may begin.

  Attributes:
    options: of the run.
    folder: of the run.
    lock: of the folder.
    checkpoint: path of what to go on from, None to begin.
    saved: what config.json said before, None for a new run.
  """

  options: options.Options
  folder: run_folder.RunFolder
  lock: TextIO
  checkpoint: str | None
  saved: dict[str, typing.Any] | None

  def take_back(self):
    """Leaves the folder as it was: the run does not begin."""
    if self.saved is not None:
      files.write_json(self.folder.config, self.saved)
      return
    for path in (self.folder.config, self.lock.name):
      os.remove(path)
    for path in (self.folder.logs, self.folder.path):
      with contextlib.suppress(OSError):  # It holds what others have made.
        os.rmdir(path)


def prepare(local: bool = True, dry_run: bool = False) -> Prepared:
  """Checks everything that can be checked before a process starts.

  Args:
    local: whether all nodes will be on this machine.
    dry_run: whether nothing is to begin; the folder may then be used again.

  Raises:
    UsageError: if the command line cannot be carried out.
    ValueError: if the folder cannot be used.
  """
  workdir = flags.FLAGS.workdir
  saved = checkpoint = None
  if flags.FLAGS.resume:
    if not workdir:
      raise command_line.UsageError(
        '--resume needs --workdir, the folder of the run to continue.'
      )
    folder = run_folder.RunFolder(os.path.abspath(workdir))
    limits.check_disk(folder.path)
    lock = folder.reopen()
    saved = folder.read_config()
  opts = options.read(saved)
  limits.check(opts.config, local)
  try:
    registry.check(opts.environment, opts.environment_arguments)
  except ValueError as error:
    raise command_line.UsageError(str(error)) from error
  if saved is not None:
    checkpoint = newest_checkpoint(folder, opts.config.max_frames)
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


def newest_checkpoint(
  folder: run_folder.RunFolder, max_frames: int
) -> str | None:
  """Path of what to go on from; None if the run ended before its first.

  Raises:
    UsageError: if nothing is left to do.
    ValueError: if no checkpoint can be read.
  """
  found = checkpoints.CheckpointFolder(folder.checkpoints)
  checkpoint = found.latest()
  if checkpoint is None:
    if found.paths():
      raise ValueError(
        f'no checkpoint in {folder.checkpoints} can be read; begin a new run '
        'in another workdir.'
      )
    return None
  frames = checkpoint.frames
  if max_frames and frames >= max_frames:
    raise command_line.UsageError(
      f'the run has {frames} frames and max_frames is {max_frames}: there is '
      'nothing left to do; give a higher --max_frames.'
    )
  return checkpoint.path


def _description(opts: options.Options, saved: dict | None) -> dict:
  """What config.json says of a run."""
  versions = {'python': platform.python_version()}
  for library in _LIBRARIES:
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
      versions[library] = importlib.metadata.version(library)
  return {
    'agent': opts.agent,
    'environment': opts.environment,
    'environment_kwargs': opts.environment_kwargs,
    'seed': opts.config.seed,
    'config': dataclasses.asdict(opts.config),
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
  """The program of a run, and a handle of its monitor.

  Args:
    opts: of the run.
    folder: of the run, as its nodes see it.
    checkpoint: path of the checkpoint to go on from, None to begin.
    launched: when the run began, seconds since the epoch.
  """
  # Acme and Launchpad take seconds; bad input is refused before.
  from agents import program

  builder = catalogue.make_builder(opts.agent, opts.config)
  return program.DistributedAgent(
    builder,
    builder.make_networks,
    functools.partial(
      registry.make, opts.environment, opts.environment_arguments
    ),
    folder,
    checkpoint,
    launched,
  ).build(opts.agent)


def see_through(
  folder: run_folder.RunFolder,
  make_supervisor: Callable[[str], Supervisor],
  console: rich_console.Console,
) -> int:
  """Runs a program to its end, and shows it.

  SIGINT and SIGTERM have it saved and ended. Where a node fails the process
  ends with one line that says why.

  Args:
    folder: of the run, locked.
    make_supervisor: given an empty folder for what the nodes print.
    console: for people.

  Returns:
    Exit status of the process.
  """
  logs = folder.next_node_logs()
  with contextlib.suppress(FileNotFoundError):
    os.remove(folder.progress)

  interrupted = False

  def interrupt(*_):
    nonlocal interrupted
    interrupted = True

  signal.signal(signal.SIGINT, interrupt)
  signal.signal(signal.SIGTERM, interrupt)
  failed = None
  with progress.Display(folder, console) as display:
    display.show(None)
    supervisor = make_supervisor(logs)
    try:
      if not interrupted:
        supervisor.launch()
      while not (failed or interrupted or _has_ended(folder)):
        display.show(_progress(folder))
        time.sleep(_POLL)
        # In this order: nodes may end once the end is written.
        failed = supervisor.failed()
        failed = None if _has_ended(folder) else failed
      # The program's own end sends a signal too: it is no interruption.
      stopped_by_user = not (failed or _has_ended(folder))
      if failed:
        supervisor.request_stop(f'node {failed} failed', failed=True)
      elif stopped_by_user:
        begun = _progress(folder) is not None
        console.print(f'Stopping{": saving a checkpoint" if begun else ""}.')
        supervisor.request_stop('interrupted')
    finally:  # Whatever happens here, no process is left.
      supervisor.stop()
      folder.remove_leftovers()

  paths = checkpoints.CheckpointFolder(folder.checkpoints).paths()
  newest = paths[0] if paths else None
  if _has_ended(folder):
    curves.draw(folder)
    progress.print_summary(
      files.read_json(folder.summary), folder, newest, console
    )
  if failed:
    log = supervisor.log(failed)
    command_line.fail(
      f'node {failed} failed ({supervisor.status(failed)}); its log is {log}, '
      f'and says: {_cause(log)}. The last good checkpoint is '
      f'{newest or "none"}.',
      status=1,
    )
  return command_line.INTERRUPTED if stopped_by_user else 0


def _has_ended(folder: run_folder.RunFolder) -> bool:
  """Whether the monitor has written the end of the run."""
  return (_progress(folder) or {}).get('state') == 'ended'


def _progress(folder: run_folder.RunFolder) -> dict | None:
  try:
    return files.read_json(folder.progress)
  except FileNotFoundError:
    return None


def _cause(path: str) -> str:
  """The line of a node's log that says why it ended, as near as we can tell."""
  try:
    with open(path, encoding='utf-8', errors='replace') as file:
      lines = [line.strip() for line in file if line.strip()]
  except FileNotFoundError:  # It ended before it could say anything.
    lines = []
  errors = [line for line in lines if _ERROR.match(line)]
  return (errors or lines or ['nothing'])[-1][:300].removesuffix('.')

"""Trains an agent on this machine, each part in a process of its own.

Example:
  python launch/local.py --environment_kwargs=size=15,limit=250 --seed=1
"""

import contextlib
import dataclasses
import functools
import importlib.metadata
import os
import platform
import re
import signal
import subprocess
import sys
import time

if __package__ in (None, ''):  # Run as a script: the package is one folder up.
  sys.path.insert(
    0, os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
  )

from launch import bootstrap

bootstrap.prepare()

from absl import app
from absl import flags
from rich import console as rich_console

from agents import catalogue
from ald_acme import checkpoints
from ald_acme import curves
from ald_acme import files
from ald_acme import progress
from ald_acme import run_folder
from ald_acme.environments import registry
from launch import command_line
from launch import options

flags.adopt_module_key_flags(options)

_POLL = 0.25  # Seconds between looks at the processes.
_INTERRUPTED = 130  # Exit status after Ctrl-C, by convention.
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


def main(_) -> int:
  launched = time.time()
  if flags.FLAGS.environment == 'list':
    print(registry.describe())
    return 0
  console = rich_console.Console()
  try:
    opts, folder, lock, checkpoint = _prepare()
  except command_line.UsageError as error:
    command_line.fail(str(error), status=2)
  except ValueError as error:
    command_line.fail(str(error), status=1)
  with lock:
    console.print(
      f'Training {opts.agent} on {opts.environment}'
      f'({opts.environment_kwargs}), seed {opts.config.seed}, in {folder.path}',
      highlight=False,
      markup=False,
      soft_wrap=True,
    )
    return _run(opts, folder, checkpoint, launched, console)


def _prepare():
  """Checks everything that can be checked before a process starts.

  Returns:
    The options, the run's folder and its lock, and the checkpoint to go on
    from, None to begin.
  """
  workdir = flags.FLAGS.workdir
  saved = checkpoint = None
  if flags.FLAGS.resume:
    if not workdir:
      raise command_line.UsageError(
        '--resume needs --workdir, the folder of the run to continue.'
      )
    folder = run_folder.RunFolder(os.path.abspath(workdir))
    lock = folder.reopen()
    saved = folder.read_config()
  opts = options.read(saved)
  try:
    registry.check(opts.environment, opts.environment_arguments)
  except ValueError as error:
    raise command_line.UsageError(str(error)) from error
  if saved is not None:
    checkpoint = _checkpoint(folder, opts.config.max_frames)
  else:
    workdir = opts.workdir or run_folder.make_default(opts.agent)
    folder = run_folder.RunFolder(os.path.abspath(workdir))
    lock = folder.create()
  files.write_json(folder.config, _description(opts, saved))
  return opts, folder, lock, checkpoint


def _checkpoint(
  folder: run_folder.RunFolder, max_frames: int
) -> checkpoints.Checkpoint | None:
  """The checkpoint to go on from; None if the run ended before its first."""
  found = checkpoints.CheckpointFolder(folder.checkpoints)
  checkpoint = found.latest()
  if checkpoint is None and found.paths():
    raise ValueError(
      f'no checkpoint in {folder.checkpoints} can be read; begin a new run in '
      'another workdir.'
    )
  if checkpoint:
    frames = int(checkpoint.state['counts'].get('frames', 0))
    if max_frames and frames >= max_frames:
      raise command_line.UsageError(
        f'the run has {frames} frames and max_frames is {max_frames}: there is '
        'nothing left to do; give a higher --max_frames.'
      )
  return checkpoint


def _description(opts: options.Options, saved: dict | None) -> dict:
  """What config.json says of a run."""
  commit = None
  with contextlib.suppress(OSError):  # There may be no git.
    commit = subprocess.run(
      ['git', '-C', bootstrap.ROOT, 'rev-parse', 'HEAD'],
      capture_output=True,
      text=True,
      check=False,
    ).stdout.strip()
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
    'git_commit': commit or None,
    'command': sys.argv,
    'resumed': (saved or {}).get('resumed', 0) + bool(saved),
  }


def _run(opts, folder, checkpoint, launched, console) -> int:
  """Launches the program, shows it, and sees to its end."""
  node_logs = folder.next_node_logs()
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
    # Imported here, so that a wrong command line is refused at once.
    from agents import supervision

    supervision.start_fork_server()
    from agents import program as agents_program

    builder = catalogue.make_builder(opts.agent, opts.config)
    program, watcher = agents_program.DistributedAgent(
      builder,
      builder.make_networks,
      functools.partial(
        registry.make,
        opts.environment,
        opts.environment_arguments,
      ),
      folder,
      checkpoint.path if checkpoint else None,
      launched,
    ).build(opts.agent)
    supervisor = supervision.Supervisor(
      program, agents_program.local_resources(program), watcher, node_logs
    )
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
        console.print('Stopping: saving a checkpoint.')
        supervisor.request_stop('interrupted')
    finally:  # Whatever happens here, no process is left.
      supervisor.stop()

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
  return _INTERRUPTED if stopped_by_user else 0


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
  with open(path, encoding='utf-8', errors='replace') as file:
    lines = [line.strip() for line in file if line.strip()]
  errors = [line for line in lines if _ERROR.match(line)]
  return (errors or lines or ['nothing'])[-1][:300].removesuffix('.')


if __name__ == '__main__':
  app.run(main, flags_parser=command_line.parse)

"""Trains an ALD agent on this machine, each part in a process of its own.

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

from ald_acme import checkpoints
from ald_acme import files
from ald_acme import progress
from ald_acme import run_folder
from ald_acme.environments import registry
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
  console = rich_console.Console()
  try:
    opts, folder, checkpoint = _prepare()
  except options.UsageError as error:
    options.fail(str(error), status=2)
  except ValueError as error:
    options.fail(str(error), status=1)
  console.print(
    f'Training on {opts.environment}({opts.environment_kwargs}), seed '
    f'{opts.config.seed}, in {folder.path}',
    highlight=False,
    soft_wrap=True,
  )
  return _run(opts, folder, checkpoint, launched, console)


def _prepare():
  """Checks everything that can be checked before a process starts."""
  workdir = flags.FLAGS.workdir
  saved = None
  if flags.FLAGS.resume:
    if not workdir:
      raise options.UsageError(
        '--resume needs --workdir, the folder of the run to continue.'
      )
    folder = run_folder.RunFolder(os.path.abspath(workdir))
    folder.reopen()
    saved = folder.read_config()
  opts = options.read(saved)
  try:
    arguments = registry.parse_arguments(opts.environment_kwargs)
    registry.make(opts.environment, arguments, 1, 0).close()
  except ValueError as error:
    raise options.UsageError(str(error)) from error
  checkpoint = None
  if opts.resume:
    checkpoint = checkpoints.CheckpointFolder(folder.checkpoints).latest()
    if checkpoint is None:
      raise ValueError(
        f'{folder.checkpoints} holds no checkpoint that can be read; begin a '
        'new run in another workdir.'
      )
  else:
    folder = run_folder.RunFolder(
      os.path.abspath(opts.workdir or run_folder.default_path('ald'))
    )
    folder.create()
  files.write_json(folder.config, _description(opts, saved))
  return opts, folder, checkpoint


def _description(opts: options.Options, saved: dict | None) -> dict:
  """What config.json says of a run."""
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
    os.remove(folder.summary)

  with progress.Display(folder, console) as display:
    display.show(None)
    # Imported here, so that a wrong command line is refused at once.
    from agents import supervision

    supervision.start_fork_server()
    from agents.ald import builder
    from agents.ald import program as ald_program

    program, watcher = ald_program.DistributedALD(
      builder.ALDBuilder(opts.config),
      functools.partial(
        registry.make,
        opts.environment,
        registry.parse_arguments(opts.environment_kwargs),
      ),
      opts.config,
      folder,
      checkpoint.path if checkpoint else None,
      launched,
    ).build()
    supervisor = supervision.Supervisor(
      program, ald_program.local_resources(program), watcher, node_logs
    )
    interrupted = False

    def interrupt(*_):
      nonlocal interrupted
      interrupted = True

    signal.signal(signal.SIGINT, interrupt)
    signal.signal(signal.SIGTERM, interrupt)
    failed = None
    try:
      supervisor.launch()
      while not failed and not interrupted and not supervisor.ended():
        failed = supervisor.failed()
        display.show(_progress(folder))
        time.sleep(_POLL)
      if (_progress(folder) or {}).get('state') == 'ended':
        interrupted = False  # The signal was the program's own end.
      if failed:
        supervisor.request_stop(f'node {failed} failed')
      elif interrupted:
        console.print('Stopping: saving a checkpoint.')
        supervisor.request_stop('interrupted')
    finally:  # Whatever happens here, no process is left.
      supervisor.stop()

  if os.path.exists(folder.summary):
    paths = checkpoints.CheckpointFolder(folder.checkpoints).paths()
    progress.print_summary(
      files.read_json(folder.summary),
      folder,
      paths[0] if paths else None,
      console,
    )
  if failed:
    log = supervisor.log(failed)
    options.fail(
      f'node {failed} failed ({supervisor.status(failed)}); its log is {log}, '
      f'and says: {_cause(log)}',
      status=1,
    )
  return _INTERRUPTED if interrupted else 0


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
  return (errors or lines or ['nothing'])[-1][:300]


if __name__ == '__main__':
  app.run(main, flags_parser=options.parse)

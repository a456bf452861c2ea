"""What the script of a Slurm job runs: the program, from its begin to its end.

Goes on from the newest checkpoint of the run, if there is one: a job that Slurm
has queued again takes up where it was stopped.
"""

import contextlib
import os
import signal
import sys
import time

from launch import bootstrap

bootstrap.prepare()

from absl import flags
from rich import console as rich_console

from ald_acme import checkpoints
from ald_acme import curves
from ald_acme import files
from ald_acme import progress
from ald_acme import run_folder
from launch import command_line
from launch import local
from launch import options
from launch.clusters import programs
from launch.clusters import slurm
from launch.clusters import slurm_step

_POLL = 0.5  # Seconds between looks at the tasks.


def main():
  folder = run_folder.RunFolder(flags.FLAGS.workdir)
  with folder.reopen():
    sys.exit(_run(folder))


def _run(folder: run_folder.RunFolder) -> int:
  """Runs the program and sees to its end; the job's exit code."""
  launched = time.time()
  console = rich_console.Console(highlight=False, markup=False, soft_wrap=True)
  opts = options.read(folder.read_config())
  checkpoint = local._checkpoint(folder, opts.config.max_frames)
  with contextlib.suppress(FileNotFoundError):
    os.remove(folder.progress)
  interrupted = False

  def interrupt(*_):
    nonlocal interrupted
    interrupted = True

  signal.signal(signal.SIGTERM, interrupt)  # Cancelled, or out of time.
  began = f'from {checkpoint.path}' if checkpoint else 'from the beginning'
  console.print(f'Training {opts.agent} in {folder.path}, {began}.')
  failed = None
  with progress.Display(folder, console) as display:
    display.show(None)
    program, watcher = programs.make(
      opts, folder, checkpoint.path if checkpoint else None, launched
    )
    table = slurm.write_nodes(program, folder)
    step = slurm_step.Step(
      slurm.folder_of(folder),
      slurm.components(table),
      watcher,
      folder.next_node_logs(),
    )
    try:
      if not interrupted:
        step.launch()
      while not (failed or interrupted or local._has_ended(folder)):
        display.show(local._progress(folder))
        time.sleep(_POLL)
        # In this order: nodes may end once the end is written.
        failed = step.failed()
        failed = None if local._has_ended(folder) else failed
      stopped = not (failed or local._has_ended(folder))
      if failed:
        step.request_stop(f'node {failed} failed', failed=True)
      elif stopped:
        console.print('Stopping: saving a checkpoint.')
        step.request_stop('interrupted')
    finally:  # Whatever happens here, no task is left.
      step.stop()

  paths = checkpoints.CheckpointFolder(folder.checkpoints).paths()
  newest = paths[0] if paths else None
  if local._has_ended(folder):
    curves.draw(folder)
    progress.print_summary(
      files.read_json(folder.summary), folder, newest, console
    )
  if failed:
    log = step.log(failed)
    command_line.fail(
      f'node {failed} failed ({step.status(failed)}); its log is {log}, and '
      f'says: {local._cause(log)}. The last good checkpoint is '
      f'{newest or "none"}.',
      status=1,
    )
  return local._INTERRUPTED if stopped else 0


if __name__ == '__main__':
  command_line.run(main)

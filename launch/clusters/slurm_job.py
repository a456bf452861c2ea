"""Runs a program in the script of a Slurm job.

It resumes from the run's newest checkpoint, if there is one, so a requeued job
continues where it was stopped.
"""

import sys
import time

from launch import bootstrap

bootstrap.prepare()

from ald_acme.runs import folder as run_folder
from ald_acme.runs import progress
from launch import command_line
from launch import options
from launch import supervising
from launch import training
from launch.clusters import programs
from launch.clusters import slurm
from launch.clusters import slurm_commands
from launch.clusters import slurm_options
from launch.clusters import slurm_step


def main() -> None:
  launched = time.time()
  of_slurm, given = slurm_options.read(), options.given()
  assert given.workdir, 'the script gives it'
  folder = run_folder.RunFolder(given.workdir)
  with folder.reopen():
    console = progress.make_console()
    opts = options.read(given, folder.read_config())
    checkpoint = training.newest_checkpoint(folder, opts.experiment.max_frames)
    begun = f'from {checkpoint}' if checkpoint else 'from the beginning'
    console.print(f'Training {opts.agent} in {folder.path}, {begun}.')
    steps: list[slurm_step.Step] = []

    def make_step(logs: str) -> supervising.Supervisor:
      program, watcher = programs.make(opts, folder, checkpoint, launched)
      tasks = slurm.write_nodes(program, folder, of_slurm)
      parts = slurm.components(tasks, of_slurm)
      steps.append(
        slurm_step.Step(
          slurm.folder_of(folder), parts, watcher, logs, console.print
        )
      )
      return steps[-1]

    try:
      sys.exit(
        supervising.supervise(
          folder,
          make_step,
          console,
          opts.experiment.stall_warning,
          opts.experiment.stall_limit,
        )
      )
    finally:
      if any(step.lost for step in steps):
        console.print('A host is lost; requeueing the job.')
        slurm_commands.requeue()


if __name__ == '__main__':
  command_line.run(main)

"""Submits commands as the tasks of a Slurm array."""

from collections.abc import Sequence
import os
import shlex

from ald_acme.runs import files
from launch.campaigns import jobs
from launch.clusters import slurm
from launch.clusters import slurm_commands
from launch.clusters import slurm_options

# Those of `slurm_options` that an array uses.
FLAGS = ('partition', 'time', 'cpus', 'mem_per_cpu', 'sbatch')


def submit(
  missing: Sequence[jobs.Job],
  folder: str,
  at_a_time: int,
  options: slurm_options.SlurmOptions,
) -> str:
  """Submits an array with a task for each job.

  Args:
    missing: jobs without results.
    folder: folder for the script, the commands and their output.
    at_a_time: number of tasks that run in parallel.
    options: the options of each task.

  Returns:
    A line that describes the submission.

  Raises:
    UsageError: if an option is invalid.
    ValueError: if an earlier array has not ended, or Slurm rejects this one.
  """
  if not missing:
    return 'Nothing is missing: no job was submitted.'
  slurm.check(options, submits=True)
  record = os.path.join(folder, 'slurm_array.json')
  _refuse_while_running(record)
  for job in missing:
    job.prepare()
    os.makedirs(os.path.dirname(job.log), exist_ok=True)
  commands = os.path.join(folder, 'commands')
  with open(commands, 'w', encoding='utf-8') as file:
    for job in missing:
      log = shlex.quote(os.path.abspath(job.log))
      file.write(f'exec {shlex.join(job.command())} > {log} 2>&1\n')
  script = os.path.join(folder, 'array.sh')
  output = os.path.join(os.path.abspath(folder), 'slurm-').replace('%', '%%')
  directives = [
    '--job-name=sweep',
    f'--array=0-{len(missing) - 1}%{at_a_time}',
    f'--cpus-per-task={options.cpus}',
    f'--output={output}%A_%a.out',
    *options.sbatch_options(),
  ]
  path = shlex.quote(os.path.abspath(commands))
  lines = [
    '#!/bin/bash',
    *map(slurm.directive, directives),
    f'cd {shlex.quote(os.getcwd())} || exit 1',
    f'line=$(sed -n "$((SLURM_ARRAY_TASK_ID + 1))p" {path})',
    'exec bash -c "$line"',  # Signals go to the run itself.
  ]
  with open(script, 'w', encoding='utf-8') as file:
    file.write('\n'.join(lines) + '\n')
  array = slurm_commands.submit(script)
  files.write_json(record, {'job': array})
  return (
    f'Submitted array {array} of {len(missing)} runs; scancel {array} stops '
    'it. '
    'The same command shows the table of finished ones.'
  )


def _refuse_while_running(record: str) -> None:
  """Rejects a second array while the first is running."""
  try:
    job = files.read_json(record)['job']
  except FileNotFoundError:
    return
  if slurm_commands.is_queued(job):
    raise ValueError(
      f'array {job} of this sweep has not ended; wait for it, or stop it with '
      f'scancel {job}.'
    )

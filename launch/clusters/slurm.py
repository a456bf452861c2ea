"""A Slurm job: its resources, script and submission."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
import dataclasses
import os
import re
import secrets
import shlex
import shutil
import sys
import typing

from ald_acme.runs import folder as run_folder
from launch import bootstrap
from launch import command_line
from launch.clusters import programs
from launch.clusters import slurm_commands
from launch.clusters import slurm_options
from launch.clusters import tasks

if typing.TYPE_CHECKING:
  import launchpad as lp

# Below those that connections take, 200 for each of 60 successive jobs.
_FIRST_PORT, _PORTS, _JOBS = 20_000, 200, 60
_LAST_PORT = 65_536
# Patterns of options as in sbatch's manual, with examples.
_FORMS = {
  'time': (
    r'(\d+-)?\d+(:\d+){0,2}|unlimited|infinite',
    '2:00:00 (hours), 90 (minutes) or 1-12 (days and hours)',
  ),
  'mem_per_cpu': (r'\d+[kmgt]?', '2G or 500M'),
  'learner_gres': (
    r'[\w./-]+(:[\w./-]+){0,2}(,[\w./-]+(:[\w./-]+){0,2})*',
    'gpu:1 or gpu:a100:2',
  ),
}
_WARNING = 90  # Seconds between the warning and the end at a time limit.


@dataclasses.dataclass(frozen=True)
class Component:
  """Tasks of a job with equal resources.

  Attributes:
    tasks: number of tasks, with successive indices.
    cpus: CPUs per task.
    gres: accelerators of their host; None for none.
  """

  tasks: int
  cpus: int
  gres: str | None


def folder_of(run: run_folder.RunFolder) -> str:
  """The folder of a job's files in its run's folder."""
  return os.path.join(run.path, 'slurm')


def remove(run: run_folder.RunFolder) -> None:
  """Removes a job's files from its run's folder, if there are any."""
  shutil.rmtree(folder_of(run), ignore_errors=True)


def cpus(options: slurm_options.SlurmOptions) -> dict[str, int]:
  """CPUs per task, by pool."""
  return {pool: wanted[0] for pool, wanted in _resources(options).items()}


def write_nodes(
  program: lp.Program,
  run: run_folder.RunFolder,
  options: slurm_options.SlurmOptions,
) -> list[tasks.Task]:
  """Writes a program's nodes; see `programs.write`."""
  os.makedirs(folder_of(run), exist_ok=True)
  ports = _ports(options.base_port)
  return programs.write(program, folder_of(run), ports, cpus(options))


def _ports(first: int | None) -> Iterator[int]:
  """Ports for the nodes: from the first on, or the job's own.

  A job's own ports are in random order.
  """
  if first is not None:
    yield from range(first, _LAST_PORT)
  else:
    # The number is unknown until the job starts and rewrites its nodes.
    job = int(os.environ.get('SLURM_JOB_ID', 0))
    own = list(range(_PORTS))
    secrets.SystemRandom().shuffle(own)
    yield from (_FIRST_PORT + job % _JOBS * _PORTS + n for n in own)
  raise ValueError(
    'there are not enough ports for the nodes; choose a lower --base_port, or '
    'fewer nodes.'
  )


def components(
  table: Sequence[tasks.Task], options: slurm_options.SlurmOptions
) -> list[Component]:
  """The tasks by resources; one component if they are all equal.

  Args:
    table: from `write_nodes`.
    options: the job's options.
  """
  resources = _resources(options)
  found: list[Component] = []
  for task in table:
    wanted = resources[task.pool]
    if found and (found[-1].cpus, found[-1].gres) == wanted:
      found[-1] = dataclasses.replace(found[-1], tasks=found[-1].tasks + 1)
    else:
      found.append(Component(1, *wanted))
  return found


def _resources(
  options: slurm_options.SlurmOptions,
) -> dict[str, tuple[int, str | None]]:
  """CPUs and accelerators of a task, by pool."""
  usual = options.cpus
  special = {
    'learner': (options.learner_cpus or usual, options.learner_gres),
    'distill': (options.distill_cpus or usual, None),
  }
  return {pool: special.get(pool, (usual, None)) for pool in programs.POOLS}


def check(options: slurm_options.SlurmOptions, submits: bool) -> None:
  """Checks what can be checked before any file is written.

  Args:
    options: the job's options.
    submits: whether the job will be submitted.

  Raises:
    UsageError: if an option is invalid.
    ValueError: if Slurm is not installed, or does not respond.
  """
  texts = [
    ('partition', options.partition or ''),
    ('time', options.time or ''),
    ('mem_per_cpu', options.mem_per_cpu),
    ('learner_gres', options.learner_gres or ''),
    *(('sbatch', option) for option in options.sbatch),
  ]
  for name, value in texts:
    if not value.isprintable():  # It would break the script.
      raise command_line.UsageError(
        f'{name} must be one line of text, but received {value!r}.'
      )
  for name, value in texts:
    pattern, example = _FORMS.get(name, ('.*', ''))
    if value and not re.fullmatch(pattern, value, re.IGNORECASE):
      raise command_line.UsageError(
        f'{name} must look like {example}, but received {value!r}.'
      )
  for option in options.sbatch:
    if not option.startswith('--'):
      raise command_line.UsageError(
        f'sbatch must be a long option of sbatch, but received {option!r}; '
        'give for instance --sbatch=--account=mine.'
      )
  if not submits:
    return
  if shutil.which('sbatch') is None:
    raise ValueError(
      'sbatch is not on the PATH; run this on a submission host, or use '
      '--dry_run to only write the files.'
    )
  if options.partition is not None:
    known = slurm_commands.partitions()
    for name in options.partition.split(','):
      if name not in known:
        raise command_line.UsageError(
          f'partition must be one of {", ".join(known)}, but received {name!r}.'
        )


def write_script(
  run: run_folder.RunFolder,
  name: str,
  parts: Sequence[Component],
  options: slurm_options.SlurmOptions,
) -> str:
  """Writes the script of a job and returns its path.

  Args:
    run: the run, whose nodes are written.
    name: name of the job.
    parts: from `components`; several give a heterogeneous job.
    options: the job's options.
  """
  path = os.path.join(folder_of(run), 'job.sh')
  # sbatch expands % in file names.
  output = os.path.join(folder_of(run), 'job-').replace('%', '%%') + '%j.out'
  whole = [f'--job-name={name}', f'--output={output}', '--open-mode=append']
  # Only the script gets the signal: it stops the nodes.
  each = ['--requeue', f'--signal=B:TERM@{_WARNING}', *_no_kill(parts)]
  each += options.sbatch_options()
  lines = ['#!/bin/bash', *map(directive, whole)]
  for number, part in enumerate(parts):
    if number:
      lines.append('#SBATCH hetjob')
    lines += map(directive, [*each, *_options(part)])
  command = [sys.executable, '-m', 'launch.clusters.slurm_job']
  command.append(f'--workdir={run.path}')
  command.append('--trust')  # The environment was named to cluster.py.
  command += options.job_flags()
  root = shlex.quote(bootstrap.ROOT)
  lines += [
    f'export PYTHONPATH={root}"${{PYTHONPATH:+:$PYTHONPATH}}"',
    f'exec {shlex.join(command)}',
  ]
  with open(path, 'w', encoding='utf-8') as file:
    file.write('\n'.join(lines) + '\n')
  return path


def step(parts: Sequence[Component], command: Sequence[str]) -> list[str]:
  """The command line that runs a command in each task of a job."""
  # If a task fails, the job itself ends the others.
  common = ['--mpi=none', '--input=none', '--wait=0', '--kill-on-bad-exit=0']
  common.append('--export=ALL')  # Overrides the site's default.
  common += _no_kill(parts)
  line = ['srun']
  for number, part in enumerate(parts):
    if len(parts) > 1:
      line += [':'] if number else []
      line.append(f'--het-group={number}')
    line += [*common, *_options(part), *command]
  return line


def _no_kill(parts: Sequence[Component]) -> list[str]:
  """The option that makes Slurm continue after a host fails.

  Not for heterogeneous jobs, where Slurm ends some components anyway.
  """
  return ['--no-kill'] if len(parts) == 1 else []


def _options(part: Component) -> list[str]:
  options = [f'--ntasks={part.tasks}', f'--cpus-per-task={part.cpus}']
  if part.gres is not None:  # Tasks that share it must be on one host.
    options += ['--nodes=1', f'--gres={part.gres}']
  return options


def directive(option: str) -> str:
  """The script's line for an option of sbatch.

  Raises:
    ValueError: if it is not a single line.
  """
  if not option.isprintable():
    raise ValueError(
      f'the script of a job cannot contain {option!r}; choose a --workdir '
      'without control characters.'
    )
  if set(option) & set(' \t#;\'"\\'):
    escaped = option.replace('\\', '\\\\').replace('"', '\\"')
    option = f'"{escaped}"'
  return f'#SBATCH {option}'

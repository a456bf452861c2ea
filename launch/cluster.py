"""Trains an agent on many machines, as a job of Slurm or Vertex AI.

Examples:
  python launch/cluster.py --platform=slurm --num_actors=2 --time=2:00:00
  python launch/cluster.py --platform=vertex_ai --workdir=runs/mine --dry_run
"""

from collections.abc import Sequence
import dataclasses
import os
import shlex
import sys
import time

if __package__ in (None, ''):  # Run as a script: the package is one folder up.
  sys.path.insert(
    0, os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
  )

from launch import bootstrap

bootstrap.prepare()

from absl import flags
from rich import box
from rich import console as rich_console
from rich import table as rich_table

from ald_acme.environments import registry
from ald_acme.runs import progress
from launch import command_line
from launch import options
from launch import training
from launch.clusters import programs
from launch.clusters import slurm
from launch.clusters import slurm_commands
from launch.clusters import slurm_options
from launch.clusters import vertex

for _module in (options, slurm_options):
  flags.adopt_module_key_flags(_module)

_PLATFORM = flags.DEFINE_enum(
  'platform',
  None,
  ('slurm', 'vertex_ai'),
  'Platform that runs the nodes.',
)
_DRY_RUN = flags.DEFINE_bool(
  'dry_run', False, 'Write the files of the job without submitting it.'
)
_ACCELERATOR = flags.DEFINE_enum(
  'accelerator',
  't4',
  ('none', *vertex.ACCELERATORS),
  'Vertex AI: accelerator of the learner and of its runner.',
)
_IMAGES = flags.DEFINE_string(
  'images',
  'IMAGES',
  'Vertex AI, with --dry_run: registry of the container images, i.e. their '
  'names up to the last /.',
)


@dataclasses.dataclass(frozen=True)
class Job:
  """What the platforms share.

  Attributes:
    given: the flags of the run.
    dry_run: whether nothing is submitted.
    launched: start of the run, seconds since the epoch.
    console: where the job is described.
  """

  given: options.Given
  dry_run: bool
  launched: float
  console: rich_console.Console


def main() -> None:
  launched = time.time()
  given = options.given()
  if given.environment == 'list':
    print(registry.describe())
    return
  platform = command_line.require(_PLATFORM)
  job = Job(given, _DRY_RUN.value, launched, progress.make_console())
  if platform == 'slurm':
    _slurm(job, slurm_options.read())
  else:
    accelerator = None if _ACCELERATOR.value == 'none' else _ACCELERATOR.value
    _vertex(job, accelerator, _IMAGES.value)


def _slurm(job: Job, of_slurm: slurm_options.SlurmOptions) -> None:
  slurm.check(of_slurm, submits=not job.dry_run)
  run = training.prepare(job.given, local=False, dry_run=job.dry_run)
  try:
    _submit(job, run, of_slurm)
  except BaseException:  # So that the same command can be retried.
    if not run.options.resume:
      slurm.remove(run.folder)
    run.rollback()
    raise


def _submit(
  job: Job, run: training.Prepared, of_slurm: slurm_options.SlurmOptions
) -> None:
  with run.lock:  # The job takes it when it starts.
    program, _ = programs.make(
      run.options, run.folder, run.checkpoint, job.launched
    )
    # The job rewrites them when it starts; fail now if they cannot be written.
    tasks = slurm.write_nodes(program, run.folder, of_slurm)
    parts = slurm.components(tasks, of_slurm)
    script = slurm.write_script(run.folder, run.options.agent, parts, of_slurm)
  table = rich_table.Table(
    *('task', 'node', 'component', 'CPUs', 'gres', 'ports'), box=box.SIMPLE
  )
  # Of each task: its component of the job, and the component's index.
  of_tasks = [
    (i, part) for i, part in enumerate(parts) for _ in range(part.tasks)
  ]
  for number, (task, (i, part)) in enumerate(zip(tasks, of_tasks, strict=True)):
    row = (number, task.name, i, part.cpus, part.gres or '', len(task.ports))
    table.add_row(*map(str, row))
  console = job.console
  console.print(table)
  if job.dry_run:
    submit = shlex.join(['sbatch', script])
    console.print(f'Nothing was submitted; to submit it: {submit}')
    return
  submitted = slurm_commands.submit(script)
  console.print(f'Submitted job {submitted}; scancel {submitted} stops it.')
  console.print(f'run: {run.folder.path}')
  console.print(f'script: {script}')


def _vertex(job: Job, accelerator: str | None, images: str) -> None:
  if job.given.resume:
    raise command_line.UsageError(
      '--resume is not supported with --platform=vertex_ai, whose checkpoints '
      'are in the bucket; leave it out, or choose --platform=slurm.'
    )
  vertex.check(submits=not job.dry_run)
  run = training.prepare(job.given, local=False, dry_run=job.dry_run)
  console = job.console
  inside = vertex.folder_inside(run.folder)
  try:
    with run.lock:
      program, _ = programs.make(run.options, inside, None, job.launched)
      vertex.revive(program)
      pools = vertex.pools(program, accelerator)
      path = vertex.write(program, pools, run.folder, images)
    _print_pools(pools, console)
    console.print(f'job and containers: {path}')
    console.print(f"the run's folder there: {inside.path}")
    if job.dry_run:
      console.print('Nothing was submitted.')
    else:
      vertex.launch(program, pools, path)
  except BaseException:  # So that the same command can be retried.
    vertex.remove(run.folder)
    run.rollback()
    raise


def _print_pools(
  pools: Sequence[vertex.Pool], console: rich_console.Console
) -> None:
  table = rich_table.Table(
    'pool', 'nodes', 'replicas', 'machine', 'accelerator', box=box.SIMPLE
  )
  for pool in pools:
    table.add_row(*pool.row())
  console.print(table)


if __name__ == '__main__':
  command_line.run(main)

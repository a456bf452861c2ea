"""Runs over seeds and values of settings, and a table of the results.

The flags of local.py apply to every run. Finished runs are skipped, so the same
command continues after an interruption.

Example:
  python launch/sweep.py --sweep=config.learner_learning_rate=1e-3,3e-4 \
    --seeds=3 --max_frames=200000 --folder=sweeps/rates
"""

import os
import sys

if __package__ in (None, ''):  # Run as a script: the package is one folder up.
  sys.path.insert(
    0, os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
  )

from launch import bootstrap

bootstrap.prepare()

from absl import flags

from ald_acme.environments import registry
from ald_acme.runs import progress
from launch import command_line
from launch import options
from launch.campaigns import grids
from launch.campaigns import jobs
from launch.campaigns import running
from launch.campaigns import tables
from launch.clusters import slurm_array
from launch.clusters import slurm_options

_UNSUPPORTED = ('workdir', 'resume', 'wandb_project')  # Not in --help.
for _flag in flags.FLAGS.get_key_flags_for_module(options):
  if _flag.name not in _UNSUPPORTED:
    flags.declare_key_flag(_flag.name)
for _name in slurm_array.FLAGS:
  flags.declare_key_flag(_name)

_SWEEP = flags.DEFINE_multi_string(
  'sweep',
  [],
  'A field and its values, such as config.discount=0.9,0.99. Several flags '
  'give every combination',  # absl continues the sentence.
)
_SEEDS = flags.DEFINE_integer(
  'seeds',
  1,
  'Runs per combination, with seeds --seed, --seed + 1 and so on.',
  lower_bound=1,
  upper_bound=1_000,
)
_FOLDER = flags.DEFINE_string(
  'folder', None, 'Folder of the runs and their table, such as sweeps/mine.'
)
_WORKERS = flags.DEFINE_integer(
  'workers',
  1,
  'Runs in parallel; several on one machine distort measured times.',
  lower_bound=1,
  upper_bound=1_000,
)
_SLURM = flags.DEFINE_bool(
  'slurm',
  False,
  'Submit the missing runs as a Slurm array, and print the table of finished '
  'ones.',
)


def main() -> None:
  folder = command_line.require(_FOLDER)
  given = options.given()
  for flag in ('workdir', 'resume'):
    if getattr(given, flag):
      raise command_line.UsageError(
        f'--{flag} is not supported in a sweep, whose runs are new and in '
        '--folder; leave it out.'
      )
  opts = options.read(given)
  if opts.wandb_project is not None:
    raise command_line.UsageError(
      f'wandb_project={opts.wandb_project!r} is not supported in a sweep; '
      'leave it out, or pass it to local.py for single runs.'
    )
  try:
    grid = grids.make(
      opts, grids.parse(_SWEEP.value, opts.agent), _SEEDS.value, folder
    )
    registry.check(opts.environment, opts.environment_arguments)
  except ValueError as error:
    raise command_line.UsageError(str(error)) from error
  command_line.prepare_folder(folder, 'folder')
  console = progress.make_console()
  pool = jobs.Pool(grid.runs(), _WORKERS.value)
  status = 0
  if _SLURM.value:
    console.print(
      slurm_array.submit(
        pool.waiting, folder, _WORKERS.value, slurm_options.read()
      )
    )
  elif not running.run(pool, console):
    status = command_line.INTERRUPTED
  elif pool.failed:
    status = 1
  rows = grid.table()
  path = os.path.join(folder, 'sweep.md')
  with open(path, 'w', encoding='utf-8') as file:
    file.write(tables.markdown(rows) + '\n')
  console.print(tables.markdown(rows))
  console.print(f'table: {path}')
  sys.exit(status)


if __name__ == '__main__':
  command_line.run(main)

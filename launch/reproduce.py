"""Runs missing experiments, and plots the figures of the results."""

import argparse
from collections.abc import Sequence
import os
import sys
from typing import NoReturn

if __package__ in (None, ''):  # Run as a script: the package is one folder up.
  sys.path.insert(
    0, os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
  )

from launch import bootstrap

bootstrap.prepare()

from rich import console as rich_console

from ald_acme.runs import progress
from launch import command_line
from launch.campaigns import jobs
from launch.campaigns import running
from launch.reproduction import catalogue
from launch.reproduction import figures

_ALL = 'all'
_SEEDS, _SMALL_SEEDS = 5, 1
_MOST = 1_000  # Bound of seeds and of parallel runs.


def main(argv: Sequence[str] | None = None) -> int:
  arguments = _parse(argv)
  console = progress.make_console()
  folder = arguments.folder
  order = figures.Order(
    folder=os.path.join(folder, 'smoke') if arguments.smoke else folder,
    seeds=arguments.seeds or (_SMALL_SEEDS if arguments.smoke else _SEEDS),
    small=arguments.smoke,
  )
  chosen = _choose(arguments.figures, console)
  try:
    command_line.prepare_folder(order.folder, 'folder')
    if arguments.check:
      return _check(chosen, order, console)
    needed = [
      job
      for figure in chosen
      for job in figure.needs(order)
      if arguments.only in job.label
    ]
    pool = jobs.Pool(needed, arguments.workers)
    if not running.run(pool, console):
      return command_line.INTERRUPTED
    for figure in chosen:
      made = figure.make(order)
      where = order.path(f'{figure.name}.{{png,svg,csv,md}}')
      console.print(
        f'{figure.name}: {where if made else "no run of it has finished"}'
      )
  except KeyboardInterrupt:  # Between runs.
    return command_line.INTERRUPTED
  except (OSError, ValueError) as error:
    command_line.fail(str(error), status=1)
  return 1 if pool.failed else 0


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
  for argument in sys.argv[1:] if argv is None else argv:
    command_line.check_text(argument)
  parser = _Parser(
    prog='reproduce.py',
    description=__doc__,
    epilog='figures:\n'
    + '\n'.join(
      f'  {figure.name:16} {figure.about}'
      for figure in catalogue.FIGURES.values()
    ),
    formatter_class=argparse.RawDescriptionHelpFormatter,
    allow_abbrev=False,
  )
  parser.add_argument(
    'figures',
    metavar='FIGURE',
    nargs='+',
    type=_figure,
    help=f'figures to plot, of those below, or {_ALL}',
  )
  parser.add_argument(
    '--seeds',
    type=_count,
    help=f'runs of each method (default: {_SEEDS}; with --smoke '
    f'{_SMALL_SEEDS})',
  )
  parser.add_argument(
    '--workers',
    type=_count,
    default=1,
    help='runs in parallel (default: 1; more distort measured times)',
  )
  parser.add_argument(
    '--folder',
    default='results',
    help='folder of the figures, and of their runs in runs/ (default: results)',
  )
  parser.add_argument(
    '--only',
    metavar='TEXT',
    default='',
    help='do only missing runs whose name, TASK/METHOD/seed_N, contains this '
    'text; figures are plotted from existing runs',
  )
  parser.add_argument(
    '--check',
    action='store_true',
    help='run nothing; report finished runs below their required results, '
    'with exit code 1 if there are any',
  )
  parser.add_argument(
    '--smoke',
    action='store_true',
    help='tiny runs to test that everything works, in smoke/ in the folder',
  )
  arguments = parser.parse_args(argv)
  if arguments.check and arguments.only:
    parser.error('--check runs nothing; leave out --only.')
  return arguments


class _Parser(argparse.ArgumentParser):
  """Rejects an invalid command line with a one-line error."""

  def error(self, message: str) -> NoReturn:
    command_line.fail(message, status=2)


def _figure(name: str) -> str:
  if name != _ALL and name not in catalogue.FIGURES:
    raise argparse.ArgumentTypeError(
      f'must be one of {", ".join(catalogue.FIGURES)}, {_ALL}, but received '
      f'{name!r}'
    )
  return name


def _count(text: str) -> int:
  digits = text.lstrip('0')
  # Check the length first: parsing a million digits takes minutes.
  if not text.isdecimal() or not 1 <= len(digits) <= 4 or int(text) > _MOST:
    raise argparse.ArgumentTypeError(
      f'must be a whole number from 1 to {_MOST}, but received {text[:20]!r}'
    )
  return int(text)


def _choose(
  names: Sequence[str], console: rich_console.Console
) -> list[figures.Figure]:
  """The figures of these names, each once; for 'all', those possible here."""
  if _ALL not in names:
    return [catalogue.FIGURES[name] for name in dict.fromkeys(names)]
  chosen = []
  for figure in catalogue.FIGURES.values():
    if package := figure.lacks():
      console.print(
        f'{figure.name} is left out: {package} is not installed (pip install '
        f'-c requirements.txt {package}).'
      )
    else:
      chosen.append(figure)
  return chosen


def _check(
  chosen: Sequence[figures.Figure],
  order: figures.Order,
  console: rich_console.Console,
) -> int:
  """Prints which runs are below their bars; returns the exit code."""
  missed = 0
  for figure in chosen:
    short = figure.shortfalls(order)
    missed += len(short)
    console.print(f'{figure.name}: {len(short)} below the required return')
    for line in short:
      console.print(f'  {line}', markup=False)
  return 1 if missed else 0


if __name__ == '__main__':
  sys.exit(main())

"""Runs of every combination of values and seeds, and their table."""

from collections.abc import Sequence
import dataclasses
import itertools
import operator
import os
from typing import Any

from agents import settings
from launch import config_file
from launch import field_flags
from launch import options
from launch.campaigns import results
from launch.campaigns import runs
from launch.campaigns import tables

_PREFIX = 'config.'
Axis = tuple[str, list[Any]]  # A field's path, and its values.


def parse(sweeps: Sequence[str], agent: str) -> list[Axis]:
  """Reads 'config.discount=0.9,0.99' as a field and its values.

  Args:
    sweeps: values of --sweep.
    agent: the agent with these fields.

  Raises:
    ValueError: naming the field, the value received and the cure.
  """
  known = settings.flatten(settings.make(agent, {}).flat())
  axes: dict[str, list[Any]] = {}
  for text in sweeps:
    path, equals, values = text.partition('=')
    path = path.strip().removeprefix(_PREFIX)
    if not equals or not all(part.strip() for part in values.split(',')):
      raise ValueError(
        '--sweep must look like config.discount=0.9,0.99, but received '
        f'{text!r}.'
      )
    if path not in known:
      reason = config_file.unknown(path, known, agent)
      raise ValueError(f'--sweep={text}: {path!r} {reason}')
    if path == 'seed':
      raise ValueError(
        f'--sweep={text}: seeds cannot be swept; give --seeds (the number of '
        'runs) and --seed (the first).'
      )
    if path in axes:
      raise ValueError(
        f'--sweep={text}: {path} is swept twice; give all its values at once.'
      )
    field = field_flags.field_of(path)
    axes[path] = [_value(text, field, x.strip()) for x in values.split(',')]
    if len(set(axes[path])) < len(axes[path]):
      raise ValueError(f'--sweep={text}: a value is repeated; give it once.')
  return list(axes.items())


def _value(sweep: str, field: dataclasses.Field, text: str) -> Any:
  """Parses a value as the field's flag does."""
  try:
    return field_flags.parse_value(field, text)
  except ValueError as error:
    raise ValueError(
      f'--sweep={sweep}: {text!r} is not a value of {field.name} ({error}).'
    ) from error


@dataclasses.dataclass(frozen=True)
class Grid:
  """The runs of a sweep, by combination of values.

  Attributes:
    axes: the swept fields and their values.
    combinations: the runs of each combination, by seed.
  """

  axes: Sequence[Axis]
  combinations: Sequence[Sequence[runs.Run]]

  def runs(self) -> list[runs.Run]:
    """All runs, the first seed of every combination first."""
    return [run for seed in zip(*self.combinations) for run in seed]

  def table(self) -> tables.Rows:
    """A row for each combination, from the finished runs."""
    rows = []
    for asked in self.combinations:
      max_frames = asked[0].fields['max_frames']
      group = results.Group(
        title=asked[0].kind,
        colour='',
        asked=len(asked),
        max_frames=max_frames,
        results=[results.read(run.path) for run in asked if run.is_done()],
      )
      never = f'not by {max_frames:,}' if max_frames else 'never'
      solved = group.values(operator.attrgetter('frames_to_solved'))
      rows.append(
        {
          **{path: asked[0].fields[path] for path, _ in self.axes},
          'seeds': tables.seeds(group),
          'final return': tables.mean(
            group, operator.attrgetter('final_return')
          ),
          'frames to solved, by seed': ' / '.join(
            tables.count(frames, never) for frames in solved
          )
          or '-',
          'seconds, median': tables.count(
            group.median(lambda result: result.summary['wall_seconds']), '-'
          ),
        }
      )
    return rows


def make(
  opts: options.Options, axes: Sequence[Axis], seeds: int, folder: str
) -> Grid:
  """The runs of a sweep.

  Args:
    opts: options of all runs.
    axes: from `parse`.
    seeds: number of runs of each combination; the first has the seed of `opts`.
    folder: folder of the sweep; the runs are in its subfolder `runs`.

  Raises:
    ValueError: if a combination of values is invalid.
  """
  defaults = settings.flatten(settings.make(opts.agent, {}).flat())
  common = {
    path: value
    for path, value in settings.flatten(opts.settings.flat()).items()
    if value != defaults[path] or path == 'max_frames'
  }
  combinations = []
  for values in itertools.product(*(values for _, values in axes)):
    swept = dict(zip((path for path, _ in axes), values))
    fields = {**common, **swept}
    name = ','.join(f'{path}={value}' for path, value in swept.items())
    # A value may contain a slash.
    kind = name.replace(os.sep, '_') or opts.agent
    combinations.append(
      [
        runs.Run(
          label=f'{kind}/seed_{seed}',
          path=os.path.join(folder, 'runs', kind, f'seed_{seed}'),
          agent=opts.agent,
          environment=opts.environment,
          environment_kwargs=opts.environment_kwargs,
          fields={**fields, 'seed': seed},
          network_factory=opts.network_factory,
        )
        for seed in range(opts.config.seed, opts.config.seed + seeds)
      ]
    )
    full = {**settings.flatten(opts.settings.flat()), **swept}
    settings.make(opts.agent, settings.nest(full))  # Validates.
  return Grid(axes, combinations)

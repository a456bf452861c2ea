"""Tables of results: CSV with a row per run, Markdown with a row per method."""

from collections.abc import Callable, Mapping, Sequence
import csv
import io
import math
import operator

import numpy as np

from ald_acme.runs import files
from ald_acme.runs import statistics
from launch.campaigns import results

Rows = list[dict[str, object]]


def runs(groups: Sequence[results.Group], solvable: bool) -> Rows:
  """A row of numbers for each run; inf is never, NaN is not recorded.

  Args:
    groups: the methods' runs.
    solvable: whether a return of 0.95 solves the task.
  """
  rows = []
  end = shortest(groups)
  for group in groups:
    for result in group.results:
      row = {'method': group.title, 'seed': result.seed}
      row |= {name: result.summary[name] for name in ('frames', 'wall_seconds')}
      if solvable:
        row['frames_to_0.95'] = result.frames_to_solved
        row['seconds_to_0.95'] = result.seconds_to_solved
      if _have_trials(groups):
        row['first_episode'], row['last_episode'] = result.adaptation
      rows.append(
        row
        | {
          'final_return': result.final_return,
          f'area_to_{end}_frames': result.area(end),
          'actor_updates': result.summary.get('actor_updates', 0),
          'learner_updates': result.summary['learner_updates'],
          'actor_updates_per_second': result.actor_update_rate,
        }
      )
  return rows


def methods(groups: Sequence[results.Group], solvable: bool) -> Rows:
  """A row of text for each method; arguments as for `runs`."""
  rows: Rows = []
  end = shortest(groups)
  for group in groups:
    row: dict[str, object] = {'method': group.title, 'seeds': seeds(group)}
    if solvable:
      never = f'not by {group.max_frames:,}'
      frames = operator.attrgetter('frames_to_solved')
      seconds = operator.attrgetter('seconds_to_solved')
      row['frames to 0.95, by seed'] = (
        ' / '.join(count(n, never) for n in group.values(frames)) or '-'
      )
      row['median'] = count(group.median(frames), never)
      row['seconds to 0.95, median'] = count(group.median(seconds), 'never')
    if _have_trials(groups):
      row['first episode of a trial'] = mean(group, lambda x: x.adaptation[0])
      row['last episode of a trial'] = mean(group, lambda x: x.adaptation[1])
    row['final return'] = mean(group, operator.attrgetter('final_return'))
    row[f'normalised area to {end:,} frames'] = mean(
      group, lambda result: result.area(end)
    )
    rows.append(row)
  return rows


def write_csv(path: str, rows: Sequence[Mapping[str, object]]) -> None:
  """Writes rows that have the same columns."""
  text = io.StringIO()
  writer = csv.DictWriter(text, list(rows[0]), lineterminator='\n')
  writer.writeheader()
  writer.writerows(rows)
  with files.atomic(path) as file:
    file.write(text.getvalue().encode())


def markdown(rows: Sequence[Mapping[str, object]]) -> str:
  """A table of rows that have the same columns."""
  return '\n'.join(
    '| ' + ' | '.join(str(cell) for cell in cells) + ' |'
    for cells in (
      [*rows[0]],
      ['---'] * len(rows[0]),
      *(row.values() for row in rows),
    )
  )


def write_markdown(
  path: str,
  title: str,
  rows: Sequence[Mapping[str, object]],
  notes: Sequence[str],
) -> None:
  """Writes a page: title, picture, table and notes.

  Args:
    path: path of the page.
    title: title of the page, and the picture's name without its extension.
    rows: rows of the table, which have the same columns.
    notes: paragraphs below the table.
  """
  parts = [f'# {title}', f'![{title}]({title}.svg)', markdown(rows), *notes]
  with files.atomic(path) as file:
    file.write(('\n\n'.join(parts) + '\n').encode())


def seeds(group: results.Group) -> str:
  """Such as '5', or '4 of 5' if one is missing."""
  finished = len(group.results)
  return (
    str(finished)
    if finished == group.asked
    else (f'{finished} of {group.asked}')
  )


def shortest(groups: Sequence[results.Group]) -> int:
  """Frames that all curves of a figure reach; the end of their areas."""
  return min(group.max_frames for group in groups)


def _have_trials(groups: Sequence[results.Group]) -> bool:
  return any(r.has_trials for group in groups for r in group.results)


def count(value: float, never: str) -> str:
  """Such as '12,345'; `never` for infinity, '-' for NaN (not recorded)."""
  if math.isnan(value):
    return '-'
  return never if math.isinf(value) else f'{value:,.0f}'


def mean(group: results.Group, value: Callable[[results.Result], float]) -> str:
  """Such as '0.98 [0.95, 1.00]', or '0.98 (no interval)'."""
  middle, low, high = statistics.estimate(group.values(value))
  if np.isnan(middle):
    return '-'
  return f'{middle:.3f}' + (
    ' (no interval)' if np.isnan(low) else f' [{low:.3f}, {high:.3f}]'
  )

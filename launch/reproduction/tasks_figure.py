"""A figure of several tasks side by side."""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses

from launch.campaigns import jobs
from launch.campaigns import tables
from launch.reproduction import experiments
from launch.reproduction import figures
from launch.reproduction import plots


@dataclasses.dataclass(frozen=True)
class TasksFigure(figures.Figure):
  """Several tasks side by side, each in a panel.

  Attributes:
    parts: a figure with one panel for each task; `about` is the panel's title.
  """

  name: str
  about: str
  parts: Sequence[figures.LearningFigure]

  def lacks(self) -> str | None:
    return next(filter(None, (part.lacks() for part in self.parts)), None)

  def needs(self, order: figures.Order) -> list[jobs.Job]:
    return [job for part in self.parts for job in part.needs(order)]

  def make(self, order: figures.Order) -> bool:
    made = [(part, part.groups(order)) for part in self.parts]
    absent = [
      part.about for part, groups in made if not figures.results_of(groups)
    ]
    made = [
      (part, groups) for part, groups in made if figures.results_of(groups)
    ]
    if not made:
      return False
    path = order.path(self.name)
    seeds = figures.seeds(
      [
        dataclasses.replace(group, title=f'{part.about}, {group.title}')
        for part, groups in made
        for group in groups
      ]
    )
    without = [f'Not run: {", ".join(absent)}.'] if absent else []
    caption = ' '.join(
      [seeds, *without, figures.MEANS, *figures.warning(order)]
    )
    csv_rows: tables.Rows = []
    rows: tables.Rows = []
    with plots.drawing(len(made), self.about, caption, path) as axes:
      for panel, (part, groups) in zip(axes, made):
        solvable = experiments.TASKS[part.task].solvable
        part.draw([panel], groups, solvable)
        panel.set_title(part.about)
        for table, of_task in (
          (csv_rows, tables.runs(groups, solvable)),
          (rows, tables.methods(groups, solvable)),
        ):
          table += [_of_task(part.task, row) for row in of_task]
    tables.write_csv(f'{path}.csv', csv_rows)
    found = [x for _, groups in made for x in figures.results_of(groups)]
    tables.write_markdown(
      f'{path}.md',
      self.name,
      rows,
      [self.about, caption, figures.made_by(x.commit for x in found)],
    )
    return True


def _of_task(task: str, row: dict[str, object]) -> dict[str, object]:
  """Adds the task to a row; drops the number of frames from the area's name."""
  named = {
    'area' if 'area' in key else key: value for key, value in row.items()
  }
  return {'task': task, **named}

"""The figure of the latency of a step of acting, and its measurement."""

from __future__ import annotations

from collections.abc import Sequence
import csv
import dataclasses
import os
import sys
from typing import Any

import numpy as np

from launch.campaigns import jobs
from launch.campaigns import tables
from launch.reproduction import experiments
from launch.reproduction import figures
from launch.reproduction import plots

_SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'latency.py')


@dataclasses.dataclass(frozen=True)
class LatencyFigure(figures.Figure):
  """The latency of a step of acting; nothing is learned."""

  name: str
  about: str
  presets: Sequence[str]
  steps: int

  def needs(self, order: figures.Order) -> list[jobs.Job]:
    presets = self.presets[:1] if order.small else self.presets
    return [
      Measurement(
        label=self.name,
        path=order.path(f'{self.name}.csv'),
        arguments=[str(30 if order.small else self.steps), *presets],
      )
    ]

  def make(self, order: figures.Order) -> bool:
    rows = _read_rows(order.path(f'{self.name}.csv'))
    if rows is None:
      return False
    commits = [row.pop('commit') for row in rows]
    caption = ' '.join(
      [
        f'Bar: median of {rows[0]["steps"]} steps; whisker: 99th percentile.',
        *figures.warning(order),
      ]
    )
    path = order.path(self.name)
    with plots.drawing(1, self.about, caption, path) as (axes,):
      colours = {
        experiments.METHODS[name].title: experiments.METHODS[name].colour
        for name in ('lstm', 'gtrxl')
      }
      draw(axes, rows, colours)
    tables.write_markdown(
      f'{path}.md',
      self.name,
      rows,
      [self.about, caption, figures.made_by(commits)],
    )
    return True


@dataclasses.dataclass(frozen=True)
class Measurement(jobs.Job):
  """The job of `latency.py`: one CSV file.

  Attributes:
    label: name in messages.
    path: path of the CSV file.
    arguments: the program's arguments after the path.
  """

  label: str
  path: str
  arguments: Sequence[str]

  @property
  def kind(self) -> str:
    return self.label

  @property
  def log(self) -> str:
    folder = os.path.dirname(self.path)
    return os.path.join(folder, 'runs', f'{self.label}.log')

  def command(self) -> list[str]:
    return [sys.executable, _SCRIPT, self.path, *self.arguments]

  def is_done(self) -> bool:
    """Whether the file exists.

    Raises:
      ValueError: if it is from another measurement.
    """
    rows = _read_rows(self.path)
    if rows is None:
      return False
    steps, *presets = self.arguments
    found = {(row.get('steps'), row.get('preset')) for row in rows}
    if found != {(steps, preset) for preset in presets} or any(
      name not in row for row in rows for name in ('runtime', 'commit')
    ):
      raise ValueError(
        f'{self.path} is from another measurement; delete it to measure again.'
      )
    return True


def _read_rows(path: str) -> list[dict[str, str]] | None:
  """The rows of a CSV file; None if it does not exist."""
  try:
    with open(path, encoding='utf-8', newline='') as file:
      return list(csv.DictReader(file))
  except FileNotFoundError:
    return None


def draw(
  axes: plots.Axes, rows: Sequence[dict[str, Any]], colours: dict[str, str]
) -> None:
  """Latencies of a step: median as a bar, 99th percentile as a whisker.

  Args:
    axes: axes to draw on.
    rows: rows with 'network', 'preset', 'p50_ms' and 'p99_ms'.
    colours: colours of the networks.
  """
  presets = list(dict.fromkeys(row['preset'] for row in rows))
  for row in rows:
    offset = list(colours).index(row['network']) - (len(colours) - 1) / 2
    place = presets.index(row['preset']) + 0.35 * offset
    p50, p99 = float(row['p50_ms']), float(row['p99_ms'])
    axes.bar(
      place,
      p50,
      width=0.3,
      color=colours[row['network']],
      label=row['network'] if row['preset'] == presets[0] else None,
    )
    axes.errorbar(
      place, p50, np.array([[0.0], [p99 - p50]]), color='0.2', capsize=4
    )
    plots.write_above(axes, place, p99, f'{p50:.2g} ms')
  axes.set_yscale('log')
  axes.yaxis.set_major_formatter('{x:g}')
  axes.margins(y=0.12)
  axes.set_xticks(range(len(presets)), presets)
  axes.set_xlabel('sizes of the networks')
  axes.set_ylabel('milliseconds per step')
  axes.legend()

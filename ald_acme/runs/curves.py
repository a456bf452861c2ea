"""Learning curves, from a run's logs."""

import csv
import os

import numpy as np

from ald_acme.runs import files
from ald_acme.runs import folder as run_folder
from ald_acme.runs import statistics


def read(folder: run_folder.RunFolder, node: str) -> dict[str, list[float]]:
  """Reads a node's log as columns; empty if there is none.

  Empty or truncated cells are NaN.
  """
  path = os.path.join(folder.logs, f'{node}.csv')
  if not os.path.exists(path):
    return {}
  with open(path, encoding='utf-8', newline='') as file:
    rows = list(csv.DictReader(file))
  columns: dict[str, list[float]] = {}
  for row in rows:
    for name, value in row.items():
      if name is not None:
        columns.setdefault(name, []).append(_number(value))
  return columns


def draw(folder: run_folder.RunFolder) -> None:
  """Plots the returns of both policies against frames, as a PNG.

  Rows undone by a resume are left out.
  """
  import matplotlib  # Takes a second to import.

  matplotlib.use('Agg')
  from matplotlib import pyplot

  log = read(folder, 'evaluator')
  frames = np.array(log.get('frames', []))
  counted = statistics.not_undone(frames)
  figure, axes = pyplot.subplots(figsize=(7, 4), layout='constrained')
  for column, label, style in (
    ('actor_return', 'actor', {'color': 'tab:blue'}),
    (
      'learner_return',
      'learner',
      {'color': 'tab:orange', 'marker': 'o', 'linestyle': ''},
    ),
  ):
    returns = np.array(log.get(column, np.full(frames.shape, np.nan)))
    axes.plot(frames[counted], returns[counted], label=label, **style)
  axes.set_xlabel('frames')
  axes.set_ylabel('mean return per episode')
  axes.grid(alpha=0.3)
  axes.legend()
  with files.atomic(folder.learning_curve) as file:
    figure.savefig(file, format='png', dpi=120)
  pyplot.close(figure)


def _number(text: str | None) -> float:
  try:
    return float(text or 'nan')
  except ValueError:
    return float('nan')

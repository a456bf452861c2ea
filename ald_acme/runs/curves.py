"""The learning curve of a run, from its logs."""

import csv
import os

from ald_acme.runs import files
from ald_acme.runs import folder as run_folder


def read(folder: run_folder.RunFolder, node: str) -> dict[str, list[float]]:
  """Reads a node's log as columns; empty if there is none.

  Cells that are empty or cut short are nan.
  """
  path = os.path.join(folder.logs, f'{node}.csv')
  if not os.path.exists(path):
    return {}
  with open(path, encoding='utf-8', newline='') as file:
    rows = list(csv.DictReader(file))
  columns = {}
  for row in rows:
    for name, value in row.items():
      if name is not None:
        columns.setdefault(name, []).append(_number(value))
  return columns


def draw(folder: run_folder.RunFolder):
  """Draws the returns of both policies against frames, as a PNG."""
  import matplotlib  # Takes a second to import; only the end needs it.

  matplotlib.use('Agg')
  from matplotlib import pyplot

  log = read(folder, 'evaluator')
  figure, axes = pyplot.subplots(figsize=(7, 4), layout='constrained')
  for column, label, style in (
    ('actor_return', 'actor', {'color': 'tab:blue'}),
    (
      'learner_return',
      'learner',
      {'color': 'tab:orange', 'marker': 'o', 'linestyle': ''},
    ),
  ):
    axes.plot(log.get('frames', []), log.get(column, []), label=label, **style)
  axes.set_xlabel('frames')
  axes.set_ylabel('mean return per episode')
  axes.grid(alpha=0.3)
  axes.legend()
  with files.atomic(folder.learning_curve) as file:
    figure.savefig(file, format='png', dpi=120)
  pyplot.close(figure)


def _number(text: str | None) -> float:
  try:
    return float(text)
  except (TypeError, ValueError):
    return float('nan')

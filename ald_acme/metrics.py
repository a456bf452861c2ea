"""Where a node's numbers go: CSV, TensorBoard and the monitor."""

from collections.abc import Callable, Mapping
import math
import os
from typing import Any

from acme.utils import loggers

from ald_acme import run_folder


class CSV(loggers.Logger):
  """Appends rows to `logs/<node>.csv`, also when a run is resumed."""

  def __init__(self, folder: run_folder.RunFolder, node: str):
    os.makedirs(folder.logs, exist_ok=True)
    path = os.path.join(folder.logs, f'{node}.csv')
    self._file = open(path, 'a', encoding='utf-8')
    self._csv = loggers.CSVLogger(self._file, flush_every=1)

  def write(self, data: Mapping[str, Any]):
    self._csv.write(data)

  def close(self):
    self._file.close()


class TensorBoard(loggers.Logger):
  """Writes events against frames; leaves out what is not a number."""

  def __init__(self, folder: run_folder.RunFolder, node: str):
    from acme.utils.loggers import tf_summary  # Imports TensorFlow.

    self._logger = tf_summary.TFSummaryLogger(
      os.path.join(folder.tensorboard, node), label=node, steps_key='frames'
    )

  def write(self, data: Mapping[str, Any]):
    self._logger.write({k: v for k, v in data.items() if not math.isnan(v)})
    self._logger.summary.flush()

  def close(self):
    self._logger.close()


class Report(loggers.Logger):
  """Tells somebody the newest row."""

  def __init__(self, report: Callable[[str, Mapping[str, Any]], None], node):
    self._report, self._node = report, node

  def write(self, data: Mapping[str, Any]):
    self._report(self._node, {k: float(v) for k, v in data.items()})

  def close(self):
    pass


def make_logger(
  folder: run_folder.RunFolder | None,
  node: str,
  report: Callable[[str, Mapping[str, Any]], None] | None = None,
  period: float = 1.0,
) -> loggers.Logger:
  """A node's logger.

  Args:
    folder: of the run; None writes no files.
    node: name of the node, and of its files.
    report: told each row that is not dropped, with the node's name.
    period: seconds between rows; rows that come sooner are dropped.

  Returns:
    A logger of flat rows of numbers, which must hold 'frames'.
  """
  targets = []
  if folder:
    targets += [CSV(folder, node), TensorBoard(folder, node)]
  if report:
    targets.append(Report(report, node))
  return loggers.TimeFilter(loggers.Dispatcher(targets), period)

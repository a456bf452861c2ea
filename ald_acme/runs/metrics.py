"""Loggers of a node: CSV, TensorBoard and the monitor."""

from collections.abc import Callable, Mapping, Sequence
import contextlib
import csv
import io
import math
import os
import re
import time
from typing import Any

from absl import logging
from acme.utils import loggers
from tensorboard.compat.proto import event_pb2
from tensorboard.compat.proto import summary_pb2
from tensorboard.summary.writer import event_file_writer

from ald_acme.runs import files
from ald_acme.runs import folder as run_folder

STEP = 'frames'  # The column that curves are drawn against.
_WARNING_PERIOD = 60.0  # Seconds between warnings of lost rows.


# Makes the logger of a node from its label, the name of the column that counts
# steps and the number of the node: Acme's own signature.
LoggerFactory = Callable[[str, str | None, int], loggers.Logger]


class CSV(loggers.Logger):
  """Appends rows to `logs/<node>.csv`, also when a run is resumed.

  The columns are those of the header that is there. A row with others has the
  file written anew with these as well, empty in the rows before; what a row
  does not have is left empty.
  """

  def __init__(self, folder: run_folder.RunFolder, node: str):
    files.make_folders(folder.logs)
    self._path = os.path.join(folder.logs, f'{node}.csv')
    self._columns = []
    if os.path.exists(self._path):
      with open(self._path, encoding='utf-8', newline='') as file:
        text = file.read()
      self._columns = next(csv.reader(text.splitlines()), [])
    self._open()
    if self._columns and not text.endswith('\n'):  # Cut short.
      self._file.write('\n')

  def write(self, data: Mapping[str, Any]):
    more = sorted(set(data) - set(self._columns))
    if more:
      self._add_columns(more)
    self._writer.writerow(data)
    self._file.flush()

  def _open(self):
    self._file = open(self._path, 'a', encoding='utf-8', newline='')
    self._writer = csv.DictWriter(
      self._file, self._columns, lineterminator='\n'
    )

  def _add_columns(self, names: Sequence[str]):
    self._file.close()
    with open(self._path, encoding='utf-8', newline='') as file:
      _, *rows = list(csv.reader(file)) or [[]]
    self._columns = [*self._columns, *names]
    with files.atomic(self._path) as file:
      text = io.TextIOWrapper(file, encoding='utf-8', newline='')
      csv.writer(text, lineterminator='\n').writerows([self._columns, *rows])
      text.detach()  # Flushes; the file is not its own.
    self._open()

  def close(self):
    self._file.close()


class TensorBoard(loggers.Logger):
  """Writes events against frames; leaves out what is not a number.

  A curve is named after its column, and after its kind of node: those of
  several actors are drawn together.
  """

  def __init__(self, folder: run_folder.RunFolder, node: str):
    # TensorBoard's own writer: through TensorFlow's operations, as Acme's
    # TFSummaryLogger writes, a row costs a hundred times as much.
    self._writer = event_file_writer.EventFileWriter(
      os.path.join(folder.tensorboard, node)
    )
    self._kind = re.sub(r'_\d+$', '', node)

  def write(self, data: Mapping[str, Any]):
    values = [
      summary_pb2.Summary.Value(tag=f'{self._kind}/{name}', simple_value=value)
      for name, value in data.items()
      if name != STEP and not math.isnan(value)
    ]
    event = event_pb2.Event(
      wall_time=time.time(),
      step=int(data[STEP]),
      summary=summary_pb2.Summary(value=values),
    )
    self._writer.add_event(event)
    self._writer.flush()

  def close(self):
    self._writer.close()


class Tolerant(loggers.Logger):
  """Warns instead of raising when a row cannot be written (a full disk)."""

  def __init__(self, logger: loggers.Logger, name: str):
    self._logger, self._name = logger, name
    self._warned_at = -math.inf

  def write(self, data: Mapping[str, Any]):
    try:
      self._logger.write(data)
    except OSError as error:
      now = time.monotonic()
      if now - self._warned_at > _WARNING_PERIOD:
        self._warned_at = now
        logging.warning('A row of %s is lost: %s', self._name, error)

  def close(self):
    with contextlib.suppress(OSError):
      self._logger.close()


class Report(loggers.Logger):
  """Passes each row on to a function."""

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
  factory: LoggerFactory | None = None,
) -> loggers.Logger:
  """A node's logger.

  Args:
    folder: of the run; None writes no files.
    node: name of the node, and of its files.
    report: told each row that is not dropped, with the node's name.
    period: seconds between rows; rows that come sooner are dropped.
    factory: makes one more logger, which gets the same rows.

  Returns:
    A logger of flat rows of numbers, which must hold 'frames'.
  """
  targets = []
  if folder:
    targets += [
      Tolerant(CSV(folder, node), f'logs/{node}.csv'),
      Tolerant(TensorBoard(folder, node), 'TensorBoard'),
    ]
  if factory:
    label, _, number = node.rpartition('_')
    named = (label, int(number)) if number.isdecimal() else (node, 0)
    logger = factory(named[0], STEP, named[1])
    targets.append(Tolerant(logger, f'the logger of {node}'))
  if report:
    targets.append(Report(report, node))
  return loggers.TimeFilter(loggers.Dispatcher(targets), period)

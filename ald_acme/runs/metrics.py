"""Loggers of a node: CSV, TensorBoard and the monitor."""

from collections.abc import Callable, Iterator, Mapping, Sequence
import contextlib
import csv
import io
import math
import os
import re
import time
from typing import Any, NamedTuple, TextIO

from absl import logging
from acme.utils import loggers
from tensorboard import compat as tensorboard
from tensorboard.compat.proto import event_pb2
from tensorboard.compat.proto import summary_pb2
from tensorboard.summary.writer import event_file_writer

from ald_acme.runs import files
from ald_acme.runs import folder as run_folder

STEP = 'frames'  # The column that curves are drawn against.
_ROWS = 1_000  # Rows of a log before they are thinned out.
_REOPENING = 10.0  # Seconds after a failure before a retry.
_WARNING_PERIOD = 60.0  # Seconds between warnings of lost rows.


# Creates a node's logger from its label, the name of its step column and its
# index, as in Acme.
LoggerFactory = Callable[[str, str | None, int], loggers.Logger]


class CSV(loggers.Logger):
  """Appends rows to `logs/<node>.csv`, also in a resumed run.

  A row with new columns rewrites the file with them added. Missing values are
  empty.
  """

  def __init__(self, folder: run_folder.RunFolder, node: str) -> None:
    files.make_folders(folder.logs)
    self._path = os.path.join(folder.logs, f'{node}.csv')
    self._columns: list[str] = []
    self._file: TextIO | None = None

  def _begin(self) -> TextIO:
    """Continues an existing file; otherwise the first row creates it."""
    text = ''
    if os.path.exists(self._path):
      with open(self._path, encoding='utf-8', newline='') as earlier:
        text = earlier.read()
      self._columns = next(csv.reader(text.splitlines()), [])
    file = self._open()
    if self._columns and not text.endswith('\n'):  # An incomplete last row.
      file.write('\n')
    return file

  def write(self, data: Mapping[str, Any]) -> None:
    file = self._begin() if self._file is None else self._file
    more = sorted(set(data) - set(self._columns))
    if more:
      file = self._add_columns(more, file)
    self._writer.writerow(data)
    file.flush()

  def _open(self) -> TextIO:
    file = open(self._path, 'a', encoding='utf-8', newline='')
    self._file = file
    self._writer = csv.DictWriter(file, self._columns, lineterminator='\n')
    return file

  def _add_columns(self, names: Sequence[str], opened: TextIO) -> TextIO:
    opened.close()
    self._file = None  # If this fails, the next row reopens it.
    with open(self._path, encoding='utf-8', newline='') as file:
      _, *rows = list(csv.reader(file)) or [[]]
    self._columns = [*self._columns, *names]
    with files.atomic(self._path) as file:
      text = io.TextIOWrapper(file, encoding='utf-8', newline='')
      csv.writer(text, lineterminator='\n').writerows([self._columns, *rows])
      text.detach()  # Flushes without closing the file.
    return self._open()

  def close(self) -> None:
    if self._file is not None:
      self._file.close()


class _Point(NamedTuple):
  """A value of a curve."""

  time: float
  step: int
  value: float


class TensorBoard(loggers.Logger):
  """Writes events against frames; skips values that are not numbers.

  A curve is named after its column and its kind of node, so that several actors
  share a plot. Constant columns are not written: a curve starts once its value
  changes.
  """

  def __init__(self, folder: run_folder.RunFolder, node: str) -> None:
    self._path = os.path.join(folder.tensorboard, node)
    self._writer = None
    self._failed_at = -math.inf  # Monotonic seconds.
    self._kind = re.sub(r'_\d+$', '', node)
    # The first value of each column; None once it has changed.
    self._first: dict[str, _Point | None] = {}

  def write(self, data: Mapping[str, Any]) -> None:
    now, step = time.time(), int(data[STEP])
    changed = {}
    for name, value in data.items():
      if name == STEP or math.isnan(value):
        continue
      first = self._first.setdefault(name, _Point(now, step, value))
      if first is not None and first.value != value:
        self._add(first.time, first.step, {name: first.value})
        self._first[name] = first = None
      if first is None:
        changed[name] = value
    if changed:
      self._add(now, step, changed)
      with self._failing():
        self._open().flush()

  def _open(self) -> event_file_writer.EventFileWriter:
    """Opens the writer; replaces a failed one after a delay."""
    if self._writer is None:
      if time.monotonic() < self._failed_at + _REOPENING:
        raise OSError('the last event could not be written')
      # TensorBoard's own writer; a row through TensorFlow's operations, as in
      # Acme's TFSummaryLogger, costs a hundred times as much.
      self._writer = event_file_writer.EventFileWriter(self._path)
    return self._writer

  @contextlib.contextmanager
  def _failing(self) -> Iterator[None]:
    """Converts TensorFlow's file errors to OSError, and drops the writer."""
    try:
      yield
    except tensorboard.tf.errors.OpError as error:
      writer, self._writer = self._writer, None
      self._failed_at = time.monotonic()
      with contextlib.suppress(tensorboard.tf.errors.OpError):
        if writer is not None:  # None if its creation failed.
          writer.close()
      raise OSError(str(error)) from error

  def _add(self, now: float, step: int, values: Mapping[str, float]) -> None:
    summary = summary_pb2.Summary(
      value=[
        summary_pb2.Summary.Value(tag=f'{self._kind}/{n}', simple_value=x)
        for n, x in values.items()
      ]
    )
    with self._failing():
      self._open().add_event(
        event_pb2.Event(wall_time=now, step=step, summary=summary)
      )

  def close(self) -> None:
    if self._writer is not None:
      with self._failing():
        self._writer.close()


class Tolerant(loggers.Logger):
  """Warns instead of raising when a row cannot be written (a full disk)."""

  def __init__(self, logger: loggers.Logger, name: str) -> None:
    self._logger, self._name = logger, name
    self._warned_at = -math.inf

  def write(self, data: Mapping[str, Any]) -> None:
    try:
      self._logger.write(data)
    except OSError as error:
      now = time.monotonic()
      if now - self._warned_at > _WARNING_PERIOD:
        self._warned_at = now
        logging.warning('A row of %s is lost: %s', self._name, error)

  def close(self) -> None:
    with contextlib.suppress(OSError):
      self._logger.close()


class Thinned(loggers.Logger):
  """Drops rows, so that a run of any length logs a few thousand.

  Rows are at first a period apart, later a thousandth of the elapsed time.
  """

  def __init__(
    self,
    logger: loggers.Logger,
    period: float,
    clock: Callable[[], float] = time.monotonic,
  ) -> None:
    """Wraps a logger.

    Args:
      logger: receives the rows that are not dropped.
      period: least time between rows, in seconds.
      clock: seconds now.
    """
    self._logger, self._period, self._clock = logger, period, clock
    self._began, self._last = clock(), -math.inf

  def write(self, data: Mapping[str, Any]) -> None:
    now = self._clock()
    apart = max(self._period, (now - self._began) / _ROWS)
    if now >= self._last + apart:
      self._last = now
      self._logger.write(data)

  def close(self) -> None:
    self._logger.close()


class Report(loggers.Logger):
  """Passes each row to a function."""

  def __init__(
    self, report: Callable[[str, Mapping[str, Any]], None], node: str
  ) -> None:
    self._report, self._node = report, node

  def write(self, data: Mapping[str, Any]) -> None:
    self._report(self._node, {k: float(v) for k, v in data.items()})

  def close(self) -> None:
    pass


def make_logger(
  folder: run_folder.RunFolder | None,
  node: str,
  report: Callable[[str, Mapping[str, Any]], None] | None = None,
  period: float = 1.0,
  factory: LoggerFactory | None = None,
) -> loggers.Logger:
  """Creates a node's logger.

  Args:
    folder: the run's folder; None to write no files.
    node: name of the node, and of its files.
    report: called with the node's name and each row that is not dropped.
    period: least time between rows, in seconds; earlier rows are dropped, and
      the files of long runs are thinned (`Thinned`). 0 keeps all rows.
    factory: creates an additional logger for the reported rows.

  Returns:
    A logger of flat rows of numbers, which must hold 'frames'.
  """
  targets: list[loggers.Logger] = []
  if folder:
    own = loggers.Dispatcher(
      [
        Tolerant(CSV(folder, node), f'logs/{node}.csv'),
        Tolerant(TensorBoard(folder, node), 'TensorBoard'),
      ]
    )
    targets.append(Thinned(own, period) if period else own)
  if factory:
    label, _, number = node.rpartition('_')
    named = (label, int(number)) if number.isdecimal() else (node, 0)
    logger = factory(named[0], STEP, named[1])
    targets.append(Tolerant(logger, f'the logger of {node}'))
  if report:
    targets.append(Report(report, node))
  return loggers.TimeFilter(loggers.Dispatcher(targets), period)

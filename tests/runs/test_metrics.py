"""Loggers: CSV, TensorBoard events and reports."""

import csv
import glob
import os
import subprocess
import sys
import time

from acme.utils import loggers
import numpy as np
import pytest
from tensorboard.backend.event_processing import event_accumulator

from ald_acme.runs import curves
from ald_acme.runs import folder as run_folder
from ald_acme.runs import metrics

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))


@pytest.fixture
def folder(tmp_path):
  return run_folder.RunFolder(str(tmp_path))


def _events(folder, node):
  """TensorBoard's `{tag: [(step, value)]}`."""
  path = os.path.join(folder.tensorboard, node)
  accumulator = event_accumulator.EventAccumulator(path)
  accumulator.Reload()
  return {
    tag: [(event.step, event.value) for event in accumulator.Scalars(tag)]
    for tag in accumulator.Tags()['scalars']
  }


def test_a_resumed_log_has_one_header(folder):
  for frames in (1, 2):
    logger = metrics.CSV(folder, 'actor_0')
    logger.write({'return': frames / 2, 'frames': frames})
    logger.close()
  with open(os.path.join(folder.logs, 'actor_0.csv')) as file:
    lines = file.read().splitlines()
  assert lines == ['frames,return', '1,0.5', '2,1.0']


def test_columns_added_later(folder):
  """A resumed run may log other metrics; values stay below their names."""
  rows = [
    [{'frames': 1, 'return': 0.5}, {'frames': 2, 'kl': 3.0, 'age': 4}],
    [{'frames': 3, 'kl': 5.0}, {'alpha': 6.0, 'frames': 4}],
  ]
  for launch in rows:
    logger = metrics.CSV(folder, 'actor_0')
    for row in launch:
      logger.write(row)
    logger.close()
  log = curves.read(folder, 'actor_0')
  for number, row in enumerate(rows[0] + rows[1]):
    seen = {n: c[number] for n, c in log.items() if not np.isnan(c[number])}
    assert seen == row
  assert os.listdir(folder.logs) == ['actor_0.csv']


def test_an_incomplete_row_is_terminated(folder):
  os.makedirs(folder.logs)
  with open(os.path.join(folder.logs, 'actor_0.csv'), 'w') as file:
    file.write('frames,return\n1,0.5\n2')
  logger = metrics.CSV(folder, 'actor_0')
  logger.write({'frames': 3, 'return': 1.0})
  logger.close()
  log = curves.read(folder, 'actor_0')
  assert log['frames'] == [1, 2, 3]


def test_rows_are_written_at_once(folder):
  logger = metrics.CSV(folder, 'actor_0')
  for frames in range(3):
    logger.write({'frames': frames, 'kl': float('nan')})
    log = curves.read(folder, 'actor_0')  # While the file is open.
    assert log['frames'] == list(range(frames + 1))
    assert np.isnan(log['kl']).all()


def test_tensorboard_events(folder):
  logger = metrics.TensorBoard(folder, 'distiller_12')
  logger.write({'frames': 10, 'value_loss': 0.5, 'kl': float('nan'), 'cut': 0})
  logger.write({'frames': 20, 'value_loss': 0.5, 'kl': 2, 'cut': 0})
  logger.write({'frames': 30, 'value_loss': np.float32(0.25), 'kl': 3})
  logger.write({'frames': 40, 'value_loss': 0.25, 'kl': 3, 'cut': 0})
  before_closing = _events(folder, 'distiller_12')
  logger.close()
  assert before_closing == _events(folder, 'distiller_12')
  assert before_closing == {
    'distiller/value_loss': [(10, 0.5), (30, 0.25), (40, 0.25)],
    'distiller/kl': [(20, 2.0), (30, 3.0), (40, 3.0)],
  }


def test_a_row_goes_everywhere(folder):
  reports = []
  logger = metrics.make_logger(
    folder, 'learner', lambda *report: reports.append(report), period=0.0
  )
  logger.write({'frames': np.int64(4), 'loss': np.float32(0.5)})
  logger.close()
  assert reports == [('learner', {'frames': 4.0, 'loss': 0.5})]
  assert {type(value) for value in reports[0][1].values()} == {float}
  log = curves.read(folder, 'learner')
  assert log == {'frames': [4.0], 'loss': [0.5]}
  assert not os.path.exists(folder.tensorboard)  # A point is no curve.


@pytest.mark.parametrize(
  'period, kept', [(0.0, [0, 1, 2, 3]), (0.15, [0, 2]), (100.0, [0])]
)
def test_rows_that_come_too_soon_are_dropped(period, kept):
  reported = []
  logger = metrics.make_logger(
    None, 'node', lambda _, row: reported.append(row['frames']), period
  )
  for frames in range(4):
    logger.write({'frames': frames})
    time.sleep(0.2 if frames == 1 else 0.01)
  assert reported == kept


def test_the_files_of_a_long_run_are_small():
  now, rows = [0.0], loggers.InMemoryLogger()
  logger = metrics.Thinned(rows, 1.0, lambda: now[0])
  written = []
  for hours in (0.25, 1, 10, 100, 1000):
    while now[0] < 3_600 * hours:
      now[0] += 0.5 if hours < 10 else 20
      logger.write({'frames': now[0]})
    written.append(len(rows.data))
  assert written[0] == 900  # One a second.
  each = np.diff(written)
  assert (each < 2_400).all()
  assert now[0] - rows.data[-1]['frames'] < 3_600  # The end is there.


def test_no_folder_no_files(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  logger = metrics.make_logger(None, 'node')
  logger.write({'frames': 1})
  logger.close()
  assert not glob.glob('**', recursive=True)


_FULL = """
import resource, sys, time
from ald_acme.runs import folder, metrics

metrics._REOPENING = 0.0
logger = metrics.make_logger(folder.RunFolder(sys.argv[1]), 'actor_0', period=0)
for frames in range(20):
  size = 0 if 5 <= frames < 15 else resource.RLIM_INFINITY
  resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
  logger.write({'frames': frames, 'x': frames})
logger.close()
"""


def test_no_event_can_be_written_for_a_while(folder, tmp_path):
  """TensorFlow's errors of files are none of Python's; a node would end."""
  done = subprocess.run(
    [sys.executable, '-c', _FULL, str(tmp_path)],
    env={**os.environ, 'PYTHONPATH': ROOT},
    stderr=subprocess.PIPE,
    text=True,
    check=False,
  )
  assert done.returncode == 0, done.stderr
  assert 'A row of TensorBoard is lost' in done.stderr
  steps = [step for step, _ in _events(folder, 'actor_0')['actor/x']]
  assert steps[-3:] == [17, 18, 19]


def test_a_full_disk_loses_rows_and_no_more(tmp_path, monkeypatch, caplog):
  folder = run_folder.RunFolder(str(tmp_path))
  told = []
  logger = metrics.make_logger(
    folder, 'learner', lambda node, row: told.append(row), period=0.0
  )

  def refuse(*_):
    raise OSError(28, 'No space left on device')

  good = metrics.CSV.write
  monkeypatch.setattr(metrics.CSV, 'write', refuse)
  logger.write({'frames': 1})
  monkeypatch.setattr(metrics.CSV, 'write', good)
  logger.write({'frames': 2})
  logger.close()
  assert [row['frames'] for row in told] == [1, 2]
  assert 'A row of logs/learner.csv is lost' in caplog.text
  rows = (tmp_path / 'logs' / 'learner.csv').read_text()
  assert rows.split() == ['frames', '2']


@pytest.mark.parametrize('before', [{}, {'frames': 0}])
def test_a_full_disk_while_columns_are_added(tmp_path, monkeypatch, before):
  """The file of the columns cannot be written; later rows are whole again."""
  folder = run_folder.RunFolder(str(tmp_path))
  logger = metrics.make_logger(
    folder, 'learner', lambda node, row: None, period=0.0
  )
  if before:
    logger.write(before)

  def refuse(*_):
    raise OSError(28, 'No space left on device')

  good = metrics.files.atomic
  monkeypatch.setattr(metrics.files, 'atomic', refuse)
  logger.write({'frames': 1, 'loss': 0.5})
  monkeypatch.setattr(metrics.files, 'atomic', good)
  logger.write({'frames': 2, 'loss': 0.25})
  logger.close()
  with open(tmp_path / 'logs' / 'learner.csv', encoding='utf-8') as file:
    rows = list(csv.DictReader(file))
  assert rows[-1] == {'frames': '2', 'loss': '0.25'}
  assert len(rows) == 1 + bool(before)

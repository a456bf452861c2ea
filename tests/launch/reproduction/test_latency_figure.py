"""The figure of latencies, and its measurement."""

import os
import time

from matplotlib import pyplot
import pytest

from launch.campaigns import jobs
from launch.reproduction import catalogue
from launch.reproduction import figures
from launch.reproduction import latency_figure

FIGURE = catalogue.FIGURES['latency']
LATENCIES = """\
network,preset,steps,runtime,p50_ms,p99_ms,commit
LSTM,small,500,TensorFlow Lite,0.25,0.5,01234567890
GTrXL,small,500,XLA,1.5,2.5,01234567890
LSTM,paper,500,TensorFlow Lite,0.25,0.5,01234567890
GTrXL,paper,500,XLA,11.5,12.5,01234567890
"""


def _read(path):
  with open(path, encoding='utf-8') as file:
    return file.read()


@pytest.mark.parametrize(
  'was,other',
  [('500', '30'), ('paper', 'tiny'), ('runtime', 'x'), ('commit', 'x')],
)
def test_results_of_other_latencies_are_rejected(was, other, tmp_path):
  (job,) = FIGURE.needs(figures.Order(str(tmp_path), seeds=5))
  with open(job.path, 'w') as file:
    file.write(LATENCIES.replace(was, other))
  with pytest.raises(ValueError, match=r'latency.csv .* delete it'):
    job.is_done()


def test_latency(tmp_path):
  order = figures.Order(str(tmp_path), seeds=5)
  (job,) = FIGURE.needs(order)
  assert not job.is_done() and not FIGURE.make(order)
  assert job.command()[2:] == [
    str(tmp_path / 'latency.csv'),
    '500',
    'small',
    'paper',
  ]
  with open(job.path, 'w') as file:
    file.write(LATENCIES)
  assert job.is_done() and FIGURE.make(order)
  page = _read(tmp_path / 'latency.md')
  assert '| GTrXL | small | 500 | XLA | 1.5 | 2.5 |' in page
  assert 'Made by commit 0123456789.' in page
  for ending in ('png', 'svg'):
    assert os.path.getsize(tmp_path / f'latency.{ending}') > 5_000
  small = figures.Order(str(tmp_path), seeds=1, small=True)
  assert FIGURE.needs(small)[0].command()[3:] == ['30', 'small']


def test_measuring_gives_a_table(tmp_path):
  """The real thing, for a moment."""
  order = figures.Order(str(tmp_path), seeds=1, small=True)
  pool = jobs.Pool(FIGURE.needs(order), 1)
  while pool.step():
    time.sleep(0.1)
  assert not pool.failed
  rows = _read(tmp_path / 'latency.csv').splitlines()
  assert rows[0] == 'network,preset,steps,runtime,p50_ms,p99_ms,commit'
  ran = [('LSTM', 'TensorFlow Lite'), ('GTrXL', 'XLA')]
  for row, (network, runtime) in zip(rows[1:], ran, strict=True):
    *names, p50, p99, _ = row.split(',')
    assert names == [network, 'small', '30', runtime]
    assert 0 < float(p50) <= float(p99)


def test_drawing():
  figure, axes = pyplot.subplots()
  rows = [
    {'network': network, 'preset': preset, 'p50_ms': p50, 'p99_ms': p99}
    for network, preset, p50, p99 in [
      ('LSTM', 'small', '0.25', '0.5'),
      ('GTrXL', 'small', '1', '2'),
      ('LSTM', 'paper', '0.5', '1'),
      ('GTrXL', 'paper', '10', '20'),
    ]
  ]
  latency_figure.draw(axes, rows, {'LSTM': 'red', 'GTrXL': 'green'})
  bars = sorted(axes.patches, key=lambda bar: bar.get_x())
  assert [bar.get_height() for bar in bars] == [0.25, 1, 0.5, 10]
  texts = [text.get_text() for text in axes.texts]
  assert texts == ['0.25 ms', '1 ms', '0.5 ms', '10 ms']
  assert axes.get_yscale() == 'log'
  assert len(axes.get_legend().get_texts()) == 2
  pyplot.close(figure)

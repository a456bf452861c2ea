"""Logs are read, even if damaged, and plotted."""

import os

from matplotlib import image
from matplotlib import pyplot
import numpy as np
import pytest

from ald_acme.runs import curves
from ald_acme.runs import folder as run_folder

NAN = float('nan')


@pytest.fixture
def folder(tmp_path):
  folder = run_folder.RunFolder(str(tmp_path))
  os.makedirs(folder.logs)
  return folder


def _log(folder, text):
  with open(os.path.join(folder.logs, 'evaluator.csv'), 'w') as file:
    file.write(text)


@pytest.mark.parametrize(
  'text, columns',
  [
    ('', {}),
    ('frames,ret', {}),
    ('frames,ret\n', {}),
    ('a,b\n1,0.5\n2,1e-3\n', {'a': [1, 2], 'b': [0.5, 0.001]}),
    ('a,b\n1,nan\n2,\n3,x\n', {'a': [1, 2, 3], 'b': [NAN] * 3}),
    ('a,b\n1,2\n3', {'a': [1, 3], 'b': [2, NAN]}),  # Cut short.
    ('a,b\n1,2,3\n', {'a': [1], 'b': [2]}),
    ('a,b\r\n1,2\r\n', {'a': [1], 'b': [2]}),
  ],
)
def test_read(folder, text, columns):
  _log(folder, text)
  log = curves.read(folder, 'evaluator')
  assert log.keys() == columns.keys()
  for name, column in columns.items():
    np.testing.assert_array_equal(log[name], column)


def test_there_may_be_no_log(folder):
  assert curves.read(folder, 'evaluator') == {}


@pytest.mark.parametrize(
  'text, actor, learner',
  [
    (None, [], []),
    ('frames,actor_return,learner_return\n', [], []),
    (
      'actor_return,frames,learner_return\n0.5,10,nan\n1.0,20,0.75\n0.25,30',
      [(10, 0.5), (20, 1.0), (30, 0.25)],
      [(10, NAN), (20, 0.75), (30, NAN)],
    ),
    (
      'frames,actor_return\n10,0.5\n20,0.6\n30,0.7\n12,0.1\n25,0.2\n',
      [(10, 0.5), (12, 0.1), (25, 0.2)],
      [(10, NAN), (12, NAN), (25, NAN)],
    ),
  ],
  ids=['no log', 'no rows', 'cut short', 'went back to a checkpoint'],
)
def test_draw(folder, monkeypatch, text, actor, learner):
  if text is not None:
    _log(folder, text)
  figures, close = [], pyplot.close
  monkeypatch.setattr(pyplot, 'close', figures.append)
  curves.draw(folder)
  (axes,) = figures[0].axes
  for line, label, points in zip(
    axes.lines, ['actor', 'learner'], [actor, learner]
  ):
    assert line.get_label() == label
    np.testing.assert_array_equal(
      line.get_xydata(), np.reshape(points, [-1, 2])
    )
  close(figures[0])
  assert not pyplot.get_fignums()
  assert image.imread(folder.learning_curve).shape == (480, 840, 4)

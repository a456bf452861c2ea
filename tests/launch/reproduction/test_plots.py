"""Plots show the given numbers."""

import os

from matplotlib import image
from matplotlib import pyplot
import numpy as np
import pytest

from launch.campaigns import results
from launch.reproduction import plots

NAN = float('nan')


def _result(
  seed,
  frames,
  returns,
  solved_at=None,
  dprl=4.0,
  seconds=None,
  first=NAN,
  last=NAN,
):
  seconds = NAN if seconds is None else np.array(seconds, float)
  return results.Result(
    seed=seed,
    config={'dprl': dprl},
    commit=None,
    summary={'solved_at_frames': solved_at, 'final_return': returns[-1]},
    frames=np.array(frames, float),
    returns=np.array(returns, float),
    first_returns=np.full(len(frames), first),
    last_returns=np.full(len(frames), last),
    seconds=np.full(len(frames), seconds),
    actor_updates=np.full(len(frames), NAN),
  )


def _group(*found, title='ALD', colour='#0072B2', max_frames=100):
  return results.Group(title, colour, 2, max_frames, found)


TWO = _group(
  _result(0, [0, 50], [0.0, 1.0], 50, seconds=[1, 11]),
  _result(1, [0, 25], [0.5, 1.0], 25, seconds=[1, 21]),
)
NONE = _group(title='LSTM', colour='#D55E00', max_frames=200)


@pytest.fixture
def axes():
  figure, axes = pyplot.subplots()
  yield axes
  figure.canvas.draw()  # What it was given can be drawn.
  pyplot.close(figure)


def _lines(axes, colour):
  return [line for line in axes.lines if line.get_color() == colour]


def test_against_frames(axes):
  plots.against_frames(axes, [TWO, NONE], solvable=True)
  (line,) = _lines(axes, TWO.colour)
  frames, returns = line.get_data()
  assert len(frames) == 201 and frames[-1] == 100
  np.testing.assert_allclose(
    returns,
    [
      (float(f >= 50) + (1.0 if f >= 25 else 0.5)) / 2
      for f in np.arange(201) / 2
    ],
  )
  (band,) = axes.collections
  low, high = band.get_paths()[0].get_extents().intervaly
  assert (low, high) == (0.0, 1.0)
  labels = [text.get_text() for text in axes.get_legend().get_texts()]
  assert labels == ['ALD']  # The other has no run.
  assert axes.get_xlabel() == 'environment frames'
  assert axes.get_ylim()[1] < 1.1


def test_rewards_of_any_size_are_shown(axes):
  group = _group(_result(0, [0, 50], [3.0, 30.0]))
  plots.against_frames(axes, [group], solvable=False)
  assert axes.get_ylim()[1] > 30


def test_against_seconds(axes):
  untimed = _group(
    _result(0, [0, 9], [0.0, 0.5], seconds=[2, 4]),
    _result(1, [0, 9], [0.0, 0.7]),
    title='old',
    colour='red',
  )
  plots.against_seconds(axes, [TWO, untimed, NONE], solvable=True)
  seconds, returns = _lines(axes, TWO.colour)[0].get_data()
  assert seconds[-1] == 11  # Where the first run ends.
  assert np.isnan(returns[0]) and returns[-1] == 0.75
  seconds, returns = _lines(axes, 'red')[0].get_data()
  assert seconds[-1] == 4 and returns[-1] == 0.5
  labels = [text.get_text() for text in axes.get_legend().get_texts()]
  assert labels == ['ALD', 'old (1 of 2 timed)']


def test_each_seed():
  figure, panels = pyplot.subplots(1, 2)
  plots.each_seed(panels, [TWO, NONE], solvable=True)
  lines = _lines(panels[0], TWO.colour)
  assert [line.get_ydata()[0] for line in lines] == [0.0, 0.5]
  assert panels[0].get_title() == 'ALD: 2 seeds'
  assert panels[1].get_title() == 'LSTM: 0 of 2 seeds'
  for axes in panels:
    assert [0.5, 0.5] in [list(line.get_ydata()) for line in axes.lines]
  figure.canvas.draw()
  pyplot.close(figure)


def test_reference(axes):
  axes.plot([0, 100], [1.0, 2.0])
  plots.reference(axes, 5.0, 'perfect memory 5')
  assert list(axes.lines[1].get_ydata()) == [5.0, 5.0]
  assert axes.get_ylim()[1] >= 5.0
  assert [text.get_text() for text in axes.texts] == ['perfect memory 5']


def test_adaptation(axes):
  group = _group(
    _result(0, [0, 50], [2.0, 3.0], first=[0.2, 0.4], last=[0.2, 1.0]),
    _result(1, [0, 50], [2.0, 3.0], first=[0.4, 0.6], last=[0.4, 0.8]),
  )
  plots.adaptation([axes], [group], solvable=False)
  last, first = axes.lines
  np.testing.assert_allclose(last.get_ydata()[[0, -1]], [0.3, 0.9])
  np.testing.assert_allclose(first.get_ydata()[[0, -1]], [0.3, 0.5])
  labels = [text.get_text() for text in axes.get_legend().get_texts()]
  assert labels == ['last episode of a trial', 'first episode']


def test_frames_to_solved(axes):
  never = _group(
    _result(0, [0], [0.5], None, dprl=16.0),
    _result(1, [0], [0.5], 60, dprl=16.0),
    _result(2, [0], [0.5], None, dprl=16.0),
    colour='green',
  )
  plots.frames_to_solved(axes, [TWO, NONE, never], 'dprl', 'DpRL')
  points = [
    (*line.get_xydata()[0], line.get_marker())
    for line in axes.lines
    if len(line.get_xdata()) == 1
  ]
  assert points == [
    (4, 50, 'o'),
    (4, 25, 'o'),
    (16, 100, 'x'),  # At the end of the run.
    (16, 60, 'o'),
    (16, 100, 'x'),
  ]
  (medians,) = [line for line in axes.lines if len(line.get_xdata()) == 2]
  np.testing.assert_array_equal(medians.get_xydata(), [[4, 37.5], [16, NAN]])
  labels = [text.get_text() for text in axes.get_xticklabels()]
  assert labels == ['4', '16']


def test_bars(axes):
  one = _group(_result(0, [0], [0.25]), title='no distillation')
  plots.bars(
    axes, [TWO, NONE, one], lambda r: r.returns[0], 'first return', '.2f'
  )
  heights = {bar.get_x() + 0.3: bar.get_height() for bar in axes.patches}
  assert heights == {0: 0.25, 2: 0.25}
  assert len(axes.collections) == 1  # An interval for the two seeds alone.
  assert [text.get_text() for text in axes.texts] == ['0.25', '0.25']
  labels = [text.get_text() for text in axes.get_xticklabels()]
  assert labels == ['ALD', 'LSTM', 'no\ndistillation']


def _draw(path):
  with plots.drawing(2, 'A title', 'A caption', path) as panels:
    for axes in panels:
      plots.against_frames(axes, [TWO, NONE], solvable=True)
  return [open(f'{path}.{ending}', 'rb').read() for ending in ('png', 'svg')]


def test_the_same_drawing_is_the_same_files(tmp_path):
  path = str(tmp_path / 'drawing')
  first = _draw(path)
  assert _draw(path) == first
  assert image.imread(f'{path}.png').shape[2] == 4
  assert b'<dc:date>' not in first[1]
  assert not pyplot.get_fignums()


def test_a_drawing_that_fails_leaves_nothing(tmp_path):
  with pytest.raises(KeyError):
    with plots.drawing(1, '', '', str(tmp_path / 'drawing')):
      raise KeyError
  assert not os.listdir(tmp_path)
  assert not pyplot.get_fignums()

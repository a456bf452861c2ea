"""Console output: lines in a file, a panel on a terminal, a table."""

import io
import os
import re
import time

import pytest

from ald_acme.runs import folder as run_folder
from ald_acme.runs import progress

PROGRESS = {
  'state': 'running',
  'frames': 1_200,
  'max_frames': 6_000,
  'frames_per_second': 1234.5,
  'actor_return': 0.5,
  'learner_return': None,
  'shown': {'DpRL': '4.00', 'KL': '0.0123', 'policy lag': '2'},
  'eta_seconds': 3661.0,
  'wall_seconds': 59.7,
}


def _console(terminal=False, width=100):
  return progress.make_console(
    file=io.StringIO(), force_terminal=terminal, width=width
  )


def _shown(console):
  return console.file.getvalue()


@pytest.fixture
def folder(tmp_path):
  return run_folder.RunFolder(str(tmp_path))


@pytest.mark.parametrize(
  'seconds, text',
  [
    (0, '0:00'),
    (9.4, '0:09'),
    (59.6, '1:00'),
    (61, '1:01'),
    (3599.6, '1:00:00'),
    (3661, '1:01:01'),
    (100 * 3600, '100:00:00'),
  ],
)
def test_duration(seconds, text):
  assert progress.duration(seconds) == text


def test_plain_lines(folder):
  console = _console()
  with progress.Display(folder, console) as display:
    display.show(PROGRESS)
  assert _shown(console) == (
    ' running  time 1:00  frames 1,200 of 6,000 (20%)  frames/s 1,234  '
    'actor return 0.500  DpRL 4.00  KL 0.0123  policy lag 2  ETA 1:01:01\n'
  )


def test_lines_are_rate_limited(folder, monkeypatch):
  console = _console()
  with progress.Display(folder, console) as display:
    for second in range(100, 121):
      monkeypatch.setattr(time, 'monotonic', lambda second=second: second)
      display.show(PROGRESS)
  assert len(_shown(console).splitlines()) == 3


@pytest.mark.parametrize('terminal', [False, True])
def test_before_there_is_progress(folder, terminal):
  console = _console(terminal)
  with progress.Display(folder, console) as display:
    display.show(None)
  assert 'starting' in _shown(console)
  assert '0:00' in _shown(console)
  assert 'frames' not in _shown(console)


def test_a_node_that_stalls_again_is_named_again(folder):
  console = _console()
  with progress.Display(folder, console) as display:
    for stalls in (
      {'a': 'x'},
      {'a': 'x'},
      {},
      {'a': 'y'},
      {'a': 'y', 'b': 'z'},
    ):
      display.show({**PROGRESS, 'stalls': stalls})
  lines = _shown(console).splitlines()
  warnings = [line[9:] for line in lines if line.startswith('warning: ')]
  assert warnings == ['x', 'y', 'z']


def test_a_panel_is_drawn(folder):
  """The text that a terminal shows, without colours."""
  console = _console(terminal=True, width=80)
  console.print(progress.Display(folder, console)._panel(PROGRESS))
  drawn = re.sub(r'\x1b\[[0-9;]*m', '', _shown(console))
  title, *lines, _ = drawn.splitlines()
  assert os.path.basename(folder.path)[:20] in title
  assert [line.split() for line in lines] == [
    ['│', 'running', 'DpRL', '4.00', '│'],
    ['│', 'time', '1:00', 'KL', '0.0123', '│'],
    ['│', 'frames', '1,200', 'of', '6,000', '(20%)', 'policy', 'lag', '2', '│'],
    ['│', 'frames/s', '1,234', 'ETA', '1:01:01', '│'],
    ['│', 'actor', 'return', '0.500', '│'],
  ]
  assert max(map(len, drawn.splitlines())) <= 80


def test_a_panel_on_a_terminal(folder):
  console = _console(terminal=True)
  with progress.Display(folder, console) as display:
    display.show({**PROGRESS, 'frames': 7})
    display.show(PROGRESS)
  shown = _shown(console)
  for text in ('╭', 'running', '1,200 of 6,000 (20%)', '1:01:01'):
    assert text in shown
  assert 'learner return' not in shown  # Not known yet.


@pytest.mark.parametrize('count', range(7))
def test_a_panel_shows_every_field(folder, count):
  names = list(PROGRESS)
  known = {
    name: PROGRESS[name] for name in ('state', 'wall_seconds', *names[1:count])
  }
  console = _console()
  console.print(progress.Display(folder, console)._panel(known))
  for name, text in (
    ('state', 'running'),
    ('frames', '1,200'),
    ('frames_per_second', '1,234'),
    ('actor_return', '0.500'),
    ('shown', '4.00'),
    ('shown', '0.0123'),
  ):
    assert (text in _shown(console)) == (name in known)


def test_the_summary(folder):
  console = _console()
  summary = {
    'frames': 600_000,
    'wall_seconds': 1234.5,
    'final_return': 0.98765,
    'solved_at_frames': None,
    'dprl_configured': None,
    'seed': 20_000,
    'stopped_because': 'max_frames',
  }
  progress.print_summary(summary, folder, None, console)
  lines = [line.split() for line in _shown(console).splitlines() if line]
  lines = [line for line in lines if line]
  assert lines == [
    ['frames', '600,000'],
    ['wall_seconds', '1,234'],
    ['final_return', '0.9877'],
    ['solved_at_frames', 'never'],
    ['dprl_configured', '-'],
    ['seed', '20000'],
    ['stopped_because', 'max_frames'],
    ['learning', 'curve:', folder.learning_curve],
    ['checkpoint:', 'none'],
    ['summary:', folder.summary],
  ]


@pytest.mark.parametrize('name', ['lr[0.1]', 'run[a]', 'run[/a]'])
def test_paths_are_shown_as_they_are(name):
  folder = run_folder.RunFolder(name)
  console = _console()
  progress.print_summary({}, folder, f'{name}/c', console)
  for path in (folder.learning_curve, f'{name}/c', folder.summary):
    assert f': {path}\n' in _shown(console)
  console = _console()
  console.print(progress.Display(folder, console)._panel(PROGRESS))
  assert f' {name} ' in _shown(console)

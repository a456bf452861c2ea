"""The command: runs missing jobs, draws figures, and reports failures."""

import io
import os
import signal
import subprocess
import sys
import time

import pytest
from rich import console as rich_console

from launch import reproduce
from launch.campaigns import jobs
from launch.campaigns import running
from launch.reproduction import catalogue
from launch.reproduction import figures

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))
REPRODUCE = os.path.join(ROOT, 'launch', 'reproduce.py')
# As the script, with a launcher that trains nothing.
FAKED = """
import sys
from launch import reproduce
from launch.campaigns import runs
runs.LAUNCHER = sys.argv.pop(1)
sys.exit(reproduce.main())
"""


@pytest.fixture
def start(fake_launcher, tmp_path):
  """Starts the program with the fake launcher, in a folder of its own."""
  started = []

  def start(*arguments, fake=''):
    started.append(
      subprocess.Popen(
        [sys.executable, '-c', FAKED, fake_launcher, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env={**os.environ, 'PYTHONPATH': ROOT, 'FAKE': fake},
      )
    )
    return started[-1]

  yield start
  for process in started:
    process.kill()
    process.communicate()


@pytest.fixture
def run(start):
  """Runs it to its end: status, output and errors."""

  def run(*arguments, fake=''):
    process = start(*arguments, fake=fake)
    out, error = process.communicate(timeout=120)
    assert 'Traceback' not in out + error
    return process.returncode, out, error

  return run


def _times(folder):
  """When each run of a folder was finished."""
  return {
    os.path.join(path, name): os.stat(os.path.join(path, name)).st_mtime_ns
    for path, _, names in os.walk(folder)
    for name in names
    if name == 'summary.json'
  }


# Command lines.


@pytest.mark.parametrize(
  'arguments, texts',
  [
    (['no_such'], ('no_such', 'i_maze_9, ', 'latency', 'all')),
    (['dprl', 'no_such'], ('no_such', 'ablations')),
    ([], ('FIGURE',)),
    (['dprl', '--seeds=0'], ('--seeds', 'from 1 to 1000', "'0'")),
    (['dprl', f'--seeds={"9" * 400}'], ('--seeds', 'from 1 to 1000')),
    (['dprl', '--folder=caf\udce9'], ('caf\\xe9', 'UTF-8')),
    (['dprl', '--seeds=x'], ('--seeds', "'x'")),
    (['dprl', '--seeds=1.5'], ('--seeds', "'1.5'")),
    (['dprl', '--workers=-1'], ('--workers', "'-1'")),
    (['dprl', '--check', '--only=x'], ('--check', '--only')),
    (['dprl', '--no_such_flag=1'], ('--no_such_flag',)),
    (['dprl', '--seed=1'], ('--seed=1',)),  # No abbreviations.
  ],
)
def test_wrong_command_lines(arguments, texts, capsys):
  with pytest.raises(SystemExit) as end:
    reproduce.main(arguments)
  assert end.value.code == 2
  (line,) = capsys.readouterr().err.splitlines()
  assert line.startswith('error: ')
  for text in texts:
    assert text in line


def test_help_lists_the_figures(capsys):
  with pytest.raises(SystemExit) as end:
    reproduce.main(['--help'])
  assert end.value.code == 0
  lines = capsys.readouterr().out.splitlines()
  for figure in catalogue.FIGURES.values():
    (line,) = [line for line in lines if line.split()[:1] == [figure.name]]
    assert line.endswith(figure.about)


def test_help_is_immediate():
  code = (
    'import sys; from launch import reproduce\n'
    'try: reproduce.main(["--help"])\n'
    'except SystemExit: pass\n'
    'print({"tensorflow", "matplotlib", "acme"} & set(sys.modules))'
  )
  out = subprocess.run(
    [sys.executable, '-c', code],
    capture_output=True,
    text=True,
    cwd=ROOT,
    check=True,
  ).stdout
  assert out.splitlines()[-1] == 'set()'


def test_a_folder_that_cannot_be_created(run, tmp_path):
  (tmp_path / 'file').touch()
  status, _, error = run('dprl', '--folder=file/results')
  assert status == 1
  (line,) = error.splitlines()
  assert line.startswith('error: ') and 'file/results' in line
  assert '--folder' in line


# Runs and files.


def test_runs_what_is_missing(run, tmp_path):
  status, out, error = run('hogwild', '--seeds=2')
  assert (status, error) == (0, '')
  assert 'hogwild: results/hogwild.{png,svg,csv,md}' in out
  times = _times(tmp_path)
  assert len(times) == 6
  for ending in ('png', 'svg', 'csv', 'md'):
    assert os.path.getsize(tmp_path / 'results' / f'hogwild.{ending}') > 100
  log = tmp_path / 'results/runs/i_maze_9/ald_distillers_2/seed_1.log'
  assert log.exists()

  # A second time there is nothing to run; another figure shares runs.
  assert run('hogwild', '--seeds=2')[0] == 0
  assert _times(tmp_path) == times
  status, out, _ = run('dprl', 'hogwild', '--seeds=2', '--workers=3')
  assert status == 0
  assert '6 of 14 done' in out
  later = _times(tmp_path)
  assert len(later) == 14 and later.items() >= times.items()


def test_a_crashed_run_is_restarted(run, tmp_path):
  assert run('hogwild', '--seeds=1')[0] == 0
  folder = tmp_path / 'results/runs/i_maze_9/ald_distillers_4/seed_0'
  before = _times(tmp_path)
  os.remove(folder / 'summary.json')
  (folder / 'logs' / 'learner.csv').touch()
  assert run('hogwild', '--seeds=1')[0] == 0
  after = _times(tmp_path)
  changed = {path for path in after if after[path] != before[path]}
  assert changed == {str(folder / 'summary.json')}
  assert not (folder / 'logs' / 'learner.csv').exists()


def test_a_run_that_fails(run, tmp_path):
  label = 'i_maze_9/ald_distillers_2/seed_1'
  status, out, _ = run('hogwild', '--seeds=2', fake=f'fail {label}')
  assert status == 1
  (line,) = [line for line in out.splitlines() if ' failed: ' in line]
  assert line.startswith(f'{label} failed: ended with status 1')
  assert f'results/runs/{label}.log' in line and 'this run fails' in line
  page = (tmp_path / 'results' / 'hogwild.md').read_text()
  assert 'Seeds: ALD 2; ALD, 2 distillers 1 of 2; ALD, 4 distillers 2.' in page
  assert len(_times(tmp_path)) == 5

  status, out, _ = run('hogwild', '--seeds=2')  # Runs the missing one.
  assert status == 0
  page = (tmp_path / 'results' / 'hogwild.md').read_text()
  assert 'Seeds of each: 2.' in page


def test_nothing_finishes(run, tmp_path):
  status, out, _ = run('hogwild', '--seeds=1', fake='fail seed_0')
  assert status == 1
  assert 'hogwild: no run of it has finished' in out
  assert not (tmp_path / 'results' / 'hogwild.md').exists()


def test_a_run_of_another_configuration(run, tmp_path, fake_run):
  path = tmp_path / 'results/runs/i_maze_9/ald/seed_0'
  fake_run(
    str(path),
    {'max_frames': 600_000, 'dprl': 5.0},
    environment_kwargs='size=9,limit=100',
  )
  status, _, error = run('hogwild', '--seeds=1')
  assert status == 1
  assert error.startswith('error: ') and len(error.splitlines()) == 1
  for text in ('i_maze_9/ald/seed_0', 'dprl=5.0', '1.5', 'delete'):
    assert text in error
  assert len(_times(tmp_path)) == 1, 'something was run'


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_is_passed_on(start, tmp_path, number):
  process = start('hogwild', '--seeds=2', '--workers=2', fake='wait')
  folder = tmp_path / 'results/runs/i_maze_9'
  logs = [folder / f'{name}/seed_0.log' for name in ('ald', 'ald_distillers_2')]
  deadline = time.monotonic() + 60
  while not all(log.exists() and 'waiting' in log.read_text() for log in logs):
    assert process.poll() is None and time.monotonic() < deadline
    time.sleep(0.05)
  process.send_signal(number)
  out, error = process.communicate(timeout=60)
  assert process.returncode == 130
  assert (error, 'Traceback' in out) == ('', False)
  assert 'Stopping' in out and 'failed' not in out
  for log in logs:
    assert log.read_text() == 'waiting\n'  # Not killed, not started again.
  assert not (folder / 'ald_distillers_4').exists()
  assert not (tmp_path / 'results' / 'hogwild.png').exists()


def test_all_skips_figures_without_their_package(monkeypatch):
  monkeypatch.setattr(
    figures.importlib.util, 'find_spec', lambda name: name != 'bsuite' or None
  )
  screen = io.StringIO()
  console = rich_console.Console(file=screen, width=200)
  chosen = reproduce._choose(['all'], console)
  missing = set(catalogue.FIGURES) - {figure.name for figure in chosen}
  assert missing == {'bsuite_memory', 'long_memory', 'longer_memory'}
  assert screen.getvalue().count('\n') == 3
  assert 'bsuite_memory is left out: bsuite is not' in screen.getvalue()
  # A figure requested by name raises an error with the cure.
  (asked,) = reproduce._choose(['bsuite_memory'], console)
  assert asked.name == 'bsuite_memory'


def test_smoke_has_a_separate_folder(run, tmp_path):
  assert run('meta_fetch', '--smoke')[0] == 0
  assert os.listdir(tmp_path / 'results') == ['smoke']
  assert len(_times(tmp_path / 'results' / 'smoke' / 'runs')) == 6
  assert 'SMOKE' in (tmp_path / 'results/smoke/meta_fetch.md').read_text()


@pytest.mark.timeout(600)
def test_smoke_with_real_runs(tmp_path):
  result = subprocess.run(
    [sys.executable, REPRODUCE, 'meta_fetch', '--smoke']
    + [f'--folder={tmp_path}', '--workers=2'],
    capture_output=True,
    text=True,
    check=False,
  )
  assert result.returncode == 0, result.stdout + result.stderr
  page = (tmp_path / 'smoke' / 'meta_fetch.md').read_text()
  assert 'Seeds of each: 1.' in page
  assert len(_times(tmp_path)) == 6  # A method each.
  for ending in ('png', 'svg'):
    path = tmp_path / 'smoke' / f'meta_fetch.{ending}'
    assert os.path.getsize(path) > 10_000


# The display.


class _Job:
  log = ''

  def __init__(self, kind, seed, done, seconds=None, progress=None):
    self.kind, self.label = kind, f'{kind}/seed_{seed}'
    self.is_done = lambda: done
    self.seconds = lambda: seconds
    self.progress = lambda: progress


def _pool(*, waiting=(), running=(), done=(), failed=()):
  pool = jobs.Pool([*done, *waiting], 1)
  pool.running = [(job, None) for job in running]
  pool.failed = [(job, 'it broke') for job in failed]
  return pool


HALF = {'frames': 1_500, 'max_frames': 3_000, 'eta_seconds': 20.0}


def test_lines():
  pool = _pool(
    done=[_Job('a', 0, True, 100.0), _Job('a', 1, True, 50.0)],
    waiting=[_Job('a', 2, False), _Job('b', 0, False)],
    running=[_Job('a', 3, False, progress=HALF), _Job('b', 1, False)],
    failed=[_Job('c', 0, False)],
  )
  console = rich_console.Console(file=io.StringIO(), width=200)
  with running.Display(console) as display:
    display.show(pool)
    display.show(pool)
  # Two runs at a time do 75 + 75 + 20 + 75 seconds; b takes what others do.
  assert console.file.getvalue() == (
    'c/seed_0 failed: it broke\n'
    '2 of 7 done, 1 failed, ETA 2:02  a/seed_3 1,500 of 3,000 (50%)  b/seed_1\n'
  )


def test_before_any_duration_is_known():
  pool = _pool(waiting=[_Job('a', 0, False)], running=[_Job('b', 0, False)])
  assert running.state(pool) == ['0 of 2 done', 'b/seed_0']


def test_on_a_terminal():
  console = rich_console.Console(
    file=io.StringIO(), width=80, force_terminal=True
  )
  with running.Display(console) as display:
    display.show(_pool(running=[_Job('a', 0, False, progress=HALF)]))
  assert 'a/seed_0 1,500 of 3,000 (50%)' in console.file.getvalue()

"""Supervision of a run, with fake nodes."""

import json
import os
import signal
import threading

import pytest

from ald_acme.runs import folder as run_folder
from ald_acme.runs import progress
from launch import supervising


class Nodes:
  """Nodes that go on until something happens, at the third look."""

  def __init__(self, folder, logs, happens):
    self.folder, self.logs, self.happens = folder, logs, happens
    self.looks, self.calls = 0, []
    self.asked, self.hangs = threading.Event(), False

  def launch(self):
    self.calls.append('launch')

  def failed(self):
    self.looks += 1
    return self.happens(self) if self.looks == 3 else None

  def status(self, name):
    return f'{name} is tired'

  def log(self, name):
    return os.path.join(self.logs, f'{name}.log')

  def request_stop(self, reason, failed=''):
    self.calls.append((reason, failed))
    self.asked.set()
    if self.hangs:
      threading.Event().wait()
    self.end(reason)
    return True

  def stop(self, urgent):
    self.calls.append('kill' if urgent() else 'stop')

  def end(self, reason):
    """Does what the monitor does at the end."""
    for path, content in (
      (self.folder.summary, {'frames': 7, 'stopped_because': reason}),
      (self.folder.progress, {'state': 'ended'}),
    ):
      with open(path, 'w', encoding='utf-8') as file:
        json.dump(content, file)


_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.fixture
def supervise(tmp_path, monkeypatch):
  """Runs nodes to their end; the exit status and the nodes."""
  folder = run_folder.RunFolder(str(tmp_path / 'run'))
  monkeypatch.setattr(supervising, '_POLL', 0.0)
  monkeypatch.setattr(supervising.curves, 'draw', lambda _: None)
  handlers = {s: signal.getsignal(s) for s in _SIGNALS}
  signal.signal(signal.SIGHUP, signal.SIG_DFL)  # Under `nohup` it is ignored.
  made = []

  def run(happens, **arguments):
    def make(logs):
      made.append(Nodes(folder, logs, happens))
      return made[-1]

    with folder.create():
      # Left by an earlier launch; says nothing about this one.
      (tmp_path / 'run' / 'progress.json').write_text('{"state": "ended"}')
      (tmp_path / 'run' / 'summary.json').write_text('{"frames": 1}')
      console = progress.make_console()
      status = supervising.supervise(folder, make, console, **arguments)
      return status, made[0]

  run.made = made
  yield run
  for number, handler in handlers.items():
    signal.signal(number, handler)


def test_the_program_ends(supervise, capsys):
  def ends(nodes):
    nodes.end('max_frames')
    return 'actor_0'  # It may end first.

  status, nodes = supervise(ends)
  assert status == 0
  assert nodes.calls == ['launch', 'stop']
  assert os.path.basename(nodes.logs) == 'launch-1'
  assert 'max_frames' in capsys.readouterr().out


@pytest.mark.parametrize('number', _SIGNALS)
def test_interrupted(number, supervise, capsys):
  def interrupts(nodes):
    with open(nodes.folder.progress, 'w', encoding='utf-8') as file:
      json.dump({'state': 'running', 'wall_seconds': 1}, file)
    os.kill(os.getpid(), number)

  status, nodes = supervise(interrupts)
  assert status == 130
  assert nodes.calls == ['launch', ('interrupted', ''), 'stop']
  assert 'The last state was not saved' not in capsys.readouterr().out


def test_a_second_interrupt_ends_at_once(supervise, capsys):
  def interrupts(nodes):
    nodes.hangs = True

    def again():
      nodes.asked.wait()
      os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=again).start()
    os.kill(os.getpid(), signal.SIGINT)

  status, nodes = supervise(interrupts)
  assert status == 130
  assert nodes.calls == ['launch', ('interrupted', ''), 'kill']
  assert not os.path.exists(nodes.folder.summary)  # Nor that of an old launch.
  assert 'The last state was not saved' in capsys.readouterr().out


@pytest.mark.parametrize(
  'log, says',
  [
    ('hello\nOSError: disk full\nbye\n', ', and says: OSError: disk full.'),
    (
      'ValueError: jammed\n'
      'ald_acme.environments.batches.members.Failure: number 0, step 8: '
      'jammed\n',
      ', and says: ald_acme.environments.batches.members.Failure: number 0, '
      'step 8: jammed.',
    ),
    ('hello\nBinding: save\n', '.'),  # Killed: no line is the cause.
    (None, '.'),
  ],
)
def test_a_node_fails(supervise, capsys, log, says):
  def fails(nodes):
    if log is not None:
      with open(nodes.log('replay_0'), 'w', encoding='utf-8') as file:
        file.write(log)
    return 'replay_0'

  with pytest.raises(SystemExit) as exit_:
    supervise(fails)
  assert exit_.value.code == 1
  (nodes,) = supervise.made
  assert nodes.calls == ['launch', ('node replay_0 failed', 'replay_0'), 'stop']
  error = capsys.readouterr().err
  assert 'node replay_0 failed (replay_0 is tired)' in error
  path = nodes.log('replay_0')
  assert f'its log is {path}{says} The last good checkpoint is none' in error


def test_no_node_is_left_when_the_launch_fails(supervise, monkeypatch):
  def refuse(nodes):
    nodes.calls.append('launch')
    raise ValueError('no hosts')

  monkeypatch.setattr(Nodes, 'launch', refuse)
  with pytest.raises(ValueError, match='no hosts'):
    supervise(lambda _: None)
  assert supervise.made[0].calls == ['launch', 'stop']


def test_a_node_ends_the_run(supervise, capsys):
  def ends(nodes):
    nodes.end('a checkpoint cannot be written (disk full)')

  with pytest.raises(SystemExit) as exit_:
    supervise(ends)
  assert exit_.value.code == 1
  error = capsys.readouterr().err
  assert 'the run failed: a checkpoint cannot be written (disk full)' in error


@pytest.mark.parametrize('limit', [0.0, 2.0])
def test_a_monitor_that_hangs(supervise, capsys, limit):
  def hangs(nodes):
    with open(nodes.folder.progress, 'w', encoding='utf-8') as file:
      json.dump({'state': 'running', 'wall_seconds': 1}, file)
    if not limit:
      threading.Timer(2.0, os.kill, [os.getpid(), signal.SIGINT]).start()

  if limit:
    with pytest.raises(SystemExit):
      supervise(hangs, stall_warning=0.5, stall_limit=limit)
    error = capsys.readouterr().err
    assert 'node monitor_0 failed (no progress for 2 s)' in error
  else:
    supervise(hangs, stall_warning=0.5)
    out = capsys.readouterr().out
    assert 'warning: node monitor_0 has written no progress for' in out

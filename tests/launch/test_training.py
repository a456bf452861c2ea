"""What becomes of a run, under a stand-in for its nodes."""

import json
import os
import signal

import pytest
from rich import console as rich_console

from ald_acme.runs import checkpoints
from ald_acme.runs import files
from ald_acme.runs import folder as run_folder
from launch import command_line
from launch import training


class Nodes:
  """Nodes that go on until something happens, at the third look."""

  def __init__(self, folder, logs, happens):
    self.folder, self.logs, self.happens = folder, logs, happens
    self.looks, self.calls = 0, []

  def launch(self):
    self.calls.append('launch')

  def failed(self):
    self.looks += 1
    return self.happens(self) if self.looks == 3 else None

  def status(self, name):
    return f'{name} is tired'

  def log(self, name):
    return os.path.join(self.logs, f'{name}.log')

  def request_stop(self, reason, failed=False):
    self.calls.append((reason, failed))
    self.end(reason)

  def stop(self):
    self.calls.append('stop')

  def end(self, reason):
    """Does what the monitor does at the end."""
    for path, content in (
      (self.folder.summary, {'frames': 7, 'stopped_because': reason}),
      (self.folder.progress, {'state': 'ended'}),
    ):
      with open(path, 'w', encoding='utf-8') as file:
        json.dump(content, file)


@pytest.fixture
def see_through(tmp_path, monkeypatch):
  """Runs nodes to their end; the exit status and the nodes."""
  folder = run_folder.RunFolder(str(tmp_path / 'run'))
  monkeypatch.setattr(training, '_POLL', 0.0)
  monkeypatch.setattr(training.curves, 'draw', lambda _: None)
  handlers = {s: signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)}
  made = []

  def run(happens):
    def make(logs):
      made.append(Nodes(folder, logs, happens))
      return made[-1]

    with folder.create():
      # What an earlier launch has left says nothing of this one.
      (tmp_path / 'run' / 'progress.json').write_text('{"state": "ended"}')
      return training.see_through(folder, make, rich_console.Console()), made[0]

  run.made = made
  yield run
  for number, handler in handlers.items():
    signal.signal(number, handler)


def test_the_program_ends(see_through, capsys):
  def ends(nodes):
    nodes.end('max_frames')
    return 'actor_0'  # It may end first.

  status, nodes = see_through(ends)
  assert status == 0
  assert nodes.calls == ['launch', 'stop']
  assert os.path.basename(nodes.logs) == 'launch-1'
  assert 'max_frames' in capsys.readouterr().out


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_interrupted(number, see_through, capsys):
  def interrupts(nodes):
    with open(nodes.folder.progress, 'w', encoding='utf-8') as file:
      json.dump({'state': 'running', 'wall_seconds': 1}, file)
    os.kill(os.getpid(), number)

  status, nodes = see_through(interrupts)
  assert status == 130
  assert nodes.calls == ['launch', ('interrupted', False), 'stop']
  assert 'saving a checkpoint' in capsys.readouterr().out


def test_a_node_fails(see_through, capsys):
  def fails(nodes):
    with open(nodes.log('replay_0'), 'w', encoding='utf-8') as log:
      log.write('hello\nOSError: the disk is full\nbye\n')
    return 'replay_0'

  with pytest.raises(SystemExit) as exit_:
    see_through(fails)
  assert exit_.value.code == 1
  (nodes,) = see_through.made
  assert nodes.calls == ['launch', ('node replay_0 failed', True), 'stop']
  error = capsys.readouterr().err
  assert 'node replay_0 failed (replay_0 is tired)' in error
  assert f'its log is {nodes.log("replay_0")}' in error
  assert 'says: OSError: the disk is full. The last good checkpoint' in error
  assert 'checkpoint is none' in error


def test_no_node_is_left_when_the_launch_fails(see_through, monkeypatch):
  def refuse(nodes):
    nodes.calls.append('launch')
    raise ValueError('no hosts')

  monkeypatch.setattr(Nodes, 'launch', refuse)
  with pytest.raises(ValueError, match='no hosts'):
    see_through(lambda _: None)
  assert see_through.made[0].calls == ['launch', 'stop']


def test_newest_checkpoint(tmp_path):
  folder = run_folder.RunFolder(str(tmp_path))
  assert training.newest_checkpoint(folder, 50) is None
  saved = checkpoints.CheckpointFolder(folder.checkpoints)
  path = saved.save({'counts': {'frames': 100}})
  assert training.newest_checkpoint(folder, 0) == path
  assert training.newest_checkpoint(folder, 101) == path
  with pytest.raises(command_line.UsageError, match=r'100 frames .* 100'):
    training.newest_checkpoint(folder, 100)
  with open(path, 'w', encoding='utf-8') as file:
    file.write('not a checkpoint')
  with pytest.raises(ValueError, match='can be read'):
    training.newest_checkpoint(folder, 0)


def _prepared(folder, lock, saved=None):
  return training.Prepared(None, folder, lock, None, saved)


def test_what_does_not_begin_leaves_what_others_made(tmp_path):
  for mine in ((), ('notes',)):
    folder = run_folder.RunFolder(str(tmp_path / f'run-{len(mine)}'))
    lock = folder.create()
    with open(folder.config, 'w', encoding='utf-8') as file:
      file.write('{}')
    for name in mine:
      open(os.path.join(folder.path, name), 'w').close()
    _prepared(folder, lock).take_back()
    assert os.path.exists(folder.path) == bool(mine)
    if mine:
      assert tuple(os.listdir(folder.path)) == mine


def test_a_run_that_does_not_go_on_is_as_it_was(tmp_path):
  folder = run_folder.RunFolder(str(tmp_path / 'run'))
  saved = {'config': {'num_actors': 1}, 'resumed': 0}
  with folder.create() as lock:
    files.write_json(folder.config, {'config': {'num_actors': 9}, 'resumed': 1})
    _prepared(folder, lock, saved).take_back()
  assert files.read_json(folder.config) == saved

"""The monitor with scripted parts, some of which fail."""

from collections.abc import Callable
import dataclasses
import errno
import json
import os
import threading
import time
from typing import Any

import numpy as np
import pytest

from ald_acme.runs import checkpoints
from ald_acme.runs import files
from ald_acme.runs import folder as run_folder
from ald_acme.runs import gathering
from ald_acme.runs import indicators
from ald_acme.runs import monitor
from ald_acme.runs import speed

NAN = float('nan')


def _row(actor_return, frames=0, learner_return=NAN):
  return {
    'frames': frames,
    'wall_seconds': frames / 10,
    'actor_return': actor_return,
    'final_return': actor_return - 0.01,
    'learner_return': learner_return,
  }


INDICATORS = indicators.Indicators(
  seed=11,
  counts={'learner_updates': 'learner', 'actor_updates': 'actor_parameters'},
  metrics=(
    indicators.Metric('kl', 'KL', '.4f', 'distiller_0', 'kl'),
    indicators.Metric('policy_lag', 'lag', '.0f', 'learner', 'policy_lag'),
  ),
  ratio=indicators.Ratio(
    'dprl', 'DpRL', 'actor_updates', 'learner_updates', 4.0
  ),
)


class Gone(Exception):
  """The error of a call to a node that has ended."""


@dataclasses.dataclass
class Node:
  """A counter, an evaluator and a part with a state, until it is gone."""

  frames: int = 0
  pace: int = 0  # Frames between two looks at the counter.
  updates: int = 4  # Of the learner, as it has reported.
  returns: float = 0.5
  state: Any = None
  gone: bool = False
  hangs: bool = False
  asked: int = 0
  told: list = dataclasses.field(default_factory=list)
  log: Callable[[dict], None] = lambda row: None  # Of evaluations.

  def _answer(self, value):
    self.asked += 1
    if self.hangs:
      threading.Event().wait()
    if self.gone:
      raise Gone('no answer')
    return value

  def get_counts(self):
    self.frames += self.pace
    # Nodes report with a delay, so these are less than they have done.
    return self._answer(
      {
        'frames': self.frames,
        'learner_updates': self.updates,
        'actor_updates': 10,
      }
    )

  def increment(self, **counts):
    self.told.append(counts)
    self.pace = 0  # As actors do when they are told to stop.
    return self.get_counts()

  def evaluate(self):
    row = self._answer(_row(self.returns, self.frames, 0.75))
    self.log(row)
    return row

  def save(self):
    return self._answer(self.state)


@dataclasses.dataclass
class Run:
  """A monitor, and all that it meets."""

  monitor: monitor.Monitor
  folder: run_folder.RunFolder
  counter: Node
  evaluator: Node
  learner: Node
  ended: list

  def summary(self):
    return files.read_json(self.folder.summary)

  def progress(self):
    return files.read_json(self.folder.progress)

  def checkpoint(self):
    return checkpoints.CheckpointFolder(self.folder.checkpoints).latest()

  def run_until(self, *request, seconds=0.5):
    """Runs, and asks for a stop after some time."""
    timer = threading.Timer(seconds, self.monitor.request_stop, request)
    timer.start()
    self.monitor.run()
    timer.join()


@pytest.fixture
def make(tmp_path, monkeypatch):
  """Makes a monitor of scripted parts, with little time between looks."""
  monkeypatch.setattr(gathering, '_HASTE', 0.5)
  for name, seconds in (
    ('_PERIOD', 0.1),
    ('_SETTLED', 0.0),
    ('_BRIEF', 0.2),
    ('_FIRST_CHECKPOINT', 0.2),
    ('_UNSETTLED', 0.2),
  ):
    monkeypatch.setattr(monitor, name, seconds)

  def make(
    max_frames=0,
    target_return=None,
    solved_return=None,
    pace=0,
    frames=0,
    **kwargs,
  ):
    folder = run_folder.RunFolder(str(tmp_path))
    counter = Node(frames=frames, pace=pace)
    evaluator = Node(frames=frames)
    learner = Node(state={'updates': np.int64(5), 'variables': np.arange(3.0)})
    savers = {
      'learner': learner,
      'actor_parameters': Node(state={'updates': np.int64(19)}),
      'distiller_0': Node(state={'step': np.int64(19)}),
    }
    ended = []
    goal = monitor.Goal(
      max_frames,
      target_return,
      solved_return,
      stall_warning=5.0,
      stall_limit=kwargs.pop('limit', 0.0),
      last_episodes=100,
    )
    arguments = {
      'indicators': INDICATORS,
      'checkpoint_period': 1000.0,
      'checkpoints_kept': 3,
      **kwargs,
    }
    part = monitor.Monitor(
      folder,
      monitor.Sources(counter, savers, evaluator),
      goal,
      on_end=lambda: ended.append(True),
      **arguments,
    )
    evaluator.log = lambda row: part.report('evaluator', row)
    return Run(part, folder, counter, evaluator, learner, ended)

  return make


def test_stops_at_max_frames(make):
  run = make(max_frames=1000, pace=400)
  run.monitor.run()
  summary = run.summary()
  assert summary['frames'] == 1200  # Acting has stopped.
  assert summary.pop('frames') == run.progress()['frames']
  assert 0 < summary.pop('wall_seconds') < 60
  assert 0 <= summary.pop('frames_per_second') < 10_000
  assert summary == {
    'final_return': 0.49,
    'learner_return': 0.75,
    'dprl_configured': 4.0,
    'dprl_measured': 3.8,
    'actor_updates': 19,  # Done by the parts, maybe not yet counted.
    'learner_updates': 5,
    'seed': 11,
    'stopped_because': 'max_frames',
  }
  assert run.ended == [True]
  assert run.monitor.wait_for_end(0)
  assert run.counter.told == [{'stop_acting': 1}]


@pytest.mark.parametrize(
  'target, returns, reason',
  [
    (0.8, [0.5, 0.8], 'target_return'),
    (0.8, [0.9, 0.1], 'target_return'),
    (0.8, [0.5, 0.79], 'by hand'),
    (None, [0.5, 1.0], 'by hand'),
    (0.0, [-1.0, 0.0], 'target_return'),
    (0.0, [-1.0, -0.1], 'by hand'),
    (-100.0, [-200.0, -90.0], 'target_return'),
  ],
)
def test_stops_at_target_return(make, target, returns, reason):
  run = make(target_return=target)
  for actor_return in returns:
    run.monitor.report('evaluator', _row(actor_return))
  run.monitor.report('actor_0', {'frames': 1.0, 'actor_return': 1.0})
  run.run_until('by hand', seconds=0.1)
  assert run.summary()['stopped_because'] == reason


@pytest.mark.parametrize('last, solved_at', [(0.96, 200), (0.9, None)])
def test_solved_at_the_target(make, last, solved_at):
  """The run ends at the first; the last evaluation confirms it."""
  run = make(target_return=0.95, solved_return=0.95, frames=900)
  for i, actor_return in enumerate([0.5, 0.97]):
    run.monitor.report('evaluator', _row(actor_return, 100 * (i + 1)))
  run.evaluator.returns = last
  run.monitor.run()
  assert run.summary()['stopped_because'] == 'target_return'
  assert run.summary()['solved_at_frames'] == solved_at


@pytest.mark.parametrize('earlier, compiles', [(3, 0), (4, 0), (4, 3)])
def test_a_run_without_an_update_is_no_success(make, earlier, compiles):
  """A learner with 4 updates from an earlier launch, maybe still compiling."""
  needs = '96,000: unroll_length=3000 x envs_per_actor=32'
  run = make(
    max_frames=70,
    pace=10,
    indicators=dataclasses.replace(INDICATORS, first_update=needs),
    earlier_counts={'frames': 0, 'learner_updates': earlier},
  )
  run.learner.state['updates'] = np.int64(4)
  answer, looks = run.counter.get_counts, []

  def compile_for_a_while():
    if not run.counter.pace:  # Acting is over.
      looks.append(1)
    if len(looks) < compiles:
      run.monitor.beat('learner_0', *_COMPILES)
    else:
      run.monitor.beat('learner_0', 0.0, False, False, False, '')
      run.learner.state['updates'] = np.int64(5)
      run.counter.updates = 5
    return answer()

  if compiles:
    run.counter.get_counts = compile_for_a_while
  run.monitor.run()
  reason = run.summary()['stopped_because']
  if earlier == 3 or compiles:
    assert reason == 'max_frames'
  else:
    assert reason == (
      f'the learner did no update in 70 frames; the first needs {needs}. '
      'Lower one of these, or raise max_frames'
    )


def test_the_first_reason_is_kept(make):
  run = make(max_frames=1, target_return=0.1, pace=5)
  run.monitor.request_stop('by hand')
  run.monitor.request_stop('again')
  run.monitor.run()
  assert run.summary()['stopped_because'] == 'by hand'


@pytest.mark.parametrize(
  'returns, last, solved_at',
  [
    ([0.5, 0.9499, 0.95, 0.97, 1.0, 0.1], 1.0, 300),  # The first of three.
    ([0.99, 0.99, 0.1, 0.99, 0.1, 0.99, 0.99, 1.0], 0.1, 600),  # In a row.
    ([0.5, 0.99, 0.96], 0.99, 200),  # The evaluation at the end counts too.
    ([0.5, 0.99], 0.99, None),
    ([], 0.5, None),
  ],
)
@pytest.mark.parametrize('earlier', [None, NAN, 50.0])
def test_solved_at_the_first_of_three_evaluations(
  make, returns, last, solved_at, earlier
):
  run = make(
    frames=900,
    solved_return=0.95,
    earlier=earlier
    and {
      'solved_at_frames': np.array(earlier),
      'solved_at_seconds': np.array(earlier / 10),
    },
  )
  for i, actor_return in enumerate(returns):
    run.monitor.report('evaluator', _row(actor_return, 100 * (i + 1)))
  run.evaluator.returns = last
  run.monitor.request_stop('max_frames')
  run.monitor.run()
  expected = 50 if earlier == 50 else solved_at
  summary = run.summary()
  assert summary['solved_at_frames'] == expected
  assert summary['solved_at_seconds'] == (expected and expected / 10)
  saved = run.checkpoint().state['run']['solved_at_frames']
  np.testing.assert_equal(float(saved), NAN if expected is None else expected)


@pytest.mark.parametrize(
  'stop, asked',
  [
    (('max_frames',), 1),
    (('target_return',), 1),
    (('interrupted',), 0),  # A caller waits for the end.
    (('node learner_0 failed', 'learner_0'), 0),  # It may wait for the node.
  ],
)
def test_a_last_evaluation_at_the_goal(make, stop, asked):
  run = make()
  run.monitor.report('evaluator', _row(0.9, learner_return=0.9))
  run.evaluator.returns = 0.6
  run.monitor.request_stop(*stop)
  run.monitor.run()
  assert run.evaluator.asked == asked
  summary = run.summary()
  assert summary['final_return'] == [0.89, 0.59][asked]
  assert summary['learner_return'] == [0.9, 0.75][asked]
  assert run.progress()['actor_return'] == [0.9, 0.6][asked]


@pytest.mark.parametrize('episodes, final', [(10, 0.59), (100, 0.89)])
def test_patience_with_a_larger_last_evaluation(
  make, monkeypatch, episodes, final
):
  monkeypatch.setattr(monitor, '_LAST_EVALUATION', 0.1)
  run = make()
  row = {'evaluation_seconds': 0.1, 'actor_episodes': episodes}
  run.monitor.report('evaluator', {**_row(0.9), **row})
  run.evaluator.returns = 0.6
  evaluate = run.evaluator.evaluate
  run.evaluator.evaluate = lambda: time.sleep(2.0) or evaluate()
  run.monitor.request_stop('max_frames')
  run.monitor.run()
  assert run.summary()['final_return'] == final


def test_a_checkpoint_at_the_end(make):
  run = make(frames=77)
  run.monitor.request_stop('by hand')
  run.monitor.run()
  state = run.checkpoint().state
  assert state.keys() == {
    'counts',
    'run',
    'learner',
    'actor_parameters',
    'distiller_0',
  }
  assert {name: int(x) for name, x in state['counts'].items()} == {
    'frames': 77,
    'learner_updates': 5,  # As in the states, not as reported.
    'actor_updates': 19,
  }
  assert state['learner']['updates'] == 5
  np.testing.assert_array_equal(state['learner']['variables'], [0, 1, 2])
  assert state['distiller_0']['step'] == 19


@pytest.mark.parametrize('period, least, most', [(0.3, 3, 6), (1e9, 2, 2)])
def test_periodic_checkpoints(make, period, least, most):
  run = make(pace=10, checkpoint_period=period, checkpoints_kept=9)
  run.run_until('by hand', seconds=1.4)
  names = os.listdir(run.folder.checkpoints)
  assert least <= len(names) <= most


@pytest.mark.parametrize(
  'node', ['learner', 'evaluator', 'counter', 'all of them']
)
def test_the_end_is_written_without_ended_nodes(make, caplog, node):
  run = make(pace=10, checkpoint_period=0.3)
  run.monitor.report('evaluator', _row(0.5))
  nodes = {n: getattr(run, n) for n in ('learner', 'evaluator', 'counter')}

  def end():
    for name in nodes if node == 'all of them' else [node]:
      nodes[name].gone = True

  timer = threading.Timer(0.9, end)
  timer.start()
  run.run_until(f'node {node} failed', node, seconds=1.2)
  assert run.summary()['stopped_because'] == f'node {node} failed'
  assert run.summary()['final_return'] == 0.49
  assert run.summary()['frames'] > 0
  assert run.progress()['state'] == 'ended'
  assert run.ended == [True]
  assert run.monitor.wait_for_end(0)
  assert not run.evaluator.asked
  # A part that has ended keeps its last saved state.
  assert ('Keeping the last saved state of' in caplog.text) == (
    node in ('learner', 'all of them')
  )
  assert run.checkpoint().state['learner']['updates'] == 5


def test_states_that_are_not_finite_are_not_saved(make, caplog):
  run = make()
  run.learner.state['variables'][1] = np.inf
  run.run_until('by hand')
  assert run.checkpoint() is None
  assert (
    'state of learner is not saved: learner/variables holds NaN' in caplog.text
  )
  assert 'No checkpoint' in caplog.text
  assert run.ended == [True]


@pytest.mark.parametrize('name', ['learner', 'evaluator'])
def test_a_part_has_ended_at_an_orderly_end(make, name):
  run = make(frames=77)
  getattr(run, name).gone = True
  run.run_until('max_frames')
  assert (run.checkpoint() is None) == (name == 'learner')
  assert run.summary()['frames'] == 77
  assert run.summary()['stopped_because'] == 'max_frames'
  assert run.ended == [True]


@pytest.mark.parametrize('gone', ['learner', 'distiller_0'])
def test_parts_that_respond_are_saved_after_a_failure(make, gone):
  """A dead part is skipped at once, a hanging one after a timeout."""
  run = make(pace=10, checkpoint_period=1000.0)
  savers = run.monitor._sources.savers
  timer = threading.Timer(1.0, _fail, [run, gone])
  timer.start()
  run.monitor.run()
  state = run.checkpoint().state
  assert len(os.listdir(run.folder.checkpoints)) == 2  # One was written early.
  learned = {'learner': 5, 'actor_parameters': 19}
  for name, before in learned.items():
    now = before if name == gone else before + 100
    assert state[name]['updates'] == now
  assert state['distiller_0']['step'] == (19 if gone == 'distiller_0' else 119)
  updates = state['actor_parameters']['updates']
  assert state['counts']['actor_updates'] == updates
  assert not savers[gone].asked > 1


@pytest.mark.parametrize('gone', ['learner', 'distiller_0'])
def test_a_part_that_was_never_saved(make, gone):
  run = make(checkpoint_period=1000.0)
  run.monitor._sources.savers[gone].gone = True
  run.run_until(f'node {gone} failed', gone, seconds=0.1)
  if gone == 'learner':
    assert run.checkpoint() is None
  else:  # It can begin anew.
    assert gone not in run.checkpoint().state
    assert run.checkpoint().state['learner']['updates'] == 5


def _fail(run, gone):
  for name, node in run.monitor._sources.savers.items():
    node.state = {key: value + 100 for key, value in node.state.items()}
    node.hangs = name == gone
  run.monitor.request_stop(f'node {gone} failed', gone)


def test_a_part_that_hangs_is_not_waited_for_long(make):
  run = make(pace=10)

  def fail():
    run.learner.hangs = True  # It waits for the one that is gone.
    run.monitor.request_stop('node replay_0 failed', 'replay_0')

  threading.Timer(1.0, fail).start()
  began = time.monotonic()
  run.monitor.run()
  assert time.monotonic() - began < 5
  assert len(os.listdir(run.folder.checkpoints)) == 2
  assert run.summary()['stopped_because'] == 'node replay_0 failed'


def _disk_is_full(*_, **__):
  raise OSError(errno.ENOSPC, 'No space left on device')


@pytest.mark.parametrize('what', ['progress', 'checkpoint'])
def test_a_disk_that_is_full_for_a_while(make, monkeypatch, caplog, what):
  run = make(pace=10, checkpoint_period=0.2)
  holder, name = {
    'progress': (files, 'write_json'),
    'checkpoint': (checkpoints.CheckpointFolder, 'save'),
  }[what]
  good = getattr(holder, name)
  monkeypatch.setattr(holder, name, _disk_is_full)
  timer = threading.Timer(0.8, setattr, [holder, name, good])
  timer.start()
  run.run_until('by hand', seconds=1.6)
  assert 'No space left on device' in caplog.text
  assert run.summary()['stopped_because'] == 'by hand'
  assert run.checkpoint() is not None


def test_a_disk_that_stays_full(make, monkeypatch):
  run = make(pace=10, checkpoint_period=0.2)
  monkeypatch.setattr(monitor, '_TROUBLE', 0.3)
  monkeypatch.setattr(checkpoints.CheckpointFolder, 'save', _disk_is_full)
  run.monitor.run()  # Ends in order.
  assert run.summary()['stopped_because'].startswith(
    'a checkpoint cannot be written'
  )
  assert run.ended == [True]
  assert run.monitor.wait_for_end(0)


def test_a_summary_that_cannot_be_written(make, monkeypatch):
  run = make()
  monkeypatch.setattr(files, 'write_json', _disk_is_full)
  run.monitor.request_stop('by hand')
  with pytest.raises(OSError, match='No space left'):
    run.monitor.run()
  assert run.ended == [True]
  assert run.checkpoint() is not None


_HANGS = (9.0, False, False, False, 'maze, number 3')
_COMPILES = (9.0, False, False, True, 'compiling its update')


def test_a_node_that_hangs_is_shown(make):
  run = make(pace=10)
  run.monitor.beat('actor_0', *_HANGS)
  run.run_until('by hand', seconds=0.3)
  stall = run.progress()['stalls']['actor_0']
  assert stall.startswith(
    'node actor_0 has made no progress for 9 s: maze, number 3'
  )
  assert run.summary()['stopped_because'] == 'by hand'


def test_a_node_that_hangs_may_end_the_run(make):
  run = make(pace=10, limit=5.0)
  run.monitor.beat('actor_0', *_HANGS)
  run.monitor.run()
  assert run.summary()['stopped_because'].startswith(
    'node actor_0 has made no progress'
  )
  assert run.evaluator.asked == 0


def test_a_limit_below_the_warning_counts(make):
  run = make(pace=10, limit=2.0)  # The warning comes after 5 s.
  run.monitor.beat('learner_0', *_COMPILES)
  run.monitor.beat('actor_0', 3.0, *_HANGS[1:])
  run.monitor.run()
  assert run.summary()['stopped_because'].startswith(
    'node actor_0 has made no progress'
  )


def test_a_node_that_compiles_does_not_end_the_run(make):
  run = make(pace=10, limit=5.0)
  run.monitor.beat('learner_0', *_COMPILES)
  run.run_until('by hand', seconds=0.3)
  assert run.progress()['preparing'] == ['learner_0']
  assert run.summary()['stopped_because'] == 'by hand'


def test_the_monitor_responds_during_a_long_last_evaluation(make, monkeypatch):
  monkeypatch.setattr(monitor, '_SHOWN', 0.05)
  run = make(max_frames=10, pace=10)
  evaluate, written = run.evaluator.evaluate, []

  def slowly():
    before = os.stat(run.folder.progress).st_mtime_ns
    time.sleep(0.5)
    written.append(os.stat(run.folder.progress).st_mtime_ns > before)
    return evaluate()

  run.evaluator.evaluate = slowly
  run.monitor.run()
  assert written == [True]


def test_a_node_that_stalls_but_answers_is_saved(make):
  run = make(pace=10, limit=5.0)
  run.monitor.beat('learner_0', 9.0, True, False, False, 'table queue')
  run.monitor.run()
  assert 'learner_0' in run.summary()['stopped_because']
  assert run.learner.asked == 1
  assert run.checkpoint().state['learner']['updates'] == 5


def test_speed_and_eta_are_recent(make, monkeypatch):
  run = make(max_frames=10**9, pace=1000)
  monkeypatch.setattr(speed, '_RECENT', 1.2)
  threading.Timer(1.0, setattr, [run.counter, 'pace', 0]).start()
  run.run_until('by hand', seconds=3.0)
  assert run.progress()['frames_per_second'] == 0  # Nothing moves any more.
  assert run.progress()['eta_seconds'] is None
  assert run.summary()['frames_per_second'] > 1000


def test_stopped_from_outside(make):
  run = make(pace=10)
  polls = iter([False, False, True])
  run.monitor.run(lambda: next(polls))
  assert run.summary()['stopped_because'] == 'terminated'
  assert run.summary()['frames'] == 20
  assert run.progress()['state'] == 'ended'
  assert run.checkpoint() is None  # The other nodes were gone.
  assert run.evaluator.asked == 0


def test_states_of_progress(make, monkeypatch):
  run = make()
  states, write_json = [], files.write_json

  def write(path, value):
    if path == run.folder.progress:
      json.dumps(value, allow_nan=False)
      states.append(value['state'])
      run.counter.pace = 10
    write_json(path, value)

  monkeypatch.setattr(files, 'write_json', write)
  run.run_until('by hand', seconds=0.7)
  assert states[:2] == ['starting', 'running']
  assert set(states[1:-2]) == {'running'}
  assert states[-2:] == ['ending', 'ended']


def test_progress(make):
  run = make(max_frames=10**6, frames=200)
  for node, row in (
    ('evaluator', _row(0.5, learner_return=0.8)),
    ('evaluator', _row(0.6)),  # Without the learner, whose return stays.
    ('distiller_0', {'kl': 0.02, 'teacher_lag': 1.0}),
    ('distiller_1', {'kl': 7.0}),
    ('learner', {'policy_lag': 3.0}),
    ('learner', {'policy_lag': NAN}),
  ):
    run.monitor.report(node, row)
  polls = iter([False, True])
  run.monitor.run(lambda: next(polls))
  progress = run.progress()
  assert 0 < progress.pop('wall_seconds') < 60
  assert progress == {
    'state': 'ended',
    'frames': 200,
    'max_frames': 10**6,
    'frames_per_second': 0.0,
    'actor_return': 0.6,
    'learner_return': 0.8,
    'dprl': 2.5,
    'kl': 0.02,
    'policy_lag': 3.0,
    'eta_seconds': None,
    'stalls': {},
    'preparing': [],
    'learner_updates': 4,
    'actor_updates': 10,
    'shown': {'DpRL': '2.50', 'KL': '0.0200', 'lag': '3'},
  }


def test_speed_is_counted_from_the_first_frame(make, monkeypatch):
  run = make(max_frames=6000)
  began, earlier = time.monotonic(), 5000  # Frames of the run gone on from.
  monkeypatch.setattr(
    run.counter,
    'get_counts',
    lambda: {
      'frames': earlier + int(1000 * max(0, time.monotonic() - began - 0.8))
    },
  )
  run.monitor.run()
  assert run.summary()['stopped_because'] == 'max_frames'
  # A look or two may lie between starting and the first frame.
  assert 800 < run.summary()['frames_per_second'] < 1200
  assert run.progress()['eta_seconds'] == 0


def test_seconds_are_those_of_the_whole_run(make):
  run = make(launched=time.time() - 100, earlier={'wall_seconds': 50.0})
  run.monitor.request_stop('by hand')
  run.monitor.run()
  assert 150 <= run.summary()['wall_seconds'] < 160
  assert 150 < run.checkpoint().state['run']['wall_seconds'] < 160


def test_dprl_is_that_of_this_launch(make):
  earlier = {'actor_updates': np.array(9), 'learner_updates': np.array(3)}
  run = make(earlier_counts=earlier)
  run.monitor.request_stop('by hand')
  run.monitor.run()
  assert run.summary()['dprl_measured'] == (19 - 9) / (5 - 3)
  assert run.summary()['actor_updates'] == 19


def test_no_updates_no_dprl(make):
  earlier = {'actor_updates': np.array(19), 'learner_updates': np.array(5)}
  run = make(earlier_counts=earlier)
  run.monitor.request_stop('by hand')
  run.monitor.run()
  assert run.summary()['dprl_measured'] is None


def test_the_end_is_waited_for(make):
  run = make()
  assert not run.monitor.wait_for_end(0.01)
  thread = threading.Thread(target=run.monitor.run)
  thread.start()
  assert not run.monitor.wait_for_end(0.01)
  run.monitor.request_stop('by hand')
  assert run.monitor.wait_for_end(30)
  thread.join()


def test_only_the_agents_indicators_are_shown(make):
  run = make(indicators=indicators.Indicators(seed=3))
  run.monitor.report('evaluator', _row(0.99, 7))
  run.run_until('by hand', seconds=0.1)
  summary, progress = run.summary(), run.progress()
  assert summary['seed'] == 3
  assert 'solved_at_frames' not in summary  # Nothing says what solves it.
  assert not [x for x in [*summary, *progress] if 'dprl' in x or 'updates' in x]
  assert progress['shown'] == {}

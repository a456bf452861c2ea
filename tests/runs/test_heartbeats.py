"""Stalled nodes are distinguished from nodes that wait for them."""

import threading

import pytest

from ald_acme import activity
from ald_acme.runs import heartbeats


class Clock:
  now = 100.0

  def __call__(self):
    return self.now


@pytest.fixture
def clock():
  return Clock()


@pytest.fixture
def beats(clock):
  return heartbeats.Heartbeats(40.0, clock)


def _wait(beats, clock, seconds):
  """Lets time pass, with a look each second."""
  for _ in range(seconds):
    clock.now += 1
    beats.stalls()


def _named(beats):
  return [stall.node for stall in beats.stalls()]


def test_a_hanging_environment_is_named(beats):
  beats.beat('counter', 500.0, False, True, False, '')
  beats.beat('actor_0', 1.0, False, False, False, '')
  beats.beat('learner', 50.0, True, False, False, 'a table')
  assert not beats.stalls()  # An actor moves: the learner waits for it.
  beats.beat('actor_0', 45.0, False, False, False, 'maze, number 3')
  (stall,) = beats.stalls()
  assert (
    str(stall) == 'node actor_0 has made no progress for 45 s: maze, number 3'
  )
  beats.beat('actor_0', 0.0, False, False, False, '')
  assert not beats.stalls()


def test_a_step_slower_than_a_beat_is_not_a_stall(clock):
  beats = heartbeats.Heartbeats(9.0, clock)
  beats.beat('actor_0', 6.0, False, False, False, 'maze, number 3')
  _wait(beats, clock, 5)  # The next beat will tell that it has moved.
  assert not beats.stalls()


def test_a_deadlock_of_tables_is_named(beats):
  beats.beat('evaluator', 0.0, False, True, False, '')
  beats.beat('actor_0', 50.0, True, False, False, 'table queue')
  beats.beat('learner', 60.0, True, False, False, 'table learner')
  assert _named(beats) == ['learner', 'actor_0']


def test_a_silent_node_is_reported(beats, clock):
  beats.beat('counter', 0.0, False, True, False, '')
  beats.beat('learner', 5.0, False, False, False, 'in step')
  _wait(beats, clock, 30)
  assert not beats.stalls()
  _wait(beats, clock, 11)
  beats.beat('counter', 0.0, False, True, False, '')
  (stall,) = beats.stalls()
  assert (stall.node, stall.seconds) == ('learner', 41)
  assert 'does not respond' in stall.doing


def test_a_node_that_compiles_is_not_named(beats, clock):
  beats.beat('learner_0', 100.0, False, False, True, 'compiling its update')
  beats.beat('actor_0', 100.0, True, False, False, 'table queue')
  assert not beats.stalls()  # The actor waits for what is compiled.
  assert beats.preparing() == ['learner_0']
  _wait(beats, clock, 41)  # Both are suspended: they tell nothing.
  assert _named(beats) == ['learner_0', 'actor_0']
  beats.beat('learner_0', 601.0, False, False, True, 'compiling its update')
  beats.beat('actor_0', 0.0, False, False, False, '')
  (stall,) = beats.stalls()
  assert stall.doing == 'compiling its update'
  beats.beat('learner_0', 0.0, False, False, False, '')
  assert not beats.stalls() and not beats.preparing()


def test_nodes_that_wait_for_a_suspended_node_come_after_it(beats, clock):
  beats.beat('counter_0', 0.0, False, True, False, '')
  _wait(beats, clock, 41)
  beats.beat('actor_0', 60.0, False, False, False, '')
  assert _named(beats) == ['counter_0', 'actor_0']
  assert [stall.silent for stall in beats.stalls()] == [True, False]


def test_a_machine_that_was_suspended_names_no_node(beats, clock):
  beats.beat('counter_0', 0.0, False, True, False, '')
  _wait(beats, clock, 10)
  clock.now = 10_000
  assert not beats.stalls()
  _wait(beats, clock, 29)
  assert _named(beats) == ['counter_0']


def test_a_stall_limit_shorter_than_a_beat(clock):
  beats = heartbeats.Heartbeats(4.0, clock)
  beats.beat('counter_0', 0.0, False, True, False, '')
  _wait(beats, clock, 6)
  assert not beats.stalls()
  _wait(beats, clock, 7)
  assert _named(beats) == ['counter_0']


def test_a_node_sends_heartbeats():
  own, told, enough = activity.Activity(), [], threading.Event()

  def beat(*arguments):
    told.append(arguments)
    if len(told) > 2:
      enough.set()
    raise OSError('The monitor is not there.')

  with own.waiting('a table', on_others=True):
    heartbeats.start('actor_7', beat, own, period=0.01)
    assert enough.wait(30)
  node, idle, on_others, serves, prepares, doing = told[2]
  assert (node, on_others, serves) == ('actor_7', True, False)
  assert not prepares
  assert 0.0 < idle < 30
  assert doing.startswith('a table')

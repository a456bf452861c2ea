"""Activity of a thread, read from another thread."""

import threading

import pytest

from ald_acme import activity


class Clock:
  now = 100.0

  def __call__(self):
    return self.now


def test_moving_resets_the_idle_time():
  clock = Clock()
  own = activity.Activity(clock)
  clock.now += 7
  assert own.idle == 7
  own.moved()
  assert own.idle == 0
  clock.now += 9
  with own.resting():
    assert own.idle == 0
  clock.now += 1
  assert own.idle == 1


def test_the_innermost_wait_is_reported():
  own = activity.Activity()
  assert not own.waits_on_others
  with own.waiting('a table', on_others=True):
    assert own.waits_on_others
    with own.waiting(lambda: 'maze, number 3'):
      assert not own.waits_on_others
      assert own.describe().startswith('maze, number 3 (in ')
    assert own.describe().startswith('a table (in ')
  with pytest.raises(KeyError), own.waiting('x'):
    raise KeyError
  assert own.describe().startswith('in ')


def test_a_start_ends_with_the_first_move():
  own = activity.Activity()
  assert own.prepares
  with own.waiting('maze, number 3'):
    assert not own.prepares
  with own.resting():
    assert not own.prepares
  own = activity.Activity()
  own.moved()
  assert not own.prepares
  with own.compiling('its step'):
    assert own.prepares


def test_a_first_call_compiles():
  own, clock = activity.current(), Clock()
  own.moved()
  saw = []

  def function(x):
    saw.append((own.prepares, own.describe()))
    return 2 * x

  compiled = activity.Compiled(function, 'its update')
  assert [compiled(3), compiled(4)] == [6, 8]
  assert [compiles for compiles, _ in saw] == [True, False]
  assert saw[0][1].startswith('compiling its update (in ')
  own = activity.Activity(clock)
  with own.compiling('a step'):
    clock.now += 70
    assert own.idle == 70
  assert own.idle == 0


def test_another_process_reads_the_wait():
  own, told = activity.Activity(), []
  own.mirror(told.append)
  with own.waiting('maze, number 3'):
    assert told == ['maze, number 3']
  assert told == ['maze, number 3', '']


def test_where_a_thread_hangs():
  hangs, release, seen = threading.Event(), threading.Event(), []

  def the_simulator_hangs():
    seen.append(activity.current())
    activity.moved()
    hangs.set()
    release.wait()

  thread = threading.Thread(target=the_simulator_hangs)
  thread.start()
  hangs.wait()
  assert seen[0] is not activity.current()
  assert 'wait, threading.py:' in seen[0].describe()
  release.set()
  thread.join()
  assert seen[0].describe() == ''


def test_spans_are_recorded_only_with_a_recorder():
  spans = []
  with activity.doing('before'):
    pass
  activity.record(spans.append)
  try:
    with activity.doing('outer'):
      with activity.waiting('for people', name='inner'):
        sum(range(100_000))
      with activity.waiting('no span'):
        pass
  finally:
    activity.record(None)
  with activity.doing('after'):
    pass
  inner, outer = spans
  assert (inner.name, outer.name) == ('inner', 'outer')
  assert outer.began <= inner.began
  assert 0 < inner.seconds <= outer.seconds
  assert 0 < inner.cpu_seconds <= outer.cpu_seconds
  assert inner.thread == threading.get_ident()

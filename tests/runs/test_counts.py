"""The counter tells actors when to stop."""

import threading
import time

from acme.utils import counting
import pytest

from ald_acme import activity
from ald_acme.runs import counts


@pytest.mark.parametrize('limit, stops', [(100, [0, 1, 1]), (0, [0, 0, 0])])
def test_actors_stop_at_the_limit(limit, stops):
  counter = counts.RunCounter(limit)
  actor = counting.Counter(counter, time_delta=0.0)
  told = [actor.increment(frames=50).get(counts.STOP_ACTING, 0) for _ in stops]
  assert told == stops
  assert counter.get_counts() == {'frames': 150}


def test_another_node_stops_actors():
  counter = counts.RunCounter()
  counter.increment(**{counts.STOP_ACTING: 1})
  assert counter.increment(frames=5) == {'frames': 5, counts.STOP_ACTING: 1}
  assert counter.get_counts() == {'frames': 5}


def test_a_stop_is_not_lost_to_a_concurrent_count():
  counter = counts.RunCounter()

  class Zero:  # Another thread stops while this one reads its arguments.
    def __bool__(self):
      counter.increment(**{counts.STOP_ACTING: 1})
      return False

  counter.increment(**{counts.STOP_ACTING: Zero()})
  assert counter.increment(frames=5)[counts.STOP_ACTING] == 1


def test_a_call_to_a_counter_elsewhere_is_a_wait_for_others():
  own = activity.current()
  seen = []

  class Parent(counting.Counter):
    def increment(self, **more):
      seen.append((own.waits_on_others, own.describe().split(' (')[0]))
      return super().increment(**more)

  counter = counting.Counter(counts.Remote(Parent()), time_delta=0.0)
  assert counter.increment(frames=3) == {'frames': 3}
  assert seen == [(True, 'waiting for the counter')]
  assert not own.waits_on_others


def _until(condition):
  deadline = time.monotonic() + 20
  while not condition() and time.monotonic() < deadline:
    time.sleep(0.001)
  assert condition()


def test_counting_in_the_background_does_not_wait():
  class Slow(counting.Counter):
    answers = threading.Event()

    def increment(self, **more):
      self.answers.wait(20)
      return super().increment(**more)

  parent = Slow()
  counting.Counter.increment(parent, frames=7)
  counter = counts.BackgroundCounter(parent)
  for update in range(5):
    assert counter.increment(learner_updates=1)['learner_updates'] == update + 1
  assert parent.get_counts() == {'frames': 7}
  parent.answers.set()
  _until(lambda: parent.get_counts().get('learner_updates') == 5)
  _until(lambda: counter.get_counts() == {'frames': 7, 'learner_updates': 5})
  counting.Counter.increment(parent, frames=1)
  counter.increment(learner_updates=1)
  _until(lambda: counter.get_counts() == {'frames': 8, 'learner_updates': 6})


def test_errors_of_the_parent_are_raised_in_the_loop():
  class Gone(counting.Counter):
    def increment(self, **more):
      raise RuntimeError('gone')

  counter = counts.BackgroundCounter(Gone())

  def count():
    while True:
      counter.increment(learner_updates=1)

  with pytest.raises(RuntimeError, match='gone'):
    count()

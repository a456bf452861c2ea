"""The evaluator: what is played when, and what is logged of it."""

import collections
import threading
import time

from acme.utils import counting
from acme.utils import loggers
import numpy as np
import pytest

from ald_acme.acting import evaluation
from ald_acme.acting import evaluator

NAN = float('nan')


class Parameters:
  """Pulled parameters; frames go on while they are pulled."""

  def __init__(self, name, events, counter):
    self._name, self._events, self._counter = name, events, counter
    self.arrays = name

  def pull(self):
    self._events.append(f'pull {self._name}')
    self._counter.increment(frames=10)


class Policy:
  """Plays with what it has loaded."""

  def __init__(self):
    self.loaded = None

  def load(self, parameters):
    self.loaded = parameters


class Scripted(collections.deque):
  """An environment: returns of the evaluations to come, and a metric."""

  def metrics(self):
    return {'left': len(self)}


@pytest.fixture
def events(monkeypatch):
  """What happens, in order; an evaluation plays what its environment holds."""
  events = []

  def play(environment, policy):
    events.append(f'play {policy.loaded}')
    returns = np.array(environment.popleft(), np.float64)
    return evaluation.Episodes(returns, 10 * np.arange(1, len(returns) + 1))

  monkeypatch.setattr(evaluation, 'play', play)
  return events


@pytest.fixture
def make(events):
  """Makes an evaluator of scripted returns, and its log."""

  def make(actor, learner=None, period=0.0, learner_period=0.0, **kwargs):
    counter = counting.Counter()
    counter.increment(frames=100, actor_updates=40, learner_updates=10)
    logger = loggers.InMemoryLogger()

    def subject(name, returns, period):
      parameters = Parameters(name, events, counter)
      return evaluator.Subject(Scripted(returns), Policy(), parameters, period)

    part = evaluator.Evaluator(
      subject('actor', actor, period),
      learner and subject('learner', learner, learner_period),
      counter,
      logger,
      clock=lambda: 12.5,
      **kwargs,
    )
    return part, logger.data

  return make


def test_a_row(make, events):
  part, log = make([[1.0, 0.0, 0.5]], [[0.25, 0.75]])
  row = part.evaluate()
  assert row == {
    'wall_seconds': 12.5,
    'frames': 100,  # As the parameters were pulled, not after.
    'actor_updates': 40,
    'learner_updates': 10,
    'actor_return': 0.5,
    'actor_episode_length': 20.0,
    'final_return': 0.5,
    'learner_return': 0.5,
    'left': 0,
  }
  assert log == [row]
  assert events == ['pull actor', 'play actor', 'pull learner', 'play learner']


@pytest.mark.parametrize(
  'remembered, final',
  [(2, [0, 1, 0.5]), (3, [0, 2 / 3, 2 / 3]), (9, [0, 0.5, 0.5])],
)
def test_final_return_is_of_the_last_episodes(make, remembered, final):
  part, _ = make([[0, 0], [1, 1], [0, 1]], remembered=remembered)
  rows = [part.evaluate() for _ in range(3)]
  np.testing.assert_allclose([row['final_return'] for row in rows], final)
  assert [row['actor_return'] for row in rows] == [0, 1, 0.5]


@pytest.mark.parametrize(
  'learner, period, expected',
  [
    (None, 0.0, [NAN, NAN, NAN]),
    ([[1], [2], [3]], 0.0, [1, 2, 3]),
    ([[1], [2], [3]], 1e9, [1, NAN, NAN]),
  ],
  ids=['none', 'always', 'seldom'],
)
def test_the_learners_turn(make, events, learner, period, expected):
  part, _ = make([[0]] * 3, learner, learner_period=period)
  rows = [part.evaluate() for _ in range(3)]
  np.testing.assert_array_equal([r['learner_return'] for r in rows], expected)
  played = sum(not np.isnan(x) for x in expected)
  assert events.count('pull learner') == events.count('play learner') == played


def test_the_learners_turn_comes_again(make):
  part, _ = make([[0]] * 3, [[1], [2]], learner_period=0.2)
  rows = [part.evaluate() for _ in range(2)]
  time.sleep(0.2)
  rows.append(part.evaluate())
  np.testing.assert_array_equal(
    [row['learner_return'] for row in rows], [1, NAN, 2]
  )


@pytest.mark.parametrize('period', [0.0, 5.0])
def test_run(make, period):
  part, log = make([[0]] * 3, period=period)
  waited = []

  def wait(seconds):
    waited.append(seconds)
    return len(waited) > 3

  part.run(wait)
  assert len(log) == 3
  first, *others = waited
  assert first == 0
  for seconds in others:
    assert max(0, period - 1) <= seconds <= period


def test_evaluations_do_not_mix(make, monkeypatch):
  part, log = make([[0]])
  playing = []

  def play(environment, policy):
    playing.append(1)
    time.sleep(0.02)
    assert len(playing) == 1
    playing.pop()
    return evaluation.Episodes(np.ones(1), np.ones(1))

  monkeypatch.setattr(evaluation, 'play', play)
  threads = [threading.Thread(target=part.evaluate) for _ in range(4)]
  for thread in threads:
    thread.start()
  for thread in threads:
    thread.join()
  assert len(log) == 4

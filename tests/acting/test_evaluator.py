"""The evaluator: its schedule and its log."""

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
  """Acts with the parameters that it has loaded."""

  def __init__(self):
    self.loaded = None

  def load(self, parameters):
    self.loaded = parameters


class Scripted(collections.deque):
  """Two environments: returns of the evaluations to come, and a metric."""

  batch_size = 2

  def __init__(self, returns):
    super().__init__(returns)
    self.asked = []  # Episodes of each evaluation.

  def metrics(self):
    return {'left': len(self)}


@pytest.fixture
def events(monkeypatch):
  """Events in order; an evaluation plays the environment's scripted returns."""
  events = []

  def play(environment, policy, episodes, max_steps, should_stop, after_round):
    events.append(f'play {policy.loaded}')
    environment.asked.append(episodes)
    after_round()
    returns = np.array(environment.popleft(), np.float64)
    after_round()
    lengths = 10 * np.arange(1, len(returns) + 1)
    return evaluation.Episodes(returns, lengths, lengths >= max_steps)

  monkeypatch.setattr(evaluation, 'play_many', play)
  return events


@pytest.fixture
def make(events):
  """Makes an evaluator of scripted returns, and its log."""

  def make(
    actor,
    learner=None,
    period=(1, 0),
    learner_period=(1, 0),
    episodes=7,
    share=1.0,
    **kwargs,
  ):
    counter = counting.Counter()
    counter.increment(frames=100, actor_updates=40, learner_updates=10)
    logger = loggers.InMemoryLogger()

    def subject(name, returns, period):
      parameters = Parameters(name, events, counter)
      schedule = evaluator.Schedule(*period, episodes, share)
      return evaluator.EvaluatedPolicy(
        Scripted(returns), Policy(), parameters, schedule
      )

    part = evaluator.Evaluator(
      subject('actor', actor, period),
      learner and subject('learner', learner, learner_period),
      counter,
      logger,
      **{'clock': lambda: 12.5, **kwargs},
    )
    return part, logger.data

  return make


def test_a_row(make, events):
  part, log = make([[1.0, 0.0, 0.5]], [[0.25, 0.75]], max_steps=30)
  row = part.evaluate()
  assert log == [row]
  assert 0 <= row.pop('evaluation_seconds') < 10
  assert row == {
    'wall_seconds': 12.5,
    'frames': 100,  # As the parameters were pulled, not after.
    'actor_updates': 40,
    'learner_updates': 10,
    'actor_return': 0.5,
    'actor_episode_length': 20.0,
    'actor_episodes': 3,
    'actor_episodes_cut': 1,
    'final_return': 0.5,
    'learner_return': 0.5,
    'left': 0.5,  # The mean of two rounds.
  }
  assert events == ['pull actor', 'play actor', 'pull learner', 'play learner']


def test_by_default_time_starts_with_the_evaluator(make, monkeypatch):
  monkeypatch.setattr(time, 'monotonic', lambda: 5e4)  # The machine's uptime.
  part, _ = make([[1.0, 0.0]], clock=None)
  monkeypatch.setattr(time, 'monotonic', lambda: 5e4 + 3)
  assert part.evaluate()['wall_seconds'] == 3


@pytest.mark.parametrize(
  'remembered, final',
  [(2, [0, 1, 0.5]), (3, [0, 2 / 3, 2 / 3]), (9, [0, 0.5, 0.5])],
)
def test_final_return_is_of_the_last_episodes(make, remembered, final):
  part, _ = make([[0, 0], [1, 1], [0, 1]], remembered=remembered)
  rows = [part.evaluate() for _ in range(3)]
  np.testing.assert_allclose([row['final_return'] for row in rows], final)
  assert [row['actor_return'] for row in rows] == [0, 1, 0.5]


def _run(part, frames):
  """Runs it; at each look at the frames there are so many more."""
  frames = list(frames)

  def wait(seconds):
    if seconds and frames:
      part._counter.increment(frames=frames.pop(0))
    return not frames

  part.run(wait)


@pytest.mark.parametrize(
  'learner, schedule, expected',
  [
    (None, (1, 0), [NAN, NAN, NAN]),
    ([[1], [2], [3]], (1, 0), [1, 2, 3]),
    ([[1], [2], [3]], (1, 1e9), [1, NAN, NAN]),
    ([[1], [2], [3]], (250, 0), [1, NAN, 2]),
  ],
  ids=['none', 'always', 'seldom', 'by frames'],
)
def test_the_learners_schedule(make, events, learner, schedule, expected):
  part, log = make([[0]] * 3, learner, learner_period=schedule)
  _run(part, [100, 100, 100])
  returns = [row['learner_return'] for row in log]
  np.testing.assert_array_equal(returns, expected)
  played = sum(not np.isnan(x) for x in expected)
  assert events.count('pull learner') == events.count('play learner') == played


def test_evaluations_are_on_schedule_of_frames(make):
  part, log = make([[0]] * 9, period=(100, 0))
  _run(part, [10, 70, 50, 30, 30, 250, 10, 80])
  # At the first poll after each multiple of 100; each pull counts 10 more.
  assert [row['frames'] for row in log] == [100, 240, 310, 570]


def test_seconds_between_evaluations(make):
  part, log = make([[0]] * 9, period=(100, 1e9))
  _run(part, [100] * 5)
  assert len(log) == 1


@pytest.mark.parametrize(
  'share, episodes, expected',
  [
    (0.2, 100, [2, 2, 2]),  # 10 steps are less than one episode for each.
    (1.0, 100, [2, 2, 4]),  # 50 steps: 3 and 5 episodes of 15 and 10.
    (8.0, 100, [2, 26, 40]),
    (8.0, 30, [2, 26, 30]),
    (8.0, 1, [1, 1, 1]),
  ],
)
def test_long_episodes_are_fewer(make, share, episodes, expected):
  returns = [[0, 0], [0], [0], [0]]  # The lengths are 10 and 20, then 10.
  part, _ = make(returns, period=(50, 0), episodes=episodes, share=share)
  asked = part._actor.subject.environment.asked
  _run(part, [100, 100, 100])
  assert asked == expected
  part.evaluate()
  assert asked[-1] == episodes


def test_the_last_evaluation(make, monkeypatch):
  """It interrupts a running one, evaluates both networks, and is the last."""
  part, log = make([[1], [0], [0]], [[2], [0], [0]], (1, 0), (10**9, 1e9))
  scripted = evaluation.play_many
  begun, rows = threading.Event(), []

  def play(environment, policy, episodes, max_steps, should_stop, after_round):
    if not begun.is_set():  # The first would never end.
      begun.set()
      while not should_stop():
        time.sleep(0.01)
      raise evaluation.Stopped
    return scripted(
      environment, policy, episodes, max_steps, should_stop, after_round
    )

  monkeypatch.setattr(evaluation, 'play_many', play)
  over = threading.Event()
  thread = threading.Thread(target=part.run, args=[over.wait])
  thread.start()
  begun.wait()
  part._counter.increment(frames=1000)
  rows.append(part.evaluate())
  over.set()
  thread.join()
  assert log == rows
  assert (rows[0]['actor_return'], rows[0]['learner_return']) == (1, 2)


def test_evaluations_do_not_mix(make, monkeypatch):
  part, log = make([[0]])
  playing = []

  def play(environment, policy, episodes, max_steps, should_stop, after_round):
    playing.append(1)
    time.sleep(0.02)
    assert len(playing) == 1
    playing.pop()
    return evaluation.Episodes(np.ones(1), np.ones(1), np.zeros(1))

  monkeypatch.setattr(evaluation, 'play_many', play)
  threads = [threading.Thread(target=part.evaluate) for _ in range(4)]
  for thread in threads:
    thread.start()
  for thread in threads:
    thread.join()
  assert len(log) == 4

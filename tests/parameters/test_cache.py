"""Parameters served through a cache."""

import threading

import numpy as np
import pytest

from ald_acme.parameters import pulled


class Source:
  """Answers with how often it was asked, which takes a while."""

  def __init__(self, seconds=0.01):
    self.now, self.seconds, self.asked = 100.0, seconds, []

  def clock(self):
    return self.now

  def get_variables(self, names):
    self.asked.append(names)
    self.now += self.seconds
    return [[np.int64(len(self.asked))] for _ in names]


@pytest.fixture
def source():
  return Source()


@pytest.fixture
def cached(source):
  return pulled.ParameterCache(source, source.clock)


def test_serves_the_sources_parameters(source, cached):
  (actor,), (updates,) = cached.get_variables(['actor', 'updates'])
  assert source.asked == [['actor', 'updates']]
  assert actor == updates == 1 and updates.dtype == np.int64


def test_many_readers_cause_one_request(source, cached):
  for _ in range(1000):
    cached.get_variables(['actor'])
  assert len(source.asked) == 1


def test_a_copy_is_used_for_nine_times_its_pull(source, cached):
  cached.get_variables(['actor'])
  source.now += 0.089
  assert cached.get_variables(['actor']) == [[1]]
  source.now += 0.002
  assert cached.get_variables(['actor']) == [[2]]


def test_uses_at_most_a_tenth_of_the_sources_time(source, cached):
  began = source.now
  while source.now < began + 10:
    cached.get_variables(['actor'])
    source.now += 0.0001
  busy = source.seconds * len(source.asked)
  assert 0.09 * 10 < busy <= 0.1 * 10 + source.seconds


@pytest.mark.parametrize('seconds', [0.2, 30.0])
def test_a_slow_pull_does_not_make_a_copy_last(source, cached, seconds):
  source.seconds = seconds
  cached.get_variables(['actor'])
  source.now += 0.51
  assert cached.get_variables(['actor']) == [[2]]


def test_names_have_separate_copies(source, cached):
  cached.get_variables(['actor'])
  cached.get_variables(['learner'])
  cached.get_variables(['actor'])
  assert source.asked == [['actor'], ['learner']]


def test_readers_during_a_pull_share_it():
  class Slow(Source):
    def get_variables(self, names):
      pulling.set()
      assert go_on.wait(10)
      return super().get_variables(names)

  pulling, go_on = threading.Event(), threading.Event()
  source = Slow()
  cached = pulled.ParameterCache(source, source.clock)
  answers = []
  threads = [
    threading.Thread(target=lambda: answers.append(cached.get_variables(['a'])))
    for _ in range(8)
  ]
  for thread in threads:
    thread.start()
  assert pulling.wait(10)
  go_on.set()
  for thread in threads:
    thread.join(10)
  assert answers == [[[1]]] * 8 and len(source.asked) == 1


def test_a_pull_is_retried_after_an_error(source, cached):
  good = source.get_variables

  def fails(names):
    raise ConnectionError('gone')

  source.get_variables = fails
  with pytest.raises(ConnectionError, match='gone'):
    cached.get_variables(['actor'])
  source.get_variables = good
  assert cached.get_variables(['actor']) == [[1]]

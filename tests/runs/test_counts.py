"""Actors hear with their counts that acting is over."""

from acme.utils import counting
import pytest

from ald_acme.runs import counts


@pytest.mark.parametrize('limit, stops', [(100, [0, 1, 1]), (0, [0, 0, 0])])
def test_actors_are_told_at_the_limit(limit, stops):
  counter = counts.RunCounter(limit)
  actor = counting.Counter(counter, time_delta=0.0)
  told = [actor.increment(frames=50).get(counts.STOP_ACTING, 0) for _ in stops]
  assert told == stops
  assert counter.get_counts()['frames'] == 150


def test_actors_are_told_by_another_node():
  counter = counts.RunCounter()
  counter.increment(**{counts.STOP_ACTING: 1})
  assert counter.increment(frames=5)[counts.STOP_ACTING] == 1

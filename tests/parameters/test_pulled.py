"""Pulled parameters arrive as arrays, on schedule."""

import time

import numpy as np
import pytest

from ald_acme.parameters import pulled


class Source:
  """Serves two arrays that tell how often they were asked for."""

  def __init__(self):
    self.pulls = 0

  def get_variables(self, names):
    assert names == ['actor', 'updates']
    self.pulls += 1
    arrays = [np.full(2, self.pulls), np.full((1, 3), -self.pulls)]
    return [arrays, [np.int64(10 * self.pulls)]]


def _assert_of(parameters, pull):
  first, second = parameters.arrays
  np.testing.assert_array_equal(first, np.full(2, pull))
  np.testing.assert_array_equal(second, np.full((1, 3), -pull))
  assert parameters.age == 10 * pull


def test_parameters_exist_from_the_start():
  _assert_of(pulled.PulledParameters(Source(), 'actor', 2), 1)


def test_pull():
  parameters = pulled.PulledParameters(Source(), 'actor', 2, period=99)
  parameters.pull()
  _assert_of(parameters, 2)


@pytest.mark.parametrize('period', [1, 3])
def test_update_each_period(period):
  source = Source()
  parameters = pulled.PulledParameters(source, 'actor', 2, period)
  new = [parameters.update(wait=True) for _ in range(2 * period)]
  assert new == 2 * ([False] * (period - 1) + [True])
  _assert_of(parameters, 3)


def test_update_without_waiting():
  parameters = pulled.PulledParameters(Source(), 'actor', 2)
  deadline = time.monotonic() + 30
  while not parameters.update():
    assert time.monotonic() < deadline
  assert parameters.age > 10


def test_a_wrong_number_of_arrays_is_rejected():
  with pytest.raises(ValueError):
    pulled.PulledParameters(Source(), 'actor', 3)

"""Pulled parameters arrive on schedule, and only if they have changed."""

import threading
import time

import courier
import numpy as np
import pytest

from ald_acme.parameters import pulled

# Of the parameters' shapes.
LIKE = [np.zeros(2), np.zeros((1, 3))]


class Source:
  """Serves two arrays that tell how often they were asked for."""

  def __init__(self):
    self.pulls = 0

  def get_variables(self, names):
    assert names == ['actor', 'updates']
    self.pulls += 1
    arrays = [np.full(2, self.pulls), np.full((1, 3), -self.pulls)]
    return [arrays, [np.int64(10 * self.pulls)]]


class VectorSource:
  """Serves them as one vector, of the version that it is told."""

  def __init__(self):
    self.version, self.asked = 1, []
    self.get_variables = Source().get_variables

  def get_vector(self, name, version):
    assert name == 'actor'
    self.asked.append(version)
    vector = self.version * np.float32([1, 1, -1, -1, -1])
    new = version != self.version
    return self.version, 10 * self.version, vector if new else None


def _assert_of(parameters, pull):
  first, second = parameters.arrays
  np.testing.assert_array_equal(first, np.full(2, pull))
  np.testing.assert_array_equal(second, np.full((1, 3), -pull))
  vector = np.float32([pull, pull, -pull, -pull, -pull])
  np.testing.assert_array_equal(parameters.vector, vector)
  assert parameters.age == 10 * pull


def test_parameters_exist_from_the_start():
  _assert_of(pulled.PulledParameters(Source(), 'actor', LIKE), 1)


def test_pull():
  parameters = pulled.PulledParameters(Source(), 'actor', LIKE, period=99)
  parameters.pull()
  _assert_of(parameters, 2)


@pytest.mark.parametrize('period', [1, 3])
def test_update_each_period(period):
  source = Source()
  parameters = pulled.PulledParameters(source, 'actor', LIKE, period)
  new = [parameters.update(wait=True) for _ in range(2 * period)]
  assert new == 2 * ([False] * (period - 1) + [True])
  _assert_of(parameters, 3)


def test_update_without_waiting():
  parameters = pulled.PulledParameters(Source(), 'actor', LIKE)
  deadline = time.monotonic() + 30
  while not parameters.update():
    assert time.monotonic() < deadline
  assert parameters.age > 10


@pytest.mark.parametrize('kind', [Source, VectorSource])
@pytest.mark.parametrize('like', [LIKE[:1], LIKE[::-1], LIKE[::-1] + LIKE])
def test_parameters_of_other_shapes_are_rejected(kind, like):
  with pytest.raises(ValueError, match='sizes'):
    pulled.PulledParameters(kind(), 'actor', like)


@pytest.fixture(params=['here', 'cached', 'remote'])
def reach(request):
  """Makes a source another process's, a cache's, or neither."""
  servers = []

  def reach(source):
    if request.param == 'here':
      return source
    if request.param == 'cached':
      # Each request is a pull: the clock runs fast.
      return pulled.ParameterCache(source, iter(range(10_000)).__next__)
    server = courier.Server()
    for method in ('get_variables', 'get_vector'):
      if hasattr(source, method):
        server.Bind(method, getattr(source, method))
    server.Start()
    servers.append(server)
    return courier.Client(f'localhost:{server.port}')

  yield reach
  for server in servers:
    server.Stop()


def test_a_vector_comes_only_if_it_has_changed(reach):
  source = VectorSource()
  parameters = pulled.PulledParameters(reach(source), 'actor', LIKE)
  _assert_of(parameters, 1)
  assert not parameters.pull() and not parameters.update(wait=True)
  _assert_of(parameters, 1)
  source.version = 2
  assert parameters.update(wait=True)
  _assert_of(parameters, 2)
  source.version = 1  # The source was restored.
  assert parameters.pull() and not parameters.pull()
  _assert_of(parameters, 1)
  assert source.asked == [None, 1, 1, 1, 2, 1]


def test_other_sources_send_arrays(reach):
  parameters = pulled.PulledParameters(reach(Source()), 'actor', LIKE)
  _assert_of(parameters, 1)
  assert parameters.pull()
  _assert_of(parameters, 2)


def test_an_error_does_not_end_the_use_of_vectors():
  class Fails(VectorSource):
    def get_vector(self, name, version):
      if broken.is_set():
        raise ConnectionError('gone')
      return super().get_vector(name, version)

  broken, source = threading.Event(), Fails()
  parameters = pulled.PulledParameters(source, 'actor', LIKE)
  broken.set()
  with pytest.raises(ConnectionError, match='gone'):
    parameters.pull()
  broken.clear()
  source.version = 2
  assert parameters.pull()
  _assert_of(parameters, 2)

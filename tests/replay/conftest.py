"""Real replay servers, and fakes of `should_stop`."""

import contextlib
import itertools

import pytest
import reverb


@pytest.fixture
def serve():
  """Starts a server of some tables; gives a client of it."""
  with contextlib.ExitStack() as stack:

    def start(tables, **kwargs):
      server = reverb.Server(tables, **kwargs)
      stack.callback(server.stop)
      return reverb.Client(f'localhost:{server.port}')

    yield start


@pytest.fixture
def stop_after():
  """Makes a `should_stop` that says no a number of times, then yes once."""

  def make(count):
    answers = itertools.chain(
      itertools.repeat(False, count), [True], itertools.repeat(False)
    )
    return lambda: next(answers)

  return make

"""Logs of blocked tables: when, and with which numbers."""

import numpy as np
import pytest
import reverb

from ald_acme.replay import waiting


@pytest.fixture
def client(serve):
  """A client of a server with three items in its table, two of them sampled."""
  client = serve(
    [
      reverb.Table(
        name='distill',
        sampler=reverb.selectors.Fifo(),
        remover=reverb.selectors.Fifo(),
        max_size=2,
        rate_limiter=reverb.rate_limiters.SampleToInsertRatio(4.0, 1, 8.0),
      )
    ]
  )
  for number in range(3):
    client.insert([np.int64(number)], {'distill': 1.0})
  assert len(list(client.sample('distill', 2))) == 2
  return client


@pytest.fixture
def clock():
  """A clock that is set by hand."""

  class Clock:
    now = 1000.0

    def __call__(self):
      return self.now

  return Clock()


def _reported(caplog):
  """Messages since the last look."""
  messages = [record.getMessage() for record in caplog.records]
  caplog.clear()
  return messages


def test_describe(client):
  assert waiting.describe(client, 'distill') == (
    'size 2 of 2, 3 inserts, 2 samples, samples_per_insert 4, error 10 '
    '(samples wait below -4, inserts above 12), min_size_to_sample 1.'
  )


def test_describe_an_unknown_table(client):
  assert 'does not answer' in waiting.describe(client, 'queue')


def test_describe_without_a_server():
  client = reverb.Client('localhost:1')  # No server listens there.
  text = waiting.describe(client, 'distill')
  assert text.startswith('the replay server does not answer (')


def test_logs_periodically(client, clock, caplog):
  watch = waiting.Patience(client, 'distill', 'insert', 30.0, clock)
  told = {}
  for seconds in range(100):
    clock.now = 1000.0 + seconds
    watch.waiting()
    messages = _reported(caplog)
    if messages:
      (told[seconds],) = messages
  assert list(told) == [30, 60, 90]
  for seconds, message in told.items():
    assert message == (
      f"Waiting for {seconds} s to insert on table 'distill': "
      + waiting.describe(client, 'distill')
    )


@pytest.mark.parametrize('side', ['insert', 'sample'])
def test_an_item_ends_the_wait(client, clock, caplog, side):
  watch = waiting.Patience(client, 'distill', side, 30.0, clock)
  for _ in range(5):  # Half a minute in all, but never at a stretch.
    clock.now += 29.0
    watch.waiting()
    watch.served()
  assert not _reported(caplog)
  clock.now += 31.0
  watch.waiting()
  (message,) = _reported(caplog)
  assert message.startswith(f"Waiting for 31 s to {side} on table 'distill'")

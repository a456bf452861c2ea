"""Writers wait for permits of their reader, on a real server."""

import threading
import time

import numpy as np
import pytest
import tensorflow as tf

from ald_acme.replay import reader as replay_reader
from ald_acme.replay import tables
from ald_acme.replay import writer as replay_writer


@pytest.fixture
def client(serve):
  queue = tables.Queue('queue', 4)
  signature = {'n': tf.TensorSpec([], tf.int64)}
  return serve([queue.make(signature), queue.make_permits()])


def _writer(client, own=1, should_stop=lambda: False):
  take = replay_writer.Permits(client, 'queue', own, should_stop).take
  return replay_writer.Writer(client, should_stop, take)


def _reader(client):
  give = replay_writer.Permits(client, 'queue').give
  return replay_reader.Reader(client, 'queue', taken=give)


def _write(writer, number):
  return writer.write({'n': np.int64(number)}, {'queue': lambda step: step})


@pytest.mark.parametrize('own', [1, 2])
def test_how_far_a_writer_runs_ahead(client, own):
  writer, reader = _writer(client, own), _reader(client)
  made = []

  def make():
    for number in range(6):
      made.append(number)
      _write(writer, number)

  thread = threading.Thread(target=make, daemon=True)
  thread.start()
  for number in range(6):
    ahead = min(number + own, 6)
    deadline = time.monotonic() + 20
    while len(made) < ahead and time.monotonic() < deadline:
      time.sleep(0.01)
    time.sleep(0.05)  # It would make more, though there is room in the queue.
    assert len(made) == ahead
    (item,) = next(reader)
    assert item['n'] == number
  thread.join(20)
  assert not thread.is_alive()


def test_a_wait_for_a_permit_ends(client, stop_after):
  # Asked before the write, and then twice in the wait for a permit.
  writer = _writer(client, should_stop=stop_after(2))
  assert not _write(writer, 0)
  (item,) = next(_reader(client))  # What it had made is there.
  assert item['n'] == 0


def test_a_writer_gets_the_permits_of_an_ended_one(client):
  _write(_writer(client, own=2), 0)  # It ends with a permit in its hands.
  reader = _reader(client)
  next(reader)
  assert _write(_writer(client, own=2), 1)
  assert _write(_writer(client, own=2), 2)


def test_tables_without_permits(serve):
  """A builder of another kind may make the queue alone."""
  signature = {'n': tf.TensorSpec([], tf.int64)}
  writer = _writer(serve([tables.Queue('queue', 4).make(signature)]))
  assert all(_write(writer, number) for number in range(4))

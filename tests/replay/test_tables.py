"""The tables on a real server: order, uses of an item, and the limiter."""

import numpy as np
import pytest
import reverb
import tensorflow as tf

from ald_acme.replay import reader as replay_reader
from ald_acme.replay import tables
from ald_acme.replay import writer as replay_writer

SPEC = tf.TensorSpec([], tf.int64)


def _queue(size, name=tables.QUEUE):
  return tables.Queue(name, size).make(SPEC)


def _replay(max_size=32, min_size=1, samples_per_insert=1.0):
  table = tables.Replay('replay', max_size, min_size, samples_per_insert)
  return table.make(SPEC)


class Pump:
  """Inserts and samples as much as a table lets it."""

  def __init__(self, client, table):
    self._client, self._table = client, table
    self._stream = client.trajectory_writer(num_keep_alive_refs=1)
    dataset = reverb.TrajectoryDataset(
      client.server_address,
      table,
      dtypes=SPEC.dtype,
      shapes=SPEC.shape,
      max_in_flight_samples_per_worker=1,
      num_workers_per_iterator=1,
      rate_limiter_timeout_ms=200,
    )
    options = tf.data.Options()
    options.autotune.enabled = False  # Or an iterator ends after a minute.
    self._dataset = dataset.with_options(options)
    self._begun = 0

  def insert(self, most=100):
    """Inserts 0, 1, 2, ...; returns how many are in, without one that waits."""
    for _ in range(most):
      self._stream.append(np.int64(self._begun))
      self._begun += 1
      self._stream.create_item(self._table, 1.0, self._stream.history[-1])
      try:
        self._stream.flush(0, timeout_ms=200)
      except reverb.errors.DeadlineExceededError:
        break
    return self.counts()[0]

  def sample(self, most=100):
    """Gives what can be sampled."""
    return [int(s.data) for s in self._dataset.take(most)]

  def counts(self):
    """Inserts and samples that the table has seen."""
    info = self._client.server_info()[self._table].rate_limiter_info
    return info.insert_stats.completed, info.sample_stats.completed


def test_names_and_sizes(serve):
  client = serve([_queue(3), _queue(2, 'learner'), _replay(9)])
  sizes = {name: i.max_size for name, i in client.server_info().items()}
  assert sizes == {'queue': 3, 'learner': 2, 'replay': 9}


@pytest.mark.parametrize('size', [1, 3])
def test_queues_return_items_once_and_in_order(serve, size):
  client = serve([_queue(size)])
  pump = Pump(client, tables.QUEUE)
  assert pump.insert() == size  # And one more waits for room.
  for first in (0, size + 1):
    assert pump.sample() == list(range(first, first + size + 1))
    assert client.server_info()[tables.QUEUE].current_size == 0
    pump.insert()


def test_a_queue_in_steps(serve):
  client = serve([_queue(2)])
  writer = replay_writer.Writer(client)
  reader = replay_reader.Reader(client, tables.QUEUE)
  read = []
  for number in range(10):
    assert writer.write(np.int64(number), {tables.QUEUE: lambda x: x})
    if number % 2:
      read += [int(next(reader)[0]) for _ in range(2)]
  assert read == list(range(10))


@pytest.mark.parametrize(
  'ratio, least, inserts, samples',
  [
    # error = inserts * ratio - samples stays in least * ratio +- max(1, ratio).
    (0.5, 1, 3, 2),  # In [-0.5, 1.5]: 3 inserts; a fourth frees 2 samples.
    (1.0, 1, 2, 3),  # In [0, 2].
    (4.0, 1, 2, 12),  # In [0, 8].
    (0.5, 4, 6, 2),  # In [1, 3].
    (1.0, 4, 5, 3),  # In [3, 5].
    (4.0, 3, 4, 12),  # In [8, 16].
  ],
)
def test_the_limiter(serve, ratio, least, inserts, samples):
  table = _replay(samples_per_insert=ratio, min_size=least)
  pump = Pump(serve([table]), 'replay')
  pump.insert(least - 1)
  assert pump.sample() == []  # Too few.
  assert pump.insert() == inserts  # Blocks for want of samples,
  assert len(pump.sample()) == samples  # and samples for want of inserts.
  for _ in range(4):
    pump.insert()
    assert pump.sample(500)
    done, sampled = pump.counts()
    assert abs((done - least) * ratio - sampled) <= max(1.0, ratio)
  assert sampled >= 4 * max(1, ratio)  # Neither side stood still.


@pytest.mark.parametrize('ratio', [1 / 64, 0.5, 1.0, 4.0, 1024.0])
def test_the_smallest_buffer_is_accepted(ratio):
  made = _replay(samples_per_insert=ratio, min_size=32)
  assert made.name == 'replay'


def test_the_oldest_item_is_removed_first(serve):
  client = serve([_replay(3, samples_per_insert=16.0)])
  pump = Pump(client, 'replay')
  ages = []
  for number in range(12):
    assert pump.insert(1) == number + 1
    ages += [number - sampled for sampled in pump.sample(16)]
    size = client.server_info()['replay'].current_size
    assert size == min(number + 1, 3)
  counts = np.bincount(ages)
  assert len(counts) == 3
  assert counts.min() > 20  # Of 192, with equal odds but in the beginning.

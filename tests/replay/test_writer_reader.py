"""Writing and reading against a real server."""

import functools
import threading
import time
from typing import NamedTuple

import numpy as np
import pytest
import reverb
import tensorflow as tf
import tree

from ald_acme.replay import reader as replay_reader
from ald_acme.replay import waiting
from ald_acme.replay import writer as replay_writer

NUMBER = {'n': tf.TensorSpec([], tf.int64)}


class Pair(NamedTuple):
  """Two of a kind."""

  one: dict
  other: object


def _queue(name='queue', size=1, signature=None):
  return reverb.Table.queue(name, size, signature=signature or NUMBER)


def _write(writer, *numbers, table='queue'):
  return [
    writer.write({'n': np.int64(number)}, {table: lambda step: step})
    for number in numbers
  ]


def _numbers(batch):
  return [int(item['n']) for item in batch]


def test_nests_survive_a_round_trip(serve):
  rng = np.random.RandomState(0)
  items = [
    Pair(
      one={'x': rng.randn(3, 2).astype(np.float32), 'flag': np.bool_(i)},
      other=(np.int64(i), Pair({}, rng.randint(9, size=[0, 4, 1]))),
    )
    for i in range(3)
  ]
  spec = tree.map_structure(
    lambda x: tf.TensorSpec(np.shape(x), np.asarray(x).dtype), items[0]
  )
  client = serve([_queue(size=3, signature=spec)])
  writer = replay_writer.Writer(client)
  for item in items:
    # Tensors and arrays alike.
    tensors = item._replace(one=tree.map_structure(tf.constant, item.one))
    assert writer.write(tensors, {'queue': lambda step: step})
  reader = replay_reader.Reader(client, 'queue')
  for item, (read,) in zip(items, reader):
    tree.assert_same_structure(read, item)
    tree.map_structure(np.testing.assert_array_equal, read, item)
    assert tree.map_structure(lambda x: x.dtype.name, read) == (
      tree.map_structure(lambda x: np.asarray(x).dtype.name, item)
    )


def test_tables_share_one_write(serve, tmp_path):
  checkpointer = reverb.platform.checkpointers_lib.DefaultCheckpointer(
    str(tmp_path)
  )
  n = NUMBER['n']
  tables = [
    _queue('whole', signature={'a': n, 'b': n, 'c': n}),
    _queue('part', signature=Pair({'was a': n}, n)),
  ]
  client = serve(tables, checkpointer=checkpointer)
  step = {name: np.int64(i) for i, name in enumerate('abc')}
  assert replay_writer.Writer(client).write(
    step,
    {'whole': lambda s: s, 'part': lambda s: Pair({'was a': s['a']}, s['c'])},
  )
  # The server's own dump: one chunk for each leaf of the step, though two of
  # them are in both tables.
  chunks = tf.data.TFRecordDataset(
    f'{client.checkpoint()}/chunks.tfrecord', compression_type=''
  )
  assert len(list(chunks)) == 3

  ((whole,), (part,)) = (
    next(replay_reader.Reader(client, table)) for table in ('whole', 'part')
  )
  assert tree.map_structure(int, whole) == {'a': 0, 'b': 1, 'c': 2}
  assert tree.map_structure(int, part) == Pair({'was a': 0}, 2)


def test_an_item_that_does_not_fit_is_refused(serve):
  writer = replay_writer.Writer(serve([_queue()]))
  with pytest.raises((reverb.errors.ReverbError, ValueError), match='queue'):
    writer.write({'n': np.float32(0.5)}, {'queue': lambda step: step})


def test_a_blocked_writer_stops_without_loss(serve, stop_after):
  client = serve([_queue()])
  writer = replay_writer.Writer(client, stop_after(2))
  began = time.monotonic()
  assert _write(writer, 0, 1) == [True, False]  # No room for the second.
  assert time.monotonic() - began > waiting.POLL_MS / 1000
  reader = replay_reader.Reader(client, 'queue')
  assert _numbers(next(reader)) == [0]
  assert _numbers(next(reader)) == [1]  # It waited, and went in.
  assert _write(writer, 2) == [True]
  assert _numbers(next(reader)) == [2]


def test_a_blocked_writer_continues(serve):
  client = serve([_queue()])
  writer, reader = (
    replay_writer.Writer(client),
    replay_reader.Reader(client, 'queue'),
  )
  written = []
  thread = threading.Thread(
    target=lambda: written.extend(_write(writer, *range(4)))
  )
  thread.start()
  time.sleep(1.2)  # Longer than two polls.
  assert thread.is_alive()
  assert [_numbers(next(reader)) for _ in range(4)] == [[0], [1], [2], [3]]
  thread.join()
  assert written == [True] * 4


def test_a_writer_waits_for_every_table(serve, stop_after):
  client = serve([_queue('wide', size=2), _queue('narrow', size=1)])
  writer = replay_writer.Writer(client, stop_after(2))
  both = {'wide': lambda step: step, 'narrow': lambda step: step}
  for number, written in ((0, True), (1, False)):
    assert writer.write({'n': np.int64(number)}, both) == written
  sizes = {name: i.current_size for name, i in client.server_info().items()}
  assert sizes == {'wide': 2, 'narrow': 1}


def test_a_reader_stops_while_waiting(serve, stop_after):
  reader = replay_reader.Reader(
    serve([_queue()]), 'queue', should_stop=stop_after(2)
  )
  began = time.monotonic()
  with pytest.raises(StopIteration):
    next(reader)
  assert 1 < time.monotonic() - began < 10  # Two time-outs of half a second.


def test_a_reader_stops_at_once(serve, stop_after):
  client = serve([_queue()])
  _write(replay_writer.Writer(client), 0)
  reader = replay_reader.Reader(client, 'queue', should_stop=stop_after(0))
  assert list(reader) == []
  assert _numbers(next(reader)) == [0]  # Had it gone on.


@pytest.mark.parametrize('batch_size', [1, 2, 3])
def test_batches(serve, batch_size):
  client = serve([_queue(size=6)])
  _write(replay_writer.Writer(client), *range(6))
  reader = replay_reader.Reader(client, 'queue', batch_size)
  batches = [_numbers(next(reader)) for _ in range(6 // batch_size)]
  assert batches == np.arange(6).reshape(-1, batch_size).tolist()


def test_an_example_has_the_shapes_of_items(serve, stop_after):
  spec = Pair({'x': tf.TensorSpec([2, 3], tf.float32)}, NUMBER['n'])
  client = serve([_queue(signature=spec)])
  batches = replay_reader.Reader(client, 'queue', 2)
  mapped = replay_reader.Mapped(lambda batch: batch[::-1], batches)
  for one in (batches, mapped, replay_reader.Reuse(batches, 2.0, 1, seed=0)):
    example = replay_reader.example(one)
    assert len(example) == 2
    for item in example:
      found = tree.map_structure(tf.TensorSpec.from_tensor, item)
      assert found == spec
  assert replay_reader.example(iter([])) is None
  nowhere = reverb.Client('localhost:1')
  stopped = replay_reader.Reader(nowhere, 'queue', should_stop=stop_after(1))
  assert stopped.example() is None


def test_no_item_is_prefetched(serve):
  client = serve([_queue(size=4)])
  _write(replay_writer.Writer(client), *range(4))
  reader = replay_reader.Reader(client, 'queue')
  for number in range(3):
    assert _numbers(next(reader)) == [number]
    time.sleep(0.2)  # A worker that reads ahead would have done so by now.
    assert client.server_info()['queue'].current_size == 3 - number


def test_a_partial_batch_outlives_time_outs(serve, stop_after):
  client = serve([_queue(size=3)])
  writer = replay_writer.Writer(client)
  _write(writer, 0, 1)
  reader = replay_reader.Reader(client, 'queue', 3, stop_after(4))
  with pytest.raises(StopIteration):  # Two items, two time-outs, a stop.
    next(reader)
  assert client.server_info()['queue'].current_size == 0
  _write(writer, 2, 3)
  assert _numbers(next(reader)) == [0, 1, 2]


def test_a_reader_waits_for_the_server(stop_after):
  client = reverb.Client('localhost:1')  # No server listens there.
  reader = replay_reader.Reader(client, 'queue', should_stop=stop_after(2))
  with pytest.raises(StopIteration):
    next(reader)


def test_iterators_do_not_autotune(serve):
  reader = replay_reader.Reader(serve([_queue()]), 'queue')
  # Destroying an iterator that autotunes takes a minute.
  assert reader._make_dataset().options().autotune.enabled is False


def test_waiting_is_reported(serve, stop_after, monkeypatch, caplog):
  impatient = functools.partial(waiting.Patience, patience=0.0)
  monkeypatch.setattr(waiting, 'Patience', impatient)
  client = serve([_queue()])
  with pytest.raises(StopIteration):
    next(replay_reader.Reader(client, 'queue', should_stop=stop_after(1)))
  assert "to sample on table 'queue': size 0 of 1" in caplog.text
  caplog.clear()
  _write(replay_writer.Writer(client, stop_after(2)), 0, 1)
  assert "to insert on table 'queue': size 1 of 1" in caplog.text

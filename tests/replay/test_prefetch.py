"""Batches are fetched one ahead, in order, and moved to a device."""

import threading

import numpy as np
import pytest
import tensorflow as tf

from ald_acme.replay import prefetch

CPU = '/job:localhost/replica:0/task:0/device:CPU:0'


def _batches(number, fetched=None):
  for i in range(number):
    if fetched:
      fetched[i].set()
    yield [{'stamp': tf.constant(i), 'x': tf.fill([3], float(i))}]


def test_batches_are_the_same_in_order():
  seen = list(prefetch.Prefetched(_batches(5), CPU))
  assert len(seen) == 5
  for i, ((item,), (expected,)) in enumerate(zip(seen, _batches(5))):
    assert int(item['stamp']) == i
    np.testing.assert_array_equal(item['x'], expected['x'])


def test_the_next_batch_is_fetched_meanwhile_and_no_more():
  fetched = [threading.Event() for _ in range(9)]
  batches = prefetch.Prefetched(_batches(9, fetched), CPU)
  assert not fetched[0].is_set()
  for i in range(3):
    next(batches)
    assert fetched[i + 1].wait(10)
    batches._next.result(10)  # After that nothing is left to do.
    assert not fetched[i + 2].is_set()


def test_arrays_are_moved_but_scalars_are_not(monkeypatch):
  moved, to = [], []
  identity, device = tf.identity, tf.device
  monkeypatch.setattr(
    tf, 'identity', lambda x: moved.append(x.shape.rank) or identity(x)
  )
  monkeypatch.setattr(tf, 'device', lambda name: to.append(name) or device(CPU))
  list(prefetch.Prefetched(_batches(2), '/device:GPU:0'))
  assert moved == [1, 1] and to == 2 * ['/device:GPU:0']


def test_an_error_is_raised_and_fetching_goes_on():
  class Fails:
    def __init__(self):
      self.calls = 0

    def __iter__(self):
      return self

    def __next__(self):
      self.calls += 1
      if self.calls == 2:
        raise ConnectionError('gone')
      return [{'x': tf.fill([1], self.calls)}]

  batches = prefetch.Prefetched(Fails(), CPU)
  next(batches)
  with pytest.raises(ConnectionError, match='gone'):
    next(batches)
  assert int(next(batches)[0]['x'][0]) == 3


def test_only_an_accelerator_is_prefetched_to(monkeypatch):
  batches = _batches(1)
  assert prefetch.to_accelerator(batches) is batches
  (device,) = tf.config.list_logical_devices('CPU')
  monkeypatch.setattr(
    tf.config, 'list_logical_devices', {'GPU': [device]}.__getitem__
  )
  made = prefetch.to_accelerator(batches)
  assert isinstance(made, prefetch.Prefetched)
  ((item,),) = made
  assert item['x'].device.endswith(device.name)

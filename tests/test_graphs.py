"""Compiled functions."""

import ctypes
from typing import Any, NamedTuple

import numpy as np
import pytest
import tensorflow as tf

from ald_acme import graphs

_CALLS = 2_000


class _MallInfo(ctypes.Structure):
  """Result of glibc's `mallinfo2`: ten sizes; the eighth is bytes in use."""

  _fields_ = [(f'field_{i}', ctypes.c_size_t) for i in range(10)]


def _in_use() -> int:
  info = ctypes.CDLL(None).mallinfo2
  info.restype = _MallInfo
  return info().field_7


@pytest.mark.skipif(
  not hasattr(ctypes.CDLL(None), 'mallinfo2'), reason='glibc before 2.33'
)
def test_calls_leak_no_memory():
  add = graphs.function(lambda x: tf.tanh(x) + 1)
  x = tf.zeros([4])
  for _ in range(200):
    add(x)
  before = _in_use()
  for _ in range(_CALLS):
    add(x)
  assert (_in_use() - before) / _CALLS < 50  # It was 400 for each call.


def test_failing_functions_do_not_change_others():
  def fail(x):
    with tf.control_dependencies([tf.debugging.assert_less(x, 0.0)]):
      return tf.identity(x)

  x = tf.constant(1.0)
  for _ in range(3):
    try:
      graphs.function(fail)(x)
    except tf.errors.InvalidArgumentError:
      pass
    else:
      raise AssertionError('The assertion did not hold.')
    assert graphs.function(lambda x: 2 * x)(x) == 2.0


class _Pair(NamedTuple):
  x: Any
  rest: Any


def test_flat_functions_take_nests():
  traces = []

  def f(scale, pairs):
    traces.append(scale.shape)
    total = tf.add_n([tf.reduce_sum(pair.x) for pair in pairs])
    return _Pair(scale * total, {'last': pairs[-1].rest[1]})

  def make(size, number):
    pair = _Pair(np.full([2], number, np.float32), ((), tf.constant([number])))
    return np.ones(size, np.float32), [pair, pair]

  flat = graphs.FlatFunction(f)
  flat.get_concrete_function(*make(3, 0))
  for size, number in ((3, 1), (3, 2), (4, 5), (3, 7)):
    result, expected = flat(*make(size, number)), f(*make(size, number))
    tf.nest.assert_same_structure(result, expected)
    for one, other in zip(tf.nest.flatten(result), tf.nest.flatten(expected)):
      np.testing.assert_array_equal(one, other)
  # Once for each shape, besides the four calls above.
  assert len(traces) == 2 + 4


def test_flat_functions_leave_variables_current():
  variable = tf.Variable(1.0)
  flat = graphs.FlatFunction(lambda x: variable.assign_add(x[0]))
  assert [float(flat([np.float32(2)])) for _ in range(3)] == [3.0, 5.0, 7.0]
  variable.assign(0.0)
  assert float(flat([np.float32(2)])) == 2.0

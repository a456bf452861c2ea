"""Compiled functions."""

import ctypes

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

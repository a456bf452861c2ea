"""Lists of arrays as one vector, and back."""

import numpy as np
import pytest
import tensorflow as tf

from ald_acme.parameters import vectors

SHAPES = [(2, 3), (4,), (), (1, 2, 2), (0, 3)]


def _arrays():
  rng = np.random.RandomState(0)
  return [np.asarray(rng.randn(*shape), np.float32) for shape in SHAPES]


def test_by_hand():
  layout = vectors.Layout([[2, 2], (), [3]])
  assert layout.size == 8
  assert layout.sizes == [4, 1, 3]
  vector = layout.pack([np.array([[0, 1], [2, 3]]), 4, np.array([5, 6, 7])])
  assert vector.dtype == np.float32
  np.testing.assert_array_equal(vector, np.arange(8))


@pytest.mark.parametrize('make', [np.asarray, tf.Variable, tf.constant])
def test_round_trip(make):
  arrays = _arrays()
  layout = vectors.Layout(SHAPES)
  vector = layout.pack([make(x) for x in arrays])
  assert vector.shape == (layout.size,) == (15,)
  unpacked = layout.unpack(vector)
  assert len(unpacked) == len(arrays)
  for one, other in zip(unpacked, arrays):
    assert one.shape == other.shape
    np.testing.assert_array_equal(one, other)


def test_shapes_may_come_from_variables():
  variables = [tf.Variable(tf.zeros([2, 3])), tf.Variable(0.0)]
  layout = vectors.Layout([variable.shape for variable in variables])
  assert layout.shapes == [(2, 3), ()]


def test_packing_copies_and_unpacking_does_not():
  layout = vectors.Layout([(2,), (3,)])
  arrays = [np.zeros(2, np.float32), np.zeros(3, np.float32)]
  vector = layout.pack(arrays)
  layout.unpack(vector)[1][0] = 5.0
  np.testing.assert_array_equal(vector, [0, 0, 5, 0, 0])
  np.testing.assert_array_equal(arrays[1], 0)


@pytest.mark.parametrize(
  'change',
  [
    lambda arrays: arrays[::-1],
    lambda arrays: arrays[:-1],
    lambda arrays: [arrays[0].T, *arrays[1:]],
  ],
  ids=['order', 'number', 'shape'],
)
def test_other_shapes_are_refused(change):
  with pytest.raises(
    ValueError, match=r'must have shapes \[\(2, 3\).* received'
  ):
    vectors.Layout(SHAPES).pack(change(_arrays()))


@pytest.mark.parametrize('shape', [(14,), (16,), (15, 1), ()])
def test_vectors_of_other_sizes_are_refused(shape):
  with pytest.raises(ValueError, match=r'\(15,\).*other sizes') as error:
    vectors.Layout(SHAPES).unpack(np.zeros(shape))
  assert str(shape) in str(error.value)

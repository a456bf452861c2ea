"""Reading and assigning all variables at once."""

import numpy as np
import pytest
import tensorflow as tf

from ald_acme.parameters import variables

SHAPES = [(2, 3), (), (4,)]


@pytest.fixture
def made():
  rng = np.random.RandomState(0)
  return [tf.Variable(rng.standard_normal(s), dtype=tf.float32) for s in SHAPES]


def test_read(made):
  together = variables.Variables(made)
  assert together.size == 11
  for _ in range(2):
    for array, variable in zip(together.read(), made, strict=True):
      np.testing.assert_array_equal(array, variable.numpy())
    made[0].assign_add(tf.ones(SHAPES[0]))  # Not what it was at first.


def test_arrays_read_do_not_change(made):
  together = variables.Variables(made)
  before = together.read()
  kept = [array.copy() for array in before]
  made[2].assign_add(tf.ones(SHAPES[2]))
  for array, copy in zip(before, kept):
    np.testing.assert_array_equal(array, copy)


def test_assign(made):
  together = variables.Variables(made)
  values = [np.full(shape, i, np.float32) for i, shape in enumerate(SHAPES)]
  together.assign(values)
  for value, variable in zip(values, made, strict=True):
    np.testing.assert_array_equal(value, variable.numpy())


@pytest.mark.parametrize('shapes', [SHAPES[:2], SHAPES[::-1], []])
def test_other_shapes_are_refused(made, shapes):
  before = [v.numpy() for v in made]
  with pytest.raises(ValueError, match='shapes'):
    variables.Variables(made).assign([np.zeros(s, np.float32) for s in shapes])
  for value, variable in zip(before, made):
    np.testing.assert_array_equal(value, variable.numpy())


def test_flat_is_in_order(made):
  together = variables.Variables(made)
  flat = np.concatenate([v.numpy().ravel() for v in made])
  np.testing.assert_array_equal(together.read_flat(), flat)
  together.assign_flat(flat[::-1])
  np.testing.assert_array_equal(together.read_flat(), flat[::-1])
  np.testing.assert_array_equal(made[2].numpy(), flat[3::-1])


@pytest.mark.parametrize('shape', [(10,), (12,), (11, 1), ()])
def test_another_size_is_refused(made, shape):
  together = variables.Variables(made)
  before = together.read_flat()
  with pytest.raises(ValueError, match=r'must have shape \(11,\)'):
    together.assign_flat(np.zeros(shape, np.float32))
  np.testing.assert_array_equal(together.read_flat(), before)

"""Nests of arrays, and the variables of modules, in tests."""

from typing import Any

import numpy as np
import tensorflow as tf
import tree


def randomise(module: Any, seed: int = 0, scale: float = 0.4) -> Any:
  """Moves all variables of a module, biases at 0 and scales at 1 too."""
  rng = np.random.RandomState(seed)
  for variable in module.variables:
    noise = scale * rng.randn(*variable.shape)
    variable.assign_add(tf.cast(noise, variable.dtype))
  return module


def assert_close(answer: Any, expected: Any, atol: float = 1e-5) -> None:
  """Asserts that two nests of arrays are nearly the same."""
  tree.map_structure(
    lambda x, y: np.testing.assert_allclose(x, y, atol=atol), answer, expected
  )


def at(nest: Any, where: Any) -> Any:
  """A nest with each of its arrays indexed."""
  return tree.map_structure(lambda x: x[where], nest)


def unknown_size(nest: Any, axis: int) -> Any:
  """Specs of tensors, with one dimension of unknown size."""

  def unknown(x: tf.Tensor) -> tf.TensorSpec:
    shape = x.shape.as_list()
    shape[axis] = None
    return tf.TensorSpec(shape, x.dtype)

  return tree.map_structure(unknown, nest)


def identities(module: Any) -> list[int]:
  """Tells whether variables are the same objects as before."""
  return [id(variable) for variable in module.variables]

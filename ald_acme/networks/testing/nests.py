"""Helpers for nests of arrays and variables of modules in tests."""

from typing import Any

import numpy as np
import tensorflow as tf
import tree


def randomise(module: Any, seed: int = 0, scale: float = 0.4) -> Any:
  """Adds noise to all variables of a module, in place, and returns it."""
  rng = np.random.RandomState(seed)
  for variable in module.variables:
    noise = scale * rng.randn(*variable.shape)
    variable.assign_add(tf.cast(noise, variable.dtype))
  return module


def assert_close(answer: Any, expected: Any, atol: float = 1e-5) -> None:
  """Asserts that two nests of arrays are close."""
  tree.map_structure(
    lambda x, y: np.testing.assert_allclose(x, y, atol=atol), answer, expected
  )


def at(nest: Any, where: Any) -> Any:
  """Indexes each array of a nest."""
  return tree.map_structure(lambda x: x[where], nest)


def unknown_size(nest: Any, axis: int) -> Any:
  """Tensor specs of a nest, with one dimension of unknown size."""

  def unknown(x: tf.Tensor) -> tf.TensorSpec:
    shape = x.shape.as_list()
    shape[axis] = None
    return tf.TensorSpec(shape, x.dtype)

  return tree.map_structure(unknown, nest)


def identities(module: Any) -> list[int]:
  """Object ids of the variables, to check that they were not recreated."""
  return [id(variable) for variable in module.variables]

"""Packing of arrays into one flat vector."""

from collections.abc import Sequence

import numpy as np


class Layout:
  """The shapes of a network's variables, in their order within one vector."""

  def __init__(self, shapes: Sequence[Sequence[int]]) -> None:
    self.shapes = [tuple(shape) for shape in shapes]
    self.sizes = [int(np.prod(shape)) for shape in self.shapes]

  @property
  def size(self) -> int:
    """P, the number of parameters."""
    return sum(self.sizes)

  def pack(self, arrays: Sequence[np.ndarray]) -> np.ndarray:
    """Joins arrays of these shapes into float32 `[P]`.

    Raises:
      ValueError: if the shapes differ.
    """
    shapes = [np.shape(array) for array in arrays]
    if shapes != self.shapes:
      raise ValueError(
        f'parameters must have shapes {self.shapes}, but received {shapes}; '
        'use networks of the same sizes.'
      )
    flat = [np.asarray(array, np.float32).ravel() for array in arrays]
    return np.concatenate(flat)

  def unpack(self, vector: np.ndarray) -> list[np.ndarray]:
    """Splits `[P]` into arrays of these shapes (views, not copies).

    Raises:
      ValueError: if the vector has another size.
    """
    self.check(vector)
    ends = np.cumsum(self.sizes)[:-1]
    return [
      part.reshape(shape)
      for part, shape in zip(np.split(vector, ends), self.shapes)
    ]

  def check(self, vector: np.ndarray) -> None:
    """Raises ValueError if the vector has another size."""
    if np.shape(vector) != (self.size,):
      raise ValueError(
        f'parameters must have shape ({self.size},), but received '
        f'{np.shape(vector)}: they belong to a network of other sizes; use the '
        'sizes that it was trained with.'
      )

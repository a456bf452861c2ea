"""Packing of arrays into one flat vector."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

# The version of parameters, the number of updates that made them, and float32
# `[P]`, or None if the asking process has that version.
Answer = tuple[int, int, np.ndarray | None]


class VectorSource(Protocol):
  """Serves parameters as one vector.

  Sending one array is several times cheaper than sending those of an
  `acme.VariableSource`.
  """

  def get_vector(self, name: str, version: int | None) -> Answer:
    """The newest parameters, unless they are of `version`.

    Args:
      name: name of the parameters, as in `get_variables`.
      version: version of the last answer; None for the first.
    """


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

  def select(self, vector: np.ndarray, indices: Sequence[int]) -> np.ndarray:
    """The vector of some of the arrays, from a vector of all."""
    if list(indices) == list(range(len(self.shapes))):
      return vector
    arrays = self.unpack(vector)
    return np.concatenate([arrays[i].ravel() for i in indices])

  def check(self, vector: np.ndarray) -> None:
    """Raises ValueError if the vector has another size."""
    if np.shape(vector) != (self.size,):
      raise ValueError(
        f'parameters must have shape ({self.size},), but received '
        f'{np.shape(vector)}: they belong to a network of other sizes; use the '
        'sizes that it was trained with.'
      )

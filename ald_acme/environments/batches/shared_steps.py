"""Time steps of a batch in shared memory."""

import mmap
import os
from typing import Any

import dm_env
from dm_env import specs
import numpy as np
import tree

_ALIGNMENT = 64  # Bytes of a cache line; arrays share none.


def create(observation_spec: Any, batch_size: int) -> int:
  """Allocates shared memory for one time step of a batch.

  Args:
    observation_spec: the spec for one environment, a nest of `specs.Array`.
    batch_size: E.

  Returns:
    The descriptor of an anonymous file (`memfd_create`). The caller closes it;
    the kernel frees the memory when no process has it mapped.
  """
  size = sum(
    _aligned(dtype.itemsize * int(np.prod(shape)))
    for shape, dtype in _layout(observation_spec, batch_size)
  )
  descriptor = os.memfd_create('time_steps')
  try:
    os.ftruncate(descriptor, size)
  except OSError:
    os.close(descriptor)
    raise
  return descriptor


class SharedSteps:
  """One time step of E environments; each process writes its own rows.

  There is no lock: the processes must synchronise reads and writes themselves.
  """

  def __init__(self, descriptor: int, observation_spec: Any, batch_size: int):
    """Maps the memory.

    Args:
      descriptor: returned by `create`; may be closed afterwards.
      observation_spec: as for `create`.
      batch_size: E.
    """
    self._spec = observation_spec
    memory = mmap.mmap(descriptor, 0)
    self._arrays, offset = [], 0
    for shape, dtype in _layout(observation_spec, batch_size):
      count = int(np.prod(shape))
      array = np.frombuffer(memory, dtype, count, offset).reshape(shape)
      self._arrays.append(array)
      offset += _aligned(array.nbytes)

  def write(
    self, rows: slice, timestep: dm_env.TimeStep, lost: np.ndarray
  ) -> None:
    """Stores the time step of some environments.

    Args:
      rows: the environments' rows in the batch.
      timestep: their time step, with the shapes and dtypes of the specs.
      lost: their `base.BatchedEnvironment.lost`, bool.
    """
    leaves = (
      lost,
      timestep.step_type,
      timestep.reward,
      timestep.discount,
      *tree.flatten(timestep.observation),
    )
    for array, leaf in zip(self._arrays, leaves, strict=True):
      array[rows] = leaf

  def read(self, rows: slice) -> tuple[dm_env.TimeStep, np.ndarray]:
    """Copies the time step of some environments, and their `lost`."""
    lost, step_type, reward, discount, *leaves = (
      array[rows].copy() for array in self._arrays
    )
    observation = tree.unflatten_as(self._spec, leaves)
    return dm_env.TimeStep(step_type, reward, discount, observation), lost


def _layout(
  observation_spec: Any, batch_size: int
) -> list[tuple[tuple[int, ...], np.dtype]]:
  """Shape and dtype of each array, in order."""
  own = [
    specs.Array((), dtype) for dtype in (bool, np.int64, np.float32, np.float32)
  ]
  return [
    ((batch_size, *spec.shape), np.dtype(spec.dtype))
    for spec in (*own, *tree.flatten(observation_spec))
  ]


def _aligned(size: int) -> int:
  return -(-size // _ALIGNMENT) * _ALIGNMENT

"""One vector of parameters that several processes update without locks.

`ActorParameters` owns it and serves it to actors.

Niu et al., 2011, "HOGWILD!" (https://arxiv.org/abs/1106.5730).
"""

from collections.abc import Sequence
import mmap
import os
import secrets
from typing import Any, NamedTuple

import numpy as np

from ald_acme.parameters import vectors

_NAME = 'actor_parameters'


class Handle(NamedTuple):
  """Identifies shared memory to other processes of this host."""

  pid: int
  descriptor: int
  size: int
  num_workers: int
  name: str  # Random: another process may have reused the pid.


class SharedParameters:
  """A float32 vector and per-worker update counts in anonymous shared memory.

  The memory is an unlinked file (`memfd_create`) that other processes of the
  same user open through the owner's `/proc` entry. The kernel frees it when the
  last process that maps it ends, even if that is killed.

  Updates are unsynchronised additions in place. Concurrent updates may lose a
  few elements of one of them; counts are exact, because each worker has its
  own.
  """

  def __init__(self, handle: Handle, descriptor: int) -> None:
    """Maps the memory; use `create` or `attach`."""
    self._handle = handle
    self._descriptor = descriptor
    self._memory = mmap.mmap(descriptor, _num_bytes(handle))
    self._counters = np.frombuffer(self._memory, np.int64, handle.num_workers)
    self._vector = np.frombuffer(
      self._memory, np.float32, handle.size, offset=self._counters.nbytes
    )

  @classmethod
  def create(cls, initial: np.ndarray, num_workers: int) -> 'SharedParameters':
    """Creates shared memory.

    Args:
      initial: float32 `[P]`, the first parameters.
      num_workers: number of workers that may update them.

    Returns:
      The owner's view; others can attach while the owner is running.
    """
    name = f'{_NAME}_{secrets.token_hex(8)}'
    descriptor = os.memfd_create(name)
    handle = Handle(os.getpid(), descriptor, initial.size, num_workers, name)
    os.ftruncate(descriptor, _num_bytes(handle))
    shared = cls(handle, descriptor)
    shared.write(initial)
    return shared

  @classmethod
  def attach(cls, handle: Sequence[Any]) -> 'SharedParameters':
    """Maps the memory of a running owner on this host.

    Raises:
      FileNotFoundError: if the owner is gone or on another host.
      ValueError: if another file is there, or its size differs.
    """
    handle = Handle(*handle)
    path = f'/proc/{handle.pid}/fd/{handle.descriptor}'
    try:
      _check_link(path, handle)  # First: opening a pipe or a device may block.
      descriptor = os.open(path, os.O_RDWR)
    except OSError as error:
      raise FileNotFoundError(
        f'No shared parameters at {path}: their owner has ended, runs on '
        'another host, or belongs to another user; run workers on the host of '
        'the parameters that they update.'
      ) from error
    try:
      _check_link(f'/proc/self/fd/{descriptor}', handle)
      size = os.fstat(descriptor).st_size
      if size != _num_bytes(handle):
        raise ValueError(
          f'{path} has {size} bytes, but {handle.size} parameters of '
          f'{handle.num_workers} workers have {_num_bytes(handle)}; attach '
          "with the owner's own handle."
        )
    except ValueError:
      os.close(descriptor)
      raise
    return cls(handle, descriptor)

  @property
  def handle(self) -> Handle:
    """What `attach` needs."""
    return self._handle

  def read(self) -> np.ndarray:
    """A copy of the vector, float32 `[P]`."""
    return self._vector.copy()

  def write(self, vector: np.ndarray) -> None:
    """Replaces the vector; for the owner, before workers attach."""
    self._vector[:] = vector

  def add(self, difference: np.ndarray, worker: int) -> None:
    """Adds a worker's update in place, without a lock.

    Args:
      difference: float32 `[P]`.
      worker: index of the worker, from 0.
    """
    np.add(self._vector, difference, out=self._vector)
    self._counters[worker] += 1

  @property
  def updates(self) -> int:
    """Number of updates by all workers."""
    return int(self._counters.sum())

  def restore_updates(self, updates: int) -> None:
    """Continues from the count of an earlier run."""
    self._counters[:] = 0
    self._counters[0] = updates

  def close(self) -> None:
    """Unmaps the memory; existing views become invalid."""
    del self._counters, self._vector
    self._memory.close()
    os.close(self._descriptor)


class ActorParameters:
  """An Acme variable source of parameters that other processes update."""

  def __init__(
    self,
    initial: Sequence[np.ndarray],
    num_workers: int,
  ) -> None:
    """Copies the parameters into shared memory.

    Args:
      initial: the actor network's variables, in order.
      num_workers: number of processes that may update them.
    """
    self._layout = vectors.Layout([np.shape(array) for array in initial])
    self._shared = SharedParameters.create(
      self._layout.pack(initial), num_workers
    )
    self._first_version = secrets.randbits(62)  # Another one after a restart.

  def handle(self) -> list[Any]:
    """The fields of the `Handle` with which a worker attaches."""
    return list(self._shared.handle)

  def get_variables(self, names: Sequence[str]) -> list[list[np.ndarray]]:
    """Variables by name: 'actor' (the network's) or 'updates' (a count)."""
    known: dict[str, list[Any]] = {
      'updates': [np.int64(self._shared.updates)],
      'actor': self._layout.unpack(self._shared.read()),
    }
    return [known[name] for name in names]

  def get_vector(self, name: str, version: int | None) -> vectors.Answer:
    """As `vectors.VectorSource`, for 'actor'."""
    if name != 'actor':
      raise KeyError(name)
    updates = self._shared.updates  # Before the vector, which may be newer.
    newest = self._first_version + updates
    vector = None if version == newest else self._shared.read()
    return newest, updates, vector

  def save(self) -> dict[str, Any]:
    """The parameters and the update count."""
    return {
      'variables': self._shared.read(),
      'updates': np.int64(self._shared.updates),
    }

  def restore(self, state: dict[str, Any]) -> None:
    """Restores a state returned by `save`; call before any worker attaches.

    Raises:
      ValueError: if the state is of a network of another size.
    """
    self._layout.check(state['variables'])
    self._shared.write(state['variables'])
    self._shared.restore_updates(int(state['updates']))
    self._first_version = secrets.randbits(62)


def _check_link(path: str, handle: Handle) -> None:
  """Raises ValueError if the link is not to the owner's memory."""
  link = os.readlink(path)
  if link != f'/memfd:{handle.name} (deleted)':
    raise ValueError(
      f'{path} is {link!r}, not the memory {handle.name!r}: its owner has '
      'closed it; start the owner again, and attach with its new handle.'
    )


def _num_bytes(handle: Handle) -> int:
  return 8 * handle.num_workers + 4 * handle.size

"""The cores that a process may use, how it starts others, and its imports."""

from collections.abc import Iterator
import contextlib
import gc
import math
import os
import sys
import types


@contextlib.contextmanager
def without_main() -> Iterator[None]:
  """Hides the main module from child processes started in the body.

  Otherwise `multiprocessing` imports the parent's main module in every child
  and so runs the user's script again.
  """
  main = sys.modules['__main__']
  sys.modules['__main__'] = types.ModuleType('__main__')
  try:
    yield
  finally:
    sys.modules['__main__'] = main


@contextlib.contextmanager
def without_collection() -> Iterator[None]:
  """Turns garbage collection off for imports, which leave no garbage.

  It would search the growing modules again and again, which takes a fifth of
  the time of importing TensorFlow. Later collections leave out all objects that
  exist at the end, so a forked process does not search, and thereby copy, them.
  """
  was_on = gc.isenabled()
  gc.disable()
  try:
    yield
  finally:
    gc.freeze()
    if was_on:
      gc.enable()


def usable_cores(cgroups: str = '/sys/fs/cgroup') -> int:
  """Number of cores that this process may use, at least 1.

  `os.cpu_count()` counts those of the machine. A batch system or `taskset`
  restricts a process by affinity, a container by a CPU quota (cgroups, version
  2 or 1), which is rounded up.

  Args:
    cgroups: folder where cgroups are mounted.
  """
  cores = len(os.sched_getaffinity(0))
  quota = _quota(cgroups)
  return cores if quota is None else max(1, min(cores, math.ceil(quota)))


def _quota(cgroups: str) -> float | None:
  """The container's CPU quota in cores; None if there is no limit."""
  try:
    limit, period = _read(os.path.join(cgroups, 'cpu.max')).split()
  except (OSError, ValueError):
    try:
      limit, period = (
        _read(os.path.join(cgroups, 'cpu', f'cpu.cfs_{name}_us'))
        for name in ('quota', 'period')
      )
    except OSError:
      return None
  try:
    quota = float(limit) / float(period)  # `max` and -1 are no limits.
  except (ValueError, ZeroDivisionError):
    return None
  return quota if quota > 0 else None


def _read(path: str) -> str:
  with open(path, encoding='ascii') as file:
    return file.read()

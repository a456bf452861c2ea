"""Starting child processes with `multiprocessing`."""

from collections.abc import Iterator
import contextlib
import sys
import types


@contextlib.contextmanager
def without_main() -> Iterator[None]:
  """Hides the main module from the child processes that are started meanwhile.

  `multiprocessing` has every child import the parent's main module, and so run
  the user's script a second time.
  """
  main = sys.modules['__main__']
  sys.modules['__main__'] = types.ModuleType('__main__')
  try:
    yield
  finally:
    sys.modules['__main__'] = main

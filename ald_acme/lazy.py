"""Imports a package's public names at their first use.

So a command line is parsed and rejected without waiting for TensorFlow.
"""

from collections.abc import Callable, Mapping
import importlib
from typing import Any


def attach(
  package: str, modules: Mapping[str, str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
  """Returns a package's `__getattr__`, `__dir__` and `__all__`.

  Args:
    package: name of the package.
    modules: for each public name, the module in the package that defines it.
  """
  names = sorted(modules)

  def get(name: str) -> Any:
    if name not in modules:
      raise AttributeError(f'module {package!r} has no attribute {name!r}')
    module = importlib.import_module(f'{package}.{modules[name]}')
    return getattr(module, name)

  return get, lambda: names, names

"""Loads objects by import path, 'package.module:name'."""

from collections.abc import Callable
import difflib
import importlib
import sys
from typing import Any


def is_standard_library(module: str) -> bool:
  """Whether a module is in the standard library, or is `__main__`."""
  top = module.partition('.')[0]
  return top in sys.stdlib_module_names or top == '__main__'


def load(field: str, path: str) -> Callable[..., Any]:
  """Imports a function or a class.

  Args:
    field: the setting that holds the path, for errors.
    path: 'package.module:function'.

  Raises:
    ValueError: if it cannot be imported or is not callable.
  """
  module, colon, name = path.partition(':')
  if not (module and colon and name.isidentifier()):
    raise ValueError(
      f'{field} must be package.module:function, but received {path!r}.'
    )
  if is_standard_library(module):
    raise ValueError(
      f'{field}={path!r} cannot be used: {module!r} is in the standard library '
      'or the running script; name a function of your own module.'
    )
  made = attribute(f'{field}={path!r}', module, name)
  if not callable(made):
    raise ValueError(
      f'{field}={path!r} must name a function, but it is a '
      f'{type(made).__name__}; name a function or a class.'
    )
  return made


def attribute(what: str, module: str, name: str) -> Any:
  """Imports a module and returns one of its attributes.

  Args:
    what: describes the attribute, for errors.
    module: the module's name.
    name: the attribute's name.

  Raises:
    ValueError: if it cannot be imported; its cause is the error raised.
  """
  try:
    loaded = importlib.import_module(module)
    if hasattr(loaded, name):
      return getattr(loaded, name)
  except (Exception, SystemExit) as error:  # A module may raise anything.
    cure = 'correct the error in that module.'
    if isinstance(error, ImportError):
      cure = 'is its folder in PYTHONPATH?'
    raise ValueError(
      f'{what} cannot be imported ({type(error).__name__}: {error}); {cure}'
    ) from error
  near = difflib.get_close_matches(name, dir(loaded), 1)
  cure = f'is {module}:{near[0]} meant?' if near else 'name another.'
  raise ValueError(
    f'{what} cannot be imported: {module} has no {name!r}; {cure}'
  )

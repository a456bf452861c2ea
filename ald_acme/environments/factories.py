"""Factories of environments by name, refused where they cannot be."""

from collections.abc import Callable, Sequence
import functools
import importlib
import inspect
import typing
from typing import Any, NamedTuple

import dm_env

from ald_acme import importing

GYMNASIUM = 'gymnasium'
GYMNASIUM_VEC = 'gymnasium_vec'
ENVPOOL = 'envpool'
CONTROL = 'dm_control'
# What comes before a colon, by it the adapter and what has it installed.
_ADAPTERS = {
  GYMNASIUM: ('gymnasium_adapter', '"gymnasium>=0.29"'),
  GYMNASIUM_VEC: ('vectors', '"gymnasium>=1.1"'),
  ENVPOOL: ('envpool_adapter', '"gymnasium>=1.1"'),
  CONTROL: (
    'control_suite',
    '-c requirements.txt dm-control==1.0.14 mujoco==2.3.7',
  ),
}
# Modules of this package whose factories import nothing that arguments name.
_CLOSED = frozenset(
  f'{__package__}.{name}'
  for name in (
    'bandit',
    'classic_control',
    'i_maze',
    'knights_tour',
    'meta_fetch',
    'minigrid_adapter',
  )
)
TRIALS = 'trial_episodes'  # An argument of every environment.
# Arguments of every environment that is not ours and is made one by one.
WORKERS, REMAKES, MASK = 'workers', 'remakes', 'action_mask'
_OF_OTHERS = (WORKERS, REMAKES, MASK)
_FLAGS = ('batch_size', 'seed')  # Parameters that have flags of their own.


class Factory(NamedTuple):
  """What makes an environment, or a whole batch of them.

  Attributes:
    make: takes keyword arguments.
    seeded: whether `seed` is one of them.
    batched: whether `batch_size` is one of them: it makes a batch.
  """

  make: Callable[..., Any]
  seeded: bool
  batched: bool


def find(name: str, arguments: dict[str, Any]) -> Factory:
  """The factory that a name means.

  Args:
    name: 'module:attribute', as of `registry.make`.
    arguments: keyword arguments that it is to be called with.

  Raises:
    ValueError: if there is no such factory, or it has no such argument.
  """
  module, _, attribute = name.partition(':')
  known = None
  if module in _ADAPTERS:
    found = adapter(module)
    factory = functools.partial(found.make, attribute)
    if hasattr(found, 'arguments'):
      known = found.arguments(attribute)
  else:
    try:
      _refuse_pythons_own(name, module)
      factory = getattr(importlib.import_module(module), attribute)
    except _NotAnEnvironment:
      raise
    # Foreign modules may raise anything.
    except (Exception, SystemExit) as error:
      missing_package(name, error)
      raise ValueError(
        f'environment {name!r} cannot be imported '
        f'({type(error).__name__}: {error}); is its folder in PYTHONPATH?'
      ) from error
    _refuse_other_factories(name, factory)
  return check_arguments(name, factory, arguments, known)


def imports_code(name: str) -> bool:
  """Whether a name, or its arguments, may have any module imported.

  Args:
    name: as of `registry.make`.
  """
  module, _, attribute = name.partition(':')
  if module in (GYMNASIUM, GYMNASIUM_VEC):
    return ':' in attribute  # They import what stands before another colon.
  if module in _ADAPTERS:
    return False
  return bool(attribute) and module not in _CLOSED


class _NotAnEnvironment(ValueError):
  """A name that cannot be an environment's; nothing of it is called."""


def _refuse_pythons_own(name: str, module: str | None):
  """Refuses modules of Python's standard library, and the running program."""
  top = (module or '').partition('.')[0]
  if importing.is_standard_library(top):
    raise _NotAnEnvironment(
      f"environment {name!r} cannot be used: {top!r} is Python's own and has "
      'no environments; give the module of a factory of a dm_env.Environment.'
    )


def _refuse_other_factories(name: str, factory: Any):
  """Rejects, without calling it, what visibly cannot make an environment."""
  while isinstance(factory, functools.partial):
    factory = factory.func
  if not callable(factory):
    raise _NotAnEnvironment(
      f'environment {name!r} must name a function or a class, but it is '
      f'{type(factory).__name__} {str(factory)[:60]!r}; give a factory of a '
      'dm_env.Environment.'
    )
  _refuse_pythons_own(name, getattr(factory, '__module__', None))
  made = factory
  if not inspect.isclass(factory):
    try:
      made = typing.get_type_hints(factory).get('return', dm_env.Environment)
    except Exception:  # Names may exist for type checkers only.
      return
  faces = (
    'action_spec',
    'action_space',
  )  # For the second, the error names an adapter.
  if made is type(None) or (
    inspect.isclass(made)
    and made is not object
    and not any(hasattr(made, face) for face in faces)
  ):
    raise _NotAnEnvironment(
      f'environment {name!r} makes {made.__name__}, which is no '
      'dm_env.Environment; give a factory of one.'
    )


def missing_package(name: str, error: BaseException | None):
  """Refuses an environment that needs a package, if that is the error."""
  if not isinstance(error, ModuleNotFoundError):
    return
  module = error.name
  if module is None:  # Gymnasium raises another in its place.
    return missing_package(name, error.__cause__)
  if '.' in module:  # Its package is there.
    return
  package = module.replace('_', '-')
  raise ValueError(
    f'environment {name!r} needs {module!r}, which cannot be found; if it is a '
    f'public package: pip install -c requirements.txt {package}; if it is '
    'yours, put its folder in PYTHONPATH.'
  ) from error


def suggest_adapter(name: str, error: BaseException):
  """Refuses an ID that Gymnasium does not know, with where it may be from."""
  module, _, environment_id = name.partition(':')
  if module not in (GYMNASIUM, GYMNASIUM_VEC) or type(error).__name__ not in (
    'NameNotFound',
    'NamespaceNotFound',
    'VersionNotFound',
  ):
    return
  cure = f'{module}:package:{environment_id}, with the package that has it'
  if environment_id.startswith('MiniGrid-'):
    cure = (
      'ald_acme.environments.minigrid_adapter:make with '
      f'the argument task={environment_id}'
    )
  raise ValueError(
    f'environment {name!r} cannot be made: Gymnasium does not know the ID '
    f'({error}); try {cure}.'
  ) from error


def adapter(module: str) -> Any:
  """The module that makes the environments of a package.

  Args:
    module: what stands before the colon.

  Raises:
    ValueError: if the package is not installed.
  """
  file, install = _ADAPTERS[module]
  try:  # An extra; and slow to import.
    return importlib.import_module(f'{__package__}.{file}')
  except ModuleNotFoundError as error:
    raise ValueError(
      f'environment "{module}:..." needs a package that is not installed '
      f'({error}); install it with: pip install {install}.'
    ) from error


def check_arguments(
  name: str,
  factory: Callable[..., Any],
  arguments: dict[str, Any],
  known: Sequence[str] | None = None,
) -> Factory:
  """Refuses unknown arguments.

  Args:
    name: of the environment.
    factory: of it, or of a batch.
    arguments: that it is to be called with.
    known: names that it takes as `**kwargs`; None where it takes any.

  Raises:
    ValueError: if there is an argument that it does not take, or that has a
      flag of its own.
  """
  try:
    parameters = inspect.signature(factory).parameters
  except (
    TypeError,
    ValueError,
  ):  # Without a signature: the factory checks its arguments.
    return Factory(factory, seeded=False, batched=False)
  made = Factory(factory, 'seed' in parameters, 'batch_size' in parameters)
  reserved = _FLAGS if made.batched else _FLAGS[1:]
  for argument in arguments:
    if argument in reserved:
      raise ValueError(
        f'environment_kwargs must not set {argument}: use its own flag.'
      )
  kinds = {p.name: p.kind for p in parameters.values()}
  rest = [x for x in kinds if kinds[x] is inspect.Parameter.VAR_KEYWORD]
  if rest and known is None:
    return made
  takes = [x for x in kinds if x not in (*reserved, *rest)]
  common = () if made.batched else _OF_OTHERS
  names = dict.fromkeys([*(known or ()), *takes, *common, TRIALS])
  for argument in arguments:
    if argument not in names:
      raise ValueError(
        f'{name} has no argument {argument!r}; it has {", ".join(names)}.'
      )
  return made

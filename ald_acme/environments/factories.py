"""Finds and checks factories of environments by name."""

from collections.abc import Callable, Sequence
import difflib
import functools
import importlib
import inspect
import typing
from typing import Any, NamedTuple

import dm_env

from ald_acme import importing

GYMNASIUM = 'gymnasium'


class Adapter(NamedTuple):
  """An adapter of another package's environments, which have a prefix.

  Its module has a function `make`, which takes what follows the prefix as the
  first argument. It may have `arguments`, the names that `make` accepts as
  `**kwargs`, and `reward_threshold`, the return at which a task counts as
  solved; both take the same first argument.

  Attributes:
    module: the module, in `ald_acme.environments.adapters`.
    install: arguments of `pip install` for the package.
    form: what follows the prefix.
    summary: a line for the list of environments.
    packages: whether the name may start with a package to import, 'package:ID'.
    starts: starts of the Gymnasium IDs that only this adapter supports.
  """

  module: str
  install: str
  form: str
  summary: str
  packages: bool = False
  starts: tuple[str, ...] = ()


# By prefix. A row is all that the commands need to accept a new prefix.
ADAPTERS = {
  GYMNASIUM: Adapter(
    'gymnasium_adapter',
    '"gymnasium>=0.29"',
    'ID',
    'Any Gymnasium environment; see gymnasium.make.',
    packages=True,
  ),
  'gymnasium_vec': Adapter(
    'gymnasium_vectors',
    '"gymnasium>=1.1"',
    'ID',
    'A Gymnasium vector environment; see gymnasium.make_vec.',
    packages=True,
  ),
  'classic_control': Adapter(
    'classic_control',
    '"gymnasium>=0.29"',
    'ID',
    'Classic control, velocities=apart (a separate entry) or hidden.',
  ),
  'minigrid': Adapter(
    'minigrid_adapter',
    '-c requirements.txt "minigrid>=3"',
    'ID',
    'A MiniGrid task, such as MiniGrid-MemoryS7-v0, as one-hot cells.',
    starts=('MiniGrid-', 'BabyAI-'),
  ),
  'dm_control': Adapter(
    'control_suite',
    '-c requirements.txt dm-control==1.0.14 mujoco==2.3.7',
    'DOMAIN-TASK',
    'A task of the DeepMind Control Suite, such as cartpole-swingup.',
  ),
  'envpool': Adapter(
    'envpool_adapter',
    '"gymnasium>=1.1"',
    'ID',
    'Any environment of envpool, as a batch.',
  ),
}
# Modules of this package whose arguments cannot import code.
_CLOSED = frozenset(
  f'{__package__}.{name}'
  for name in (
    'tasks.bandit',
    'tasks.i_maze',
    'tasks.knights_tour',
    'tasks.meta_fetch',
  )
)
TRIALS = 'trial_episodes'  # An argument of every environment.
# Arguments of every environment of other packages that is created
# one at a time.
WORKERS, REMAKES, MASK = 'workers', 'remakes', 'action_mask'
_OF_OTHERS = (WORKERS, REMAKES, MASK)
SET_BY_MAKE = ('batch_size', 'seed')  # Arguments of `registry.make` itself.


class Factory(NamedTuple):
  """A factory of an environment or of a batch.

  Attributes:
    make: the factory, called with keyword arguments.
    seeded: whether it takes `seed`.
    batched: whether it takes `batch_size` and returns a batch.
  """

  make: Callable[..., Any]
  seeded: bool
  batched: bool


def find(name: str, arguments: dict[str, Any]) -> Factory:
  """Finds the factory of a name.

  Args:
    name: 'module:attribute', as for `registry.make`.
    arguments: keyword arguments for the factory.

  Raises:
    ValueError: if there is no such factory, or it has no such argument.
  """
  module, _, attribute = name.partition(':')
  known = None
  if module in ADAPTERS:
    found = adapter(module)
    factory = functools.partial(found.make, attribute)
    if hasattr(found, 'arguments'):
      known = found.arguments(attribute)
  else:
    _refuse_pythons_own(name, module)
    _refuse_adapters(name, module)
    try:
      factory = importing.attribute(f'environment {name!r}', module, attribute)
    except ValueError as error:
      missing_package(name, error.__cause__)
      raise
    _refuse_other_factories(name, factory)
  return check_arguments(name, factory, arguments, known)


def imports_code(name: str) -> bool:
  """Whether a name or its arguments may import arbitrary modules.

  Args:
    name: as for `registry.make`.
  """
  module, _, attribute = name.partition(':')
  if module in ADAPTERS:
    return ADAPTERS[module].packages and ':' in attribute
  return bool(attribute) and module not in _CLOSED


def _refuse_pythons_own(name: str, module: str | None) -> None:
  """Rejects modules of the standard library, and `__main__`."""
  top = (module or '').partition('.')[0]
  if importing.is_standard_library(top):
    raise ValueError(
      f'environment {name!r} cannot be used: {top!r} is in the standard '
      'library; name the module of a factory of a dm_env.Environment.'
    )


def _refuse_adapters(name: str, module: str) -> None:
  """Rejects the modules of adapters, whose environments have a prefix."""
  for prefix, row in ADAPTERS.items():
    if module == _module(row):
      raise ValueError(
        f'environment {name!r} names an adapter; use '
        f'"{prefix}:{row.form}" instead.'
      )


def _refuse_other_factories(name: str, factory: Any) -> None:
  """Rejects, without a call, objects that cannot create an environment."""
  while isinstance(factory, functools.partial):
    factory = factory.func
  if not callable(factory):
    raise ValueError(
      f'environment {name!r} must name a function or a class, but received a '
      f'{type(factory).__name__}, {str(factory)[:60]!r}; name a factory of a '
      'dm_env.Environment.'
    )
  _refuse_pythons_own(name, getattr(factory, '__module__', None))
  made = factory
  if not inspect.isclass(factory):
    try:
      made = typing.get_type_hints(factory).get('return', dm_env.Environment)
    except Exception:  # Annotations may exist for type checkers only.
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
    raise ValueError(
      f'environment {name!r} must return a dm_env.Environment, but is declared '
      f'to return {made.__name__}; name another factory.'
    )


def missing_package(name: str, error: BaseException | None) -> None:
  """Raises ValueError if an environment failed for a missing package."""
  if not isinstance(error, ModuleNotFoundError):
    return
  module = error.name
  if module is None:  # Gymnasium raises another error instead.
    missing_package(name, error.__cause__)
    return
  if '.' in module:  # Its package is installed.
    return
  near = difflib.get_close_matches(module, ADAPTERS, 1)
  hint = ''
  if near and name.startswith(f'{module}:'):
    hint = f'is {near[0]}:{name.partition(":")[2]} meant? If not, '
  package = module.replace('_', '-')
  raise ValueError(
    f'environment {name!r} needs {module!r}, which is not installed; {hint}for '
    f'a public package: pip install -c requirements.txt {package}; for your '
    'own, put its folder in PYTHONPATH.'
  ) from error


def suggest_adapter(name: str, error: BaseException) -> None:
  """Raises ValueError for an unknown Gymnasium ID, with a suggestion."""
  module, _, environment_id = name.partition(':')
  unknown = ('NameNotFound', 'NamespaceNotFound', 'VersionNotFound')
  if module not in ADAPTERS or type(error).__name__ not in unknown:
    return
  cure = with_prefix(environment_id)
  if cure == f'{GYMNASIUM}:{environment_id}':
    cure = f'{module}:package:{environment_id}, with the package that has it'
  raise ValueError(
    f'environment {name!r} cannot be created: Gymnasium does not know the ID '
    f'({error}); try {cure}.'
  ) from error


def with_prefix(environment_id: str) -> str:
  """The name of the environment with a Gymnasium ID."""
  for prefix, row in ADAPTERS.items():
    if environment_id.startswith(row.starts):
      return f'{prefix}:{environment_id}'
  return f'{GYMNASIUM}:{environment_id}'


def _module(row: Adapter) -> str:
  return f'{__package__}.adapters.{row.module}'


def adapter(module: str) -> Any:
  """The adapter module of a package's environments.

  Args:
    module: the prefix before the colon.

  Raises:
    ValueError: if the package is not installed.
  """
  row = ADAPTERS[module]
  try:  # An extra, and slow to import.
    return importlib.import_module(_module(row))
  except ModuleNotFoundError as error:
    raise ValueError(
      f'environment "{module}:..." needs a package that is not installed '
      f'({error}); install it with: pip install {row.install}.'
    ) from error


def check_arguments(
  name: str,
  factory: Callable[..., Any],
  arguments: dict[str, Any],
  known: Sequence[str] | None = None,
) -> Factory:
  """Rejects unknown arguments.

  Args:
    name: name of the environment.
    factory: its factory.
    arguments: keyword arguments for the factory.
    known: names that it accepts as `**kwargs`; None if it accepts any.

  Raises:
    ValueError: if an argument is unknown or is set by `registry.make`.
  """
  try:
    parameters = inspect.signature(factory).parameters
  except (
    TypeError,
    ValueError,
  ):  # Without a signature, the factory checks its arguments.
    return Factory(factory, seeded=False, batched=False)
  made = Factory(factory, 'seed' in parameters, 'batch_size' in parameters)
  reserved = SET_BY_MAKE if made.batched else SET_BY_MAKE[1:]
  for argument in arguments:
    if argument in reserved:
      raise ValueError(
        f'environment_kwargs must not set {argument}: it follows from the '
        "run's own settings (seed, envs_per_actor)."
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

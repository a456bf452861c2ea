"""Environments by name, with arguments checked before anything starts."""

import ast
from collections.abc import Callable, Mapping
import functools
import importlib
import inspect
import sys
import typing
from typing import Any

import dm_env

from ald_acme.environments import bandit
from ald_acme.environments import base
from ald_acme.environments import checks
from ald_acme.environments import foreign
from ald_acme.environments import i_maze
from ald_acme.environments import masks
from ald_acme.environments import meta_fetch
from ald_acme.environments import trials
from ald_acme.environments import workers as processes

# Classes of batched environments: class(batch_size=, seed=, **arguments).
_BATCHED = {
  'bandit': bandit.BatchedBandit,
  'i_maze': i_maze.BatchedIMaze,
  'meta_fetch': meta_fetch.BatchedMetaFetch,
}
_OWN_FLAGS = ('batch_size', 'seed')
_TRIALS = 'trial_episodes'  # An argument of every environment.
# Arguments of every environment that is not ours.
_WORKERS = 'workers'
_REMAKES = 'remakes'
_MASK = 'action_mask'
_OF_OTHERS = (_WORKERS, _REMAKES, _MASK)
_GYMNASIUM = 'gymnasium'
_CONTROL = 'dm_control'
_PACKAGE = __name__.partition('.')[0]


def names() -> list[str]:
  """The environments that come with the package."""
  return sorted(_BATCHED)


def describe() -> str:
  """A listing for people: each environment, what it is, its arguments."""
  lines = []
  for name in names():
    summary = inspect.getdoc(_BATCHED[name]).splitlines()[0]
    parameters = inspect.signature(_BATCHED[name]).parameters.values()
    own = [p for p in parameters if p.name not in _OWN_FLAGS]
    lines += [name, f'  {summary}']
    lines += [f'    {p.name}={p.default}' for p in own]
  return '\n'.join(
    [
      *lines,
      'package.module:factory',
      '  Any factory of a dm_env.Environment.',
      f'{_CONTROL}:DOMAIN-TASK',
      '  A task of the DeepMind Control Suite, as cartpole-swingup.',
      f'{_GYMNASIUM}:ID',
      '  Any Gymnasium environment; see gymnasium.make.',
      'every environment that does not come with the package',
      f'    {_WORKERS}=N: each batch is stepped by N processes; 0: in turn',
      f'    {_REMAKES}=N: environments that raise are made anew, N times',
      f'    {_MASK}=NAME: the entry of the observation, or with Gymnasium of',
      '      info, that says which actions are legal',
      'every environment',
      f'    {_TRIALS}=N: N episodes of one task make one, with one memory',
    ]
  )


def parse_arguments(text: str) -> dict[str, Any]:
  """Reads 'size=15,limit=250' as keyword arguments.

  Values are Python literals; what is none is taken as a string.

  Raises:
    ValueError: if a part has no name and value, a name comes twice, or a
      bracket or a quote is not closed.
  """
  arguments = {}
  for part in _split(text):
    name, equals, value = part.partition('=')
    if not equals or not name.strip().isidentifier() or not value.strip():
      raise ValueError(
        'environment_kwargs must look like "size=15,limit=250", but received '
        f'{part!r} in {text!r}.'
      )
    name, value = name.strip(), value.strip()
    if name in arguments:
      raise ValueError(
        f'environment_kwargs must set {name} once, but received {text!r}.'
      )
    try:
      arguments[name] = ast.literal_eval(value)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
      arguments[name] = value  # Too deep a nest is no literal either.
  return arguments


def _split(text: str) -> list[str]:
  """The parts between commas, but for commas in brackets and quotes."""
  parts: list[str] = []
  whole = True
  for piece in text.split(','):
    if whole:
      parts.append(piece)
    else:
      parts[-1] += f',{piece}'
    brackets = (sum(map(parts[-1].count, x)) for x in ('([{', ')]}'))
    quotes = (parts[-1].count(x) % 2 for x in '"\'')
    whole = len(set(brackets)) == 1 and not any(quotes)
  if not whole and ',' in parts[-1]:
    raise ValueError(
      'environment_kwargs must close its brackets and quotes, but received '
      f'{parts[-1].strip()!r} in {text!r}.'
    )
  return [part.strip() for part in parts if part.strip()]


def make(
  name: str, arguments: dict[str, Any], batch_size: int, seed: int
) -> base.BatchedEnvironment:
  """Makes E environments.

  Args:
    name: one of `names()`, or 'package.module:factory' where the factory takes
      the arguments (and `seed`, if it has such a parameter) and gives a
      `dm_env.Environment`, or 'gymnasium:ID' where `gymnasium.make` takes the
      ID and the arguments.
    arguments: keyword arguments of the environment; `trial_episodes=N`, which
      every environment takes, makes `Trials` of N episodes of it; `workers=N`,
      for those that are not ours, has a batch stepped by N processes, where it
      is more than one environment; `remakes=N`, for the same, has up to N
      environments of a batch (with workers, of a worker's share) made anew
      where they raise; `action_mask=NAME`, for the same, is the entry of the
      observation that says which actions are legal.
    batch_size: E.
    seed: of the environments' episodes.

  Returns:
    The environments.

  Raises:
    ValueError: if the name or an argument is unknown or out of range.
  """
  arguments = dict(arguments)
  if _TRIALS in arguments:
    episodes = arguments.pop(_TRIALS)
    checks.integer(_TRIALS, episodes, 1)
    return trials.Trials(make(name, arguments, batch_size, seed), episodes)
  if name in _BATCHED:
    _check_arguments(name, _BATCHED[name], arguments, _OWN_FLAGS)
    return _BATCHED[name](batch_size=batch_size, seed=seed, **arguments)
  workers, remakes = (arguments.pop(key, 0) for key in (_WORKERS, _REMAKES))
  checks.integer(_WORKERS, workers, 0)
  checks.integer(_REMAKES, remakes, 0)
  _find_factory(name, arguments)  # Refuses before a process starts.
  factory = functools.partial(_make_single, name, arguments)
  title = f'environment {name!r}'
  if workers and batch_size > 1:
    try:
      return processes.Workers(
        factory, batch_size, seed, workers, title, remakes
      )
    except RuntimeError as error:
      raise ValueError(str(error)) from error
  return base.stack(factory, batch_size, seed, title, remakes=remakes)


def solved_return(name: str, arguments: Mapping[str, Any]) -> float | None:
  """The mean return at which a task counts as solved; None if nothing says.

  It is the `reward_threshold` of a Gymnasium environment's spec, and else the
  attribute `solved_return` of the environment's class or factory. It holds for
  single episodes with the rewards that the environment has by default.

  Args:
    name: as of `make`.
    arguments: as of `make`.
  """
  rewards = [key for key in arguments if 'reward' in key]
  if _TRIALS in arguments or rewards:
    return None
  module, _, attribute = name.partition(':')
  if module == _GYMNASIUM:
    return _gymnasium_adapter().reward_threshold(attribute)
  made = _BATCHED.get(name) or _find_factory(name, dict(arguments))[0]
  return getattr(made, 'solved_return', None)


def _make_single(
  name: str, arguments: dict[str, Any], seed: int
) -> dm_env.Environment:
  """Makes one environment that is not ours."""
  factory, seeded = _find_factory(name, arguments)
  own = {**arguments, 'seed': seed} if seeded else arguments
  mask = None
  if not name.startswith(f'{_GYMNASIUM}:'):  # Its adapter looks in info too.
    mask = arguments.get(_MASK)
    own = {key: value for key, value in own.items() if key != _MASK}
  try:
    environment = factory(**own)
    foreign.check(environment)
    environment.action_spec()
    if mask is not None:
      environment = masks.Masked(environment, mask, name)
  except (Exception, SystemExit) as error:  # Not ours; it may raise anything.
    _missing_package(name, error)
    _suggest_adapter(name, error)
    raise ValueError(
      f'environment {name!r} cannot be made with {own} '
      f'({type(error).__name__}: {error}).'
    ) from error
  return environment


def check(name: str, arguments: dict[str, Any]) -> Any:
  """Makes one environment and takes a step, to see that it keeps its word.

  Returns:
    The spec of its observations.

  Raises:
    ValueError: if it cannot be made, or its observations do not have the
      shapes and dtypes of its spec.
  """
  try:
    environment = make(name, arguments, batch_size=1, seed=0)
  except ValueError:
    raise
  except Exception as error:  # A room too large for the memory, say.
    raise ValueError(
      f'environment {name!r} cannot be made with {arguments} '
      f'({type(error).__name__}: {error}).'
    ) from error
  try:
    spec = environment.observation_spec()
    first = environment.reset()
    action = masks.lowest(environment.action_spec(), spec, first.observation)
    environment.step(action)
    environment.close()
  except (Exception, SystemExit) as error:  # As above.
    raise ValueError(
      f'environment {name!r} does not do what its specs say '
      f'({type(error).__name__}: {error}).'
    ) from error
  return spec


def _find_factory(
  name: str, arguments: dict[str, Any]
) -> tuple[Callable[..., dm_env.Environment], bool]:
  """The factory that a name means, and whether it takes a seed."""
  module, colon, attribute = name.partition(':')
  if not (module and colon and attribute):
    raise ValueError(
      f'environment must be one of {", ".join(names())}, or '
      f'"package.module:factory", "{_GYMNASIUM}:ID" or '
      f'"{_CONTROL}:DOMAIN-TASK", but received {name!r}.'
    )
  known = None
  if module == _GYMNASIUM:
    adapter = _gymnasium_adapter()
    factory = functools.partial(adapter.make, attribute)
    known = adapter.arguments(attribute)
  elif module == _CONTROL:
    factory = functools.partial(_control_suite().make, attribute)
  else:
    try:
      _refuse_pythons_own(name, module)
      factory = getattr(importlib.import_module(module), attribute)
    except _NotAnEnvironment:
      raise
    # A module not ours may raise anything.
    except (Exception, SystemExit) as error:
      _missing_package(name, error)
      raise ValueError(
        f'environment {name!r} cannot be imported '
        f'({type(error).__name__}: {error}); is its folder in PYTHONPATH?'
      ) from error
    _refuse_other_factories(name, factory)
  seeded = _check_arguments(name, factory, arguments, ('seed',), _OF_OTHERS)
  if known is not None:
    _refuse_unknown(name, arguments, [*known, *_OF_OTHERS])
  return factory, seeded


class _NotAnEnvironment(ValueError):
  """A name that cannot be an environment's; nothing of it is called."""


def imports_code(name: str) -> bool:
  """Whether a name has a module imported that is not of this package.

  Args:
    name: as of `make`.
  """
  module, _, attribute = name.partition(':')
  if module == _GYMNASIUM:  # It imports what stands before another colon.
    return ':' in attribute
  if module == _CONTROL:
    return False
  return bool(attribute) and module.partition('.')[0] != _PACKAGE


def _refuse_pythons_own(name: str, module: str | None):
  """Refuses modules of Python's standard library, and the running program."""
  top = (module or '').partition('.')[0]
  if top in sys.stdlib_module_names or top == '__main__':
    raise _NotAnEnvironment(
      f"environment {name!r} cannot be used: {top!r} is Python's own and has "
      'no environments; give the module of a factory of a dm_env.Environment.'
    )


def _refuse_other_factories(name: str, factory: Any):
  """Refuses what can be known to make no environment before it is called."""
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
    except Exception:  # Of others' names; they may be for type checkers alone.
      return
  faces = ('action_spec', 'action_space')  # The second are told what to do.
  if made is type(None) or (
    inspect.isclass(made)
    and made is not object
    and not any(hasattr(made, face) for face in faces)
  ):
    raise _NotAnEnvironment(
      f'environment {name!r} makes {made.__name__}, which is no '
      'dm_env.Environment; give a factory of one.'
    )


def _missing_package(name: str, error: BaseException | None):
  """Refuses an environment that needs a package, if that is the error."""
  if not isinstance(error, ModuleNotFoundError):
    return
  module = error.name
  if module is None:  # Gymnasium raises another in its place.
    return _missing_package(name, error.__cause__)
  if '.' in module:  # Its package is there.
    return
  package = module.replace('_', '-')
  raise ValueError(
    f'environment {name!r} needs {module!r}, which cannot be found; if it is a '
    f'public package: pip install -c requirements.txt {package}; if it is '
    'yours, put its folder in PYTHONPATH.'
  ) from error


def _suggest_adapter(name: str, error: BaseException):
  """Refuses an ID that Gymnasium does not know, with where it may be from."""
  environment_id = name.removeprefix(f'{_GYMNASIUM}:')
  if not name.startswith(_GYMNASIUM) or type(error).__name__ not in (
    'NameNotFound',
    'NamespaceNotFound',
    'VersionNotFound',
  ):
    return
  cure = f'{_GYMNASIUM}:package:{environment_id}, with the package that has it'
  if environment_id.startswith('MiniGrid-'):
    cure = (
      'ald_acme.environments.minigrid_adapter:make with '
      f'the argument task={environment_id}'
    )
  raise ValueError(
    f'environment {name!r} cannot be made: Gymnasium does not know the ID '
    f'({error}); try {cure}.'
  ) from error


def _control_suite():
  try:  # An extra; and slow to import.
    from ald_acme.environments import control_suite
  except ModuleNotFoundError as error:
    raise ValueError(
      f'environment "{_CONTROL}:DOMAIN-TASK" needs a package that is not '
      f'installed ({error}); install it with: pip install -c requirements.txt '
      'dm-control==1.0.14 mujoco==2.3.7.'
    ) from error
  return control_suite


def _gymnasium_adapter():
  try:  # An extra; and slow to import.
    from ald_acme.environments import gymnasium_adapter
  except ModuleNotFoundError as error:
    raise ValueError(
      f'environment "{_GYMNASIUM}:ID" needs a package that is not installed '
      f'({error}); install it with: pip install "gymnasium>=0.29".'
    ) from error
  return gymnasium_adapter


def _check_arguments(name, factory, arguments, reserved, common=()) -> bool:
  """Refuses unknown arguments; tells whether the factory takes a seed."""
  try:
    parameters = inspect.signature(factory).parameters
  except (TypeError, ValueError):  # Not to be inspected: let it decide.
    return False
  kinds = {parameter.kind for parameter in parameters.values()}
  known = [p for p in parameters if p not in reserved]
  for argument in arguments:
    if argument in reserved:
      raise ValueError(
        f'environment_kwargs must not set {argument}: use its own flag.'
      )
  if inspect.Parameter.VAR_KEYWORD not in kinds:
    _refuse_unknown(name, arguments, [*known, *common])
  return 'seed' in parameters


def _refuse_unknown(name: str, arguments: dict[str, Any], known: list[str]):
  for argument in arguments:
    if argument not in known:
      raise ValueError(
        f'{name} has no argument {argument!r}; it has '
        f'{", ".join([*known, _TRIALS])}.'
      )

"""Creates environments by name, with arguments checked first."""

import ast
from collections.abc import Callable, Mapping
import difflib
import functools
import inspect
import re
from typing import Any, NamedTuple

import dm_env

from ald_acme import validation
from ald_acme.environments import factories
from ald_acme.environments.adapters import unsupported
from ald_acme.environments.batches import checked
from ald_acme.environments.batches import stacking
from ald_acme.environments.batches import trials
from ald_acme.environments.batches import workers
from ald_acme.environments.interface import base
from ald_acme.environments.interface import masks
from ald_acme.environments.tasks import bandit
from ald_acme.environments.tasks import i_maze
from ald_acme.environments.tasks import knights_tour
from ald_acme.environments.tasks import meta_fetch

# Classes of batched environments: class(batch_size=, seed=, **arguments).
_BATCHED = {
  'bandit': bandit.BatchedBandit,
  'i_maze': i_maze.BatchedIMaze,
  'knights_tour': knights_tour.BatchedKnightsTour,
  'meta_fetch': meta_fetch.BatchedMetaFetch,
}
imports_code = factories.imports_code
_GYMNASIUM_ID = re.compile(r'[\w./-]+-v\d+')


def names() -> list[str]:
  """Names of the package's environments."""
  return sorted(_BATCHED)


def describe() -> str:
  """Lists the environments with their descriptions and arguments."""
  lines = []
  for name in names():
    summary = (inspect.getdoc(_BATCHED[name]) or name).splitlines()[0]
    parameters = inspect.signature(_BATCHED[name]).parameters.values()
    own = [p for p in parameters if p.name not in factories.SET_BY_MAKE]
    lines += [name, f'  {summary}']
    lines += [f'    {p.name}={p.default}' for p in own]
  return '\n'.join(
    [
      *lines,
      'package.module:factory',
      '  Any factory of a dm_env.Environment; with a parameter batch_size, of',
      '  a BatchedEnvironment.',
      *(
        line
        for prefix, row in factories.ADAPTERS.items()
        for line in (f'{prefix}:{row.form}', f'  {row.summary}')
      ),
      'every environment of another package that is created one at a time',
      f'    {factories.WORKERS}=N: each batch is stepped by N processes; 0: in '
      'this process',
      f'    {factories.REMAKES}=N: environments that raise are recreated, up '
      'to N times',
      'every environment of another package',
      f'    {factories.MASK}=NAME: the entry of the observation, or with '
      'Gymnasium of',
      '      info, that says which actions are legal',
      'every environment',
      f'    {factories.TRIALS}=N: N episodes of one task form one, without a '
      'memory reset',
    ]
  )


def parse_arguments(text: str) -> dict[str, Any]:
  """Parses 'size=15,limit=250' into keyword arguments.

  Values are Python literals or else strings.

  Raises:
    ValueError: if a part has no name and value, a name is repeated, or a
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
      arguments[name] = value  # Includes nests too deep to parse.
  return arguments


def _split(text: str) -> list[str]:
  """Splits at commas, except in brackets and quotes."""
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
  """Creates E environments.

  Args:
    name: one of `names()`; 'package.module:factory', where the factory takes
      the arguments (and `seed`, if it has such a parameter) and returns a
      `dm_env.Environment`, or with a parameter `batch_size` a
      `BatchedEnvironment` of that size; 'gymnasium:ID' for `gymnasium.make`;
      'gymnasium_vec:ID' for `gymnasium.make_vec`; 'classic_control:ID';
      'minigrid:ID'; 'dm_control:DOMAIN-TASK'; or 'envpool:ID'.
    arguments: keyword arguments of the environment. Every environment also
      takes `trial_episodes=N`, for `Trials` of N episodes. Environments of
      other packages also take `workers=N`, to step a batch of more than one in
      N processes; `remakes=N`, to recreate up to N environments that raise, of
      a batch (or of each half of a worker's share); and `action_mask=NAME`, the
      action mask's entry in the observation.
    batch_size: E.
    seed: seed of the environments.

  Returns:
    The environments.

  Raises:
    ValueError: if the name or an argument is unknown or out of range.
  """
  arguments = dict(arguments)
  if factories.TRIALS in arguments:
    episodes = arguments.pop(factories.TRIALS)
    validation.integer(factories.TRIALS, episodes, 1)
    return trials.Trials(make(name, arguments, batch_size, seed), episodes)
  if name in _BATCHED:
    factories.check_arguments(name, _BATCHED[name], arguments)
    return _BATCHED[name](batch_size=batch_size, seed=seed, **arguments)
  title = f'environment {name!r}'
  if _find_factory(name, arguments).batched:  # Raises before anything starts.
    return _make_batch(name, arguments, batch_size, seed, title)
  processes, remakes = (
    arguments.pop(key, 0) for key in (factories.WORKERS, factories.REMAKES)
  )
  validation.integer(factories.WORKERS, processes, 0)
  validation.integer(factories.REMAKES, remakes, 0)
  factory = functools.partial(_make_single, name, arguments)
  if processes and batch_size > 1:
    try:
      return workers.Workers(
        factory, batch_size, seed, processes, title, remakes
      )
    except RuntimeError as error:
      raise ValueError(str(error)) from error
  return stacking.stack(factory, batch_size, seed, title, remakes=remakes)


def solved_return(name: str, arguments: Mapping[str, Any]) -> float | None:
  """The mean return at which a task counts as solved; None if not declared.

  It is the `reward_threshold` of a Gymnasium environment's spec (also of
  `classic_control` and `minigrid`), or else the attribute `solved_return` of
  the environment's class or factory. It applies to single episodes with the
  default rewards.

  Args:
    name: as for `make`.
    arguments: as for `make`.
  """
  rewards = [key for key in arguments if 'reward' in key]
  if factories.TRIALS in arguments or rewards:
    return None
  module, _, attribute = name.partition(':')
  if module in factories.ADAPTERS:
    adapter = factories.adapter(module)
    if hasattr(adapter, 'reward_threshold'):
      return adapter.reward_threshold(attribute)
  made = _BATCHED.get(name) or _find_factory(name, dict(arguments)).make
  return getattr(made, 'solved_return', None)


def _make_single(
  name: str, arguments: dict[str, Any], seed: int
) -> dm_env.Environment:
  """Creates one environment of another package."""
  factory = _find_factory(name, arguments)
  own = {**arguments, 'seed': seed} if factory.seeded else dict(arguments)
  mask = None
  # Gymnasium's adapter also looks in info.
  if not name.startswith(f'{factories.GYMNASIUM}:'):
    mask = own.pop(factories.MASK, None)

  def make() -> dm_env.Environment:
    environment = factory.make(**own)
    unsupported.check(environment)
    environment.action_spec()
    if mask is not None:
      environment = masks.Masked(environment, mask, name)
    return environment

  return _attempt(make, name, own)


def _make_batch(
  name: str, arguments: dict[str, Any], batch_size: int, seed: int, title: str
) -> base.BatchedEnvironment:
  """Creates a batched environment of another package."""
  factory = _find_factory(name, arguments)
  own = {**arguments, 'batch_size': batch_size}
  if factory.seeded:
    own['seed'] = seed

  def make() -> base.BatchedEnvironment:
    environment = factory.make(**own)
    unsupported.check_batch(environment, batch_size)
    return checked.Checked(environment, title)

  return _attempt(make, name, own)


def _attempt(make: Callable[[], Any], name: str, own: dict[str, Any]) -> Any:
  """Calls a factory; converts its errors to ValueError."""
  try:
    return make()
  except (Exception, SystemExit) as error:  # User code may raise anything.
    factories.missing_package(name, error)
    factories.suggest_adapter(name, error)
    raise ValueError(
      f'environment {name!r} cannot be created{_with(own)} '
      f'({type(error).__name__}: {error}).'
    ) from error


def _with(arguments: Mapping[str, Any]) -> str:
  """Describes the user's arguments; '' if there are none."""
  own = [
    f'{name}={value!r}'
    for name, value in arguments.items()
    if name not in factories.SET_BY_MAKE
  ]
  return f' with {", ".join(own)}' if own else ''


class Specs(NamedTuple):
  """The specs of an environment; fields as in `acme.specs.EnvironmentSpec`."""

  observations: Any
  actions: Any
  rewards: Any
  discounts: Any


def check(name: str, arguments: dict[str, Any]) -> Specs:
  """Creates one environment and steps it, to check it against its specs.

  Returns:
    Its specs.

  Raises:
    ValueError: if it cannot be created or does not match its specs.
  """
  try:
    environment = make(name, arguments, batch_size=1, seed=0)
  except ValueError:
    raise
  except Exception as error:  # For example, out of memory.
    raise ValueError(
      f'environment {name!r} cannot be created{_with(arguments)} '
      f'({type(error).__name__}: {error}).'
    ) from error
  try:
    specs = Specs(
      environment.observation_spec(),
      environment.action_spec(),
      environment.reward_spec(),
      environment.discount_spec(),
    )
    first = environment.reset()
    action = masks.lowest(specs.actions, specs.observations, first.observation)
    environment.step(action)
    environment.close()
  except (Exception, SystemExit) as error:  # As above.
    raise ValueError(
      f'environment {name!r} does not match its specs ({type(error).__name__}: '
      f'{error}).'
    ) from error
  return specs


def _find_factory(name: str, arguments: dict[str, Any]) -> factories.Factory:
  module, colon, attribute = name.partition(':')
  if not (module and colon and attribute):
    near = difflib.get_close_matches(name, names(), 1)
    if _GYMNASIUM_ID.fullmatch(name):
      near = [factories.with_prefix(name)]
    cure = f'; is {near[0]} meant?' if near else '.'
    forms = [f'"{x}:{row.form}"' for x, row in factories.ADAPTERS.items()]
    raise ValueError(
      f'environment must be one of {", ".join(names())}, or '
      f'"package.module:factory", {", ".join(forms[:-1])} or {forms[-1]}, but '
      f'received {name!r}{cure}'
    )
  return factories.find(name, arguments)

"""Environments by name, with arguments checked before anything starts."""

import ast
from collections.abc import Callable
import importlib
import inspect
from typing import Any

import numpy as np
import tree

from ald_acme.environments import base
from ald_acme.environments import i_maze

# Classes of batched environments: class(batch_size=, seed=, **arguments).
_BATCHED = {'i_maze': i_maze.BatchedIMaze}


def names() -> list[str]:
  """The environments that come with the package."""
  return sorted(_BATCHED)


def parse_arguments(text: str) -> dict[str, Any]:
  """Reads 'size=15,limit=250' as keyword arguments.

  Values are Python literals; what is none is taken as a string.

  Raises:
    ValueError: if a part has no name and value.
  """
  arguments = {}
  for part in filter(None, (part.strip() for part in text.split(','))):
    name, equals, value = part.partition('=')
    if not equals or not name.strip().isidentifier() or not value.strip():
      raise ValueError(
        'environment_kwargs must look like "size=15,limit=250", but received '
        f'{part!r} in {text!r}.'
      )
    try:
      arguments[name.strip()] = ast.literal_eval(value.strip())
    except (ValueError, SyntaxError):
      arguments[name.strip()] = value.strip()
  return arguments


def make(
  name: str, arguments: dict[str, Any], batch_size: int, seed: int
) -> base.BatchedEnvironment:
  """Makes E environments.

  Args:
    name: one of `names()`, or 'package.module:factory' where the factory takes
      the arguments (and `seed`, if it has such a parameter) and gives a
      `dm_env.Environment` with discrete actions.
    arguments: keyword arguments of the environment.
    batch_size: E.
    seed: of the environments' episodes.

  Returns:
    The environments; those of a factory are stepped in turn.

  Raises:
    ValueError: if the name or an argument is unknown or out of range.
  """
  if name in _BATCHED:
    _check_arguments(name, _BATCHED[name], arguments, ('batch_size', 'seed'))
    return _BATCHED[name](batch_size=batch_size, seed=seed, **arguments)
  factory = _import_factory(name)
  seeded = _check_arguments(name, factory, arguments, ('seed',))
  environments = []
  for i in range(batch_size):
    own = {**arguments, 'seed': seed + i} if seeded else arguments
    try:
      environments.append(factory(**own))
      environments[-1].action_spec()
    except Exception as error:  # Not ours; it may raise anything.
      raise ValueError(
        f'environment {name!r} cannot be made with {own} '
        f'({type(error).__name__}: {error}).'
      ) from error
  return base.Stacked(environments)


def check(name: str, arguments: dict[str, Any]):
  """Makes one environment and takes a step, to see that it keeps its word.

  Raises:
    ValueError: if it cannot be made, or its observations do not have the
      shapes and dtypes of its spec.
  """
  environment = make(name, arguments, batch_size=1, seed=0)
  try:
    spec = environment.observation_spec()
    action = np.array([environment.action_spec().minimum])
    for timestep in (environment.reset(), environment.step(action)):
      tree.map_structure(
        lambda s, x: s.validate(x[0]), spec, timestep.observation
      )
    environment.close()
  except Exception as error:  # As above.
    raise ValueError(
      f'environment {name!r} does not do what its specs say '
      f'({type(error).__name__}: {error}).'
    ) from error


def _import_factory(name: str) -> Callable[..., Any]:
  module, colon, attribute = name.partition(':')
  if not (module and colon and attribute):
    raise ValueError(
      f'environment must be one of {", ".join(names())}, or '
      f'"package.module:factory", but received {name!r}.'
    )
  try:
    return getattr(importlib.import_module(module), attribute)
  except Exception as error:  # A module not ours may raise anything.
    raise ValueError(
      f'environment {name!r} cannot be imported '
      f'({type(error).__name__}: {error}); is its folder in PYTHONPATH?'
    ) from error


def _check_arguments(name, factory, arguments, reserved) -> bool:
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
    if argument not in known and inspect.Parameter.VAR_KEYWORD not in kinds:
      raise ValueError(
        f'{name} has no argument {argument!r}; it has {", ".join(known)}.'
      )
  return 'seed' in parameters

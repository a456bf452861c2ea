"""Errors for objects that are not a `dm_env.Environment`."""

from typing import Any

from ald_acme.environments.interface import base

_WRAP = (
  'ald_acme.environments.adapters.gymnasium_adapter.wrap(environment, seed)'
)
_BATCH = (
  'give the factory a parameter batch_size and return ald_acme.environments.'
  'VectorEnvironment(vector, seed)'
)
OLD_API = (
  'the old Gym API (4 values from step, or reset without info); convert it: '
  'pip install shimmy, and have a factory return '
  'gymnasium_adapter.wrap(shimmy.GymV21CompatibilityV0('
  'env=environment), seed)'
)


def check(made: Any) -> None:
  """Checks that an object is a single `dm_env.Environment`.

  Args:
    made: the factory's result.

  Raises:
    TypeError: if it is not.
  """
  kind = type(made).__name__
  if isinstance(made, base.BatchedEnvironment):
    raise TypeError(
      'a factory without a parameter batch_size must return a single '
      f'environment, but {kind} is a BatchedEnvironment; add the parameter, or '
      'return base.Single of a batch of 1'
    )
  if hasattr(made, 'num_envs') and hasattr(made, 'action_space'):
    raise TypeError(
      f'a factory must return a single environment, but {kind} is a vector of '
      f'{made.num_envs}; return one (actors create envs_per_actor of them), '
      f'or, to step them together, {_BATCH}'
    )
  if hasattr(made, 'action_space'):
    parents = {
      parent.__module__.partition('.')[0] for parent in type(made).mro()
    }
    if 'gymnasium' in parents:
      raise TypeError(f'{kind} is a gymnasium.Env; return {_WRAP}')
    raise TypeError(f'{kind} has {OLD_API}')
  if not hasattr(made, 'action_spec'):
    raise TypeError(f'{made!r} is not a dm_env.Environment')


def check_batch(made: Any, batch_size: int) -> None:
  """Checks that an object is a `BatchedEnvironment` of a given size.

  Args:
    made: the result of a factory with a parameter `batch_size`.
    batch_size: the size requested.

  Raises:
    TypeError: if it is not.
  """
  kind = type(made).__name__
  if not isinstance(made, base.BatchedEnvironment):
    cure = 'return one, or remove the parameter'
    if hasattr(made, 'num_envs') and hasattr(made, 'action_space'):
      cure = _BATCH
    raise TypeError(
      'a factory with a parameter batch_size must return a BatchedEnvironment, '
      f'but returned {kind}; {cure}'
    )
  if made.batch_size != batch_size:
    raise TypeError(
      f'{kind} must have the requested batch_size={batch_size}, but has '
      f'{made.batch_size}'
    )

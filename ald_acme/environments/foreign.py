"""Errors for objects that are not a `dm_env.Environment`."""

from typing import Any

from ald_acme.environments import base

_WRAP = (
  'ald_acme.environments.gymnasium_adapter.GymnasiumEnvironment(environment, '
  'seed)'
)
_BATCH = (
  'give the factory a parameter batch_size and return ald_acme.environments.'
  'vectors.VectorEnvironment(vector, seed)'
)
OLD_API = (
  'the old Gym API (4 values from step, or reset without info); convert it: '
  'pip install shimmy, and have a factory return '
  'gymnasium_adapter.GymnasiumEnvironment(shimmy.GymV21CompatibilityV0('
  'env=environment), seed)'
)


def check(made: Any):
  """Refuses what is not one `dm_env.Environment`.

  Args:
    made: what a factory gave.

  Raises:
    TypeError: naming the kind of object and the cure.
  """
  kind = type(made).__name__
  if isinstance(made, base.BatchedEnvironment):
    raise TypeError(
      f'{kind} is a BatchedEnvironment, but a factory without a parameter '
      'batch_size gives one environment; give it that parameter, or return '
      'base.Single of a batch of 1'
    )
  if hasattr(made, 'num_envs') and hasattr(made, 'action_space'):
    raise TypeError(
      f'{kind} is a vector of {made.num_envs} environments, but a factory '
      'gives one; actors step many of them (envs_per_actor). To have them step '
      f'at once, {_BATCH}'
    )
  if hasattr(made, 'action_space'):
    parents = {
      parent.__module__.partition('.')[0] for parent in type(made).mro()
    }
    if 'gymnasium' in parents:
      raise TypeError(f'{kind} is a gymnasium.Env; return {_WRAP}')
    raise TypeError(f'{kind} has {OLD_API}')
  if not hasattr(made, 'action_spec'):
    raise TypeError(f'{made!r} is no dm_env.Environment')


def check_batch(made: Any, batch_size: int):
  """Refuses what is not a `BatchedEnvironment` of so many environments.

  Args:
    made: what a factory with a parameter `batch_size` gave.
    batch_size: that it was asked for.

  Raises:
    TypeError: naming the kind of object and the cure.
  """
  kind = type(made).__name__
  if not isinstance(made, base.BatchedEnvironment):
    cure = 'return one, or take the parameter out'
    if hasattr(made, 'num_envs') and hasattr(made, 'action_space'):
      cure = _BATCH
    raise TypeError(
      f'a factory with a parameter batch_size gives a BatchedEnvironment, but '
      f'this one gave {kind}; {cure}'
    )
  if made.batch_size != batch_size:
    raise TypeError(
      f'{kind} must have batch_size={batch_size}, as the factory was told, but '
      f'has {made.batch_size}'
    )

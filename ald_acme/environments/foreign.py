"""What to do with objects that are no `dm_env.Environment`, for errors."""

from typing import Any

from ald_acme.environments import base

_WRAP = (
  'ald_acme.environments.gymnasium_adapter.GymnasiumEnvironment(environment, '
  'seed)'
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
      f'{kind} is a BatchedEnvironment, but a factory gives one environment; '
      'return base.Single of a batch of 1'
    )
  if hasattr(made, 'num_envs') and hasattr(made, 'action_space'):
    raise TypeError(
      f'{kind} is a vector of {made.num_envs} environments, but a factory '
      'gives one; actors step many of them (envs_per_actor)'
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

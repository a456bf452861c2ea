"""Tasks of the DeepMind Control Suite (Tassa et al., 2018), by name.

Needs `pip install -c requirements.txt ".[control]"`. Example:
  python launch/local.py --environment=dm_control:cartpole-swingup
"""

import os

# Without a display the default, GLFW, warns at import.
os.environ.setdefault('MUJOCO_GL', 'disable')

from dm_control import suite
import dm_env


def make(
  task: str, seed: int, time_limit: float | None = None
) -> dm_env.Environment:
  """Creates a task.

  Observations are a dictionary of arrays, and actions are bounded. Episodes are
  truncated at the time limit.

  Args:
    task: domain and task, such as 'cartpole-swingup'.
    seed: seed of the episodes.
    time_limit: length of an episode in simulated seconds; by default the
      task's.

  Raises:
    ValueError: if there is no such task.
  """
  domain, _, name = task.partition('-')
  if (domain, name) not in suite.ALL_TASKS:
    tasks = sorted({f'{d}-{t}' for d, t in suite.ALL_TASKS})
    raise ValueError(
      f'dm_control has no task {task!r}; it has {", ".join(tasks)}.'
    )
  arguments: dict[str, float] = {'random': seed}
  if time_limit is not None:
    arguments['time_limit'] = time_limit
  return suite.load(domain, name, task_kwargs=arguments)

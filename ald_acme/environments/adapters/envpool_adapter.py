"""Environments of envpool: batches that step in their own threads.

Needs `pip install -c requirements.txt envpool==0.8.4 "gymnasium>=1.1"`.
Example:
  python launch/local.py --environment=envpool:CartPole-v1
"""

from typing import Any

from gymnasium import vector
import numpy as np
import tree

from ald_acme.environments.adapters import gymnasium_vectors
from ald_acme.environments.batches import members

_MOST = 2**31 - 1


def make(
  task: str,
  batch_size: int,
  seed: int,
  action_mask: str | None = None,
  **kwargs: Any,
) -> gymnasium_vectors.VectorEnvironment:
  """Creates a pool whose environments all step synchronously.

  Args:
    task: ID of the task, one of `envpool.list_all_envs`.
    batch_size: E.
    seed: seed of the pool.
    action_mask: as for `gymnasium_adapter.make`.
    **kwargs: arguments of `envpool.make`, such as `num_threads` and
      `max_episode_steps`.

  Raises:
    ValueError: if there is no such task, or as for `VectorEnvironment`.
  """
  import envpool  # An extra.

  known = envpool.list_all_envs()
  if task not in known:
    raise ValueError(
      f'envpool has no task {task!r}; envpool.list_all_envs() has its '
      f'{len(known)} tasks.'
    )
  # Environment i gets the pool's seed plus i.
  seed = members.seed_of(seed) % (_MOST - batch_size)
  pool = envpool.make(
    task, env_type='gymnasium', num_envs=batch_size, seed=seed, **kwargs
  )
  return gymnasium_vectors.VectorEnvironment(
    PoolVector(pool, batch_size), None, action_mask, task
  )


class PoolVector:
  """A pool with the interface of a `gymnasium.vector.VectorEnv`.

  It resets an environment in the step after the end of its episode.
  """

  metadata = {'autoreset_mode': vector.AutoresetMode.NEXT_STEP}  # noqa: RUF012
  resets_some = True
  render_mode = None

  def __init__(self, pool: Any, num_envs: int) -> None:
    """Wraps a pool of `num_envs` environments and takes ownership."""
    self._pool = pool
    self.num_envs = num_envs
    self.single_observation_space = pool.observation_space
    self.single_action_space = pool.action_space
    self._seen: Any = None

  @property
  def unwrapped(self) -> Any:
    return self._pool

  def reset(
    self, *, seed: int | None = None, options: dict[str, Any] | None = None
  ) -> tuple[Any, dict[str, Any]]:
    """Starts episodes, everywhere or where `options['reset_mask']` is set.

    Args:
      seed: must be None: a pool is seeded at creation.
      options: as for Gymnasium's vectors.
    """
    del seed
    which = (options or {}).get('reset_mask', np.ones(self.num_envs, bool))
    rows = np.flatnonzero(which)
    if len(rows) == self.num_envs:
      self._seen, infos = self._pool.reset()
      return self._seen, infos
    begun, infos = self._pool.reset(rows.astype(np.int32))
    self._seen = tree.map_structure(
      lambda x, y: _put(x, rows, y), self._seen, begun
    )
    whole = {}
    for key, values in infos.items():
      if isinstance(values, np.ndarray) and len(values) == len(rows):
        shape = (self.num_envs, *values.shape[1:])
        whole[key] = _put(np.zeros(shape, values.dtype), rows, values)
        whole[f'_{key}'] = np.asarray(which)
    return self._seen, whole

  def step(self, action: Any) -> tuple:
    """As a `VectorEnv`."""
    self._seen, *others = self._pool.step(action)
    return self._seen, *others

  def close(self) -> None:
    self._pool.close()


def _put(whole: np.ndarray, rows: np.ndarray, part: np.ndarray) -> np.ndarray:
  whole = np.array(whole)
  whole[rows] = part
  return whole

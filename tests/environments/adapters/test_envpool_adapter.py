"""Pools of envpool: the real package and a fake one."""

import itertools
import sys

import dm_env
from gymnasium import spaces
import numpy as np
import pytest

from ald_acme.environments import registry
from ald_acme.environments.adapters import envpool_adapter
from ald_acme.environments.adapters import gymnasium_vectors
from ald_acme.environments.batches import checked

FIRST, MID, LAST = (int(step_type) for step_type in dm_env.StepType)


class Pool:
  """As `envpool.make(..., env_type='gymnasium')` answers; shows the step.

  Environment i ends after 2 + i steps, the even ones by a cut. The step after
  that begins an episode, whatever the action.
  """

  observation_space = spaces.Box(0, 99, (1,), np.float32)
  action_space = spaces.Discrete(2)

  def __init__(self, num_envs):
    self._all = np.arange(num_envs, dtype=np.int32)
    self._time = np.zeros(num_envs, np.int32)

  def reset(self, env_id=None):
    rows = self._all if env_id is None else env_id
    self._time[rows] = 0
    return self._see(rows), self._infos(rows)

  def step(self, action):
    assert action.shape == self._all.shape
    over = self._time == 2 + self._all
    self._time = np.where(over, 0, self._time + 1).astype(np.int32)
    ends = self._time == 2 + self._all
    cut = ends & (self._all % 2 == 0)
    reward = np.where(over, 0, 10.0 + action).astype(np.float32)
    infos = self._infos(self._all)
    return self._see(self._all), reward, ends & ~cut, cut, infos

  def _see(self, rows):
    return self._time[rows, np.newaxis].astype(np.float32)

  def _infos(self, rows):
    return {'env_id': rows, 'elapsed_step': self._time[rows], 'players': {}}

  def close(self):
    pass


def _wrap(pool, size):
  made = gymnasium_vectors.VectorEnvironment(
    envpool_adapter.PoolVector(pool, size)
  )
  return checked.Checked(made, 'Pool')


def test_ends_and_beginnings():
  environment = _wrap(Pool(2), 2)
  steps = [environment.reset()]
  steps += [environment.step(np.array([1, 0])) for _ in range(5)]
  assert [x.step_type.tolist() for x in steps] == [
    [FIRST, FIRST],
    [MID, MID],
    [LAST, MID],
    [FIRST, LAST],
    [MID, FIRST],
    [LAST, MID],
  ]
  assert [x.discount.tolist() for x in steps[2:4]] == [[1, 1], [1, 0]]
  assert [x.reward.tolist() for x in steps[1:4]] == [
    [11, 10],
    [11, 10],
    [0, 10],
  ]
  assert steps[2].observation.tolist() == [[2], [2]]  # The episode's own last.
  assert steps[3].observation.tolist() == [[0], [3]]


def test_some_environments_are_restarted():
  environment = _wrap(Pool(3), 3)
  environment.reset()
  environment.step(np.zeros(3, int))
  assert environment.restart(np.array([False, True, False]))
  step = environment.step(np.zeros(3, int))
  assert step.step_type.tolist() == [LAST, FIRST, MID]
  assert step.observation.tolist() == [[2], [0], [2]]
  assert environment.step(np.zeros(3, int)).observation.tolist() == [
    [0],
    [1],
    [3],
  ]


def test_the_package_itself():
  pytest.importorskip('envpool')
  name, arguments = 'envpool:CartPole-v1', {'max_episode_steps': 8}
  assert not registry.imports_code(name)
  registry.check(name, arguments)
  environment = registry.make(name, arguments, 3, seed=3)
  steps = [environment.reset()]
  steps += [environment.step(np.full(3, t % 2, np.int32)) for t in range(12)]
  lengths = [x.step_type.tolist() for x in steps]
  assert lengths == [[FIRST] * 3, *[[MID] * 3] * 7, [LAST] * 3] + [
    [FIRST] * 3,
    *[[MID] * 3] * 3,
  ]
  assert steps[8].discount.tolist() == [1, 1, 1]  # Cut off at the limit.
  # The last observation is a step from the one before, the first is not.
  moved = [
    np.abs(b.observation - a.observation)[:, 0].max()
    for a, b in itertools.pairwise(steps)
  ]
  assert moved[7] < 0.02
  assert environment.restart(np.array([False, True, False]))
  step = environment.step(np.zeros(3, np.int32))
  assert step.step_type.tolist() == [MID, FIRST, MID]
  assert np.abs(step.observation[1]).max() <= 0.05  # As an episode begins.
  again = registry.make(name, arguments, 3, seed=3).reset()
  np.testing.assert_array_equal(again.observation, steps[0].observation)
  other = registry.make(name, arguments, 3, seed=4).reset()
  assert not np.array_equal(other.observation, steps[0].observation)
  with pytest.raises(ValueError, match="envpool has no task 'Maze-v0'"):
    registry.make('envpool:Maze-v0', {}, 1, seed=0)


def test_without_the_package(monkeypatch):
  monkeypatch.setitem(sys.modules, 'envpool', None)
  with pytest.raises(ValueError, match=r'requirements\.txt envpool'):
    registry.make('envpool:CartPole-v1', {}, 1, seed=0)

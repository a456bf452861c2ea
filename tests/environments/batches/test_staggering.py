"""Staggering spreads environments over the phases of an episode."""

import dm_env
import numpy as np
import pytest

from ald_acme.environments.batches import stacking
from ald_acme.environments.batches import staggering
from ald_acme.environments.batches import trials
from ald_acme.environments.batches import workers
from ald_acme.environments.interface import base
from ald_acme.environments.tasks import bandit
from ald_acme.environments.tasks import i_maze
from ald_acme.environments.tasks import meta_fetch
from tests.environments.interface import test_base

FIRST, MID, LAST = (int(step_type) for step_type in dm_env.StepType)
E = 64


def _stacked(length=11):
  return stacking.Stacked([test_base.Countdown(length) for _ in range(E)])


# Episodes of these have a fixed length, whatever is done.
KINDS = {
  'i_maze': lambda: i_maze.BatchedIMaze(E, size=9, limit=11),
  'meta_fetch': lambda: meta_fetch.BatchedMetaFetch(E, limit=11),
  'trials': lambda: trials.Trials(
    i_maze.BatchedIMaze(E, size=9, limit=3), episodes=3
  ),
  'trials of bandits': lambda: trials.Trials(bandit.BatchedBandit(E), 6),
  'stacked': _stacked,
}


def _run(environment, seed, steps=60):
  """Step types, discounts and what is reported, each `[steps, E]`."""
  stagger = staggering.Stagger(environment, seed)
  timesteps, reported = [stagger.reset()], [stagger.reported]
  action = np.zeros(environment.batch_size, np.int64)
  for _ in range(steps - 1):
    timesteps.append(stagger.step(action))
    reported.append(stagger.reported)
  types = np.stack([t.step_type for t in timesteps])
  discounts = np.stack([t.discount for t in timesteps])
  return types, discounts, np.stack(reported)


@pytest.mark.parametrize('kind', KINDS)
def test_phases_are_spread(kind):
  types, discounts, reported = _run(KINDS[kind](), seed=0)
  # After the first two episodes, which take 12 steps each with the reset.
  ends = types[24:] == LAST
  # At every step about as many end: 64 in 12 steps.
  assert (ends.sum(1) > 0).mean() > 0.8 and ends.sum(1).max() < 20
  # Each step to LAST is followed by a FIRST, and by nothing else.
  np.testing.assert_array_equal(types[1:] == FIRST, types[:-1] == LAST)
  # At most one episode is truncated in each, and it is not reported.
  lengths = [np.diff(np.flatnonzero(row == LAST)) for row in types.T]
  short = [(x != 12).sum() for x in lengths]
  assert max(short) == 1 and sum(short) > E / 2
  cut = (types == LAST) & ~reported
  assert cut.sum(0).max() == 1 and cut.sum() == sum(short)
  np.testing.assert_array_equal(discounts[cut], 1.0)


@pytest.mark.parametrize('kind', KINDS)
def test_without_a_seed_nothing_changes(kind):
  types, _, reported = _run(KINDS[kind](), seed=None)
  assert (types == types[:, :1]).all() and reported.all()


def test_workers_are_spread():
  environment = workers.Workers(_eleven, 8, 0, 2)
  types, _, _ = _run(environment, seed=0)
  environment.close()
  assert ((types[24:] == LAST).sum(1) < 8).all()


def _eleven(seed):
  return test_base.Countdown(11)


def test_environments_that_cannot_restart_are_unchanged():
  class Old(i_maze.BatchedIMaze):
    restart = base.BatchedEnvironment.restart

  types, _, _ = _run(Old(E, limit=11), seed=0)
  assert (types == types[:, :1]).all()


class Lottery(base.BatchedEnvironment):
  """An episode ends after 2 steps with a return of 1, or after 20 with 0."""

  batch_size = 2_000

  def __init__(self):
    self._rng = np.random.RandomState(0)
    self._over = np.ones(self.batch_size, bool)
    self._left = np.zeros(self.batch_size, int)

  def observation_spec(self):
    raise NotImplementedError

  action_spec = observation_spec

  def restart(self, which):
    self._over |= which
    return True

  def reset(self):
    self._over[:] = True
    return self.step(None)

  def step(self, action):
    first = self._over
    drawn = np.where(self._rng.rand(self.batch_size) < 0.5, 2, 20)
    self._wins = np.where(first, drawn == 2, getattr(self, '_wins', False))
    self._left = np.where(first, drawn, self._left - 1)
    last = self._left == 0
    self._over = last
    return base.timestep(first, last, last & self._wins, first)


def test_reported_episodes_are_unbiased():
  """The first three episodes of each: those reported win as often as others."""
  stagger = staggering.Stagger(Lottery(), 1)
  stagger.reset()
  wins, ended = [], np.zeros(Lottery.batch_size, int)
  for _ in range(70):
    timestep = stagger.step(None)
    last = timestep.step_type == LAST
    counted = last & stagger.reported & (ended < 3)
    ended += last
    wins += timestep.reward[counted].tolist()
  assert (ended >= 3).all() and len(wins) > 4_000
  assert np.mean(wins) == pytest.approx(0.5, abs=4 * 0.5 / np.sqrt(len(wins)))

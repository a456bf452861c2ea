"""Bandits: tasks stay until `new_tasks`."""

from absl.testing import absltest
import dm_env
from dm_env import test_utils
import numpy as np
import pytest

from ald_acme.environments.interface import base
from ald_acme.environments.tasks import bandit

FIRST, MID, LAST = (int(step_type) for step_type in dm_env.StepType)


class BanditTest(test_utils.EnvironmentTestMixin, absltest.TestCase):
  """The contract of `dm_env`."""

  def make_object_under_test(self):
    return base.Single(bandit.BatchedBandit(arms=3))

  def make_action_sequence(self):
    yield from np.random.RandomState(0).randint(3, size=20)


def _pull(bandits, arm, times):
  """Rewards of one arm of all bandits, `[times, E]`."""
  rewards = []
  for _ in range(times):
    bandits.reset()
    rewards.append(bandits.step(np.full(bandits.batch_size, arm)).reward)
  return np.stack(rewards)


def test_an_episode_is_one_pull():
  bandits = bandit.BatchedBandit(4)
  steps = [bandits.reset()] + [bandits.step(np.arange(4)) for _ in range(5)]
  np.testing.assert_array_equal(
    [step.step_type for step in steps], [[FIRST] * 4, [LAST] * 4] * 3
  )
  for step in steps:
    first = step.step_type[0] == FIRST
    np.testing.assert_array_equal(step.discount, float(first))
    assert set(step.reward) <= ({0} if first else {0, 1})
    assert step.step_type.dtype == np.int64
    assert step.reward.dtype == step.discount.dtype == np.float32
    np.testing.assert_array_equal(step.observation, np.zeros([4, 1]))
    bandits.observation_spec().validate(step.observation[0])
  assert bandits.action_spec().num_values == 5


def _keeping(*args, **kwargs):
  """Bandits whose tasks stay."""
  bandits = bandit.BatchedBandit(*args, **kwargs)
  bandits.keep_tasks()
  return bandits


def test_tasks_stay_until_new_tasks():
  bandits = _keeping(400, arms=2, seed=1)
  halves = [_pull(bandits, 0, 200).mean(0) for _ in range(2)]
  assert np.corrcoef(halves)[0, 1] > 0.95
  renewed = np.arange(400) % 2 == 0
  bandits.new_tasks(renewed)
  after = _pull(bandits, 0, 200).mean(0)
  assert np.corrcoef(halves[1], after)[0, 1] < 0.75
  assert np.corrcoef(halves[1][~renewed], after[~renewed])[0, 1] > 0.95
  assert abs(np.corrcoef(halves[1][renewed], after[renewed])[0, 1]) < 0.25
  # Uniform, and so for every task.
  for means in (halves[0], after[renewed]):
    deciles = np.quantile(means, np.arange(0.1, 1.0, 0.1))
    np.testing.assert_allclose(deciles, np.arange(0.1, 1.0, 0.1), atol=0.12)


def test_by_default_every_pull_has_a_new_task():
  bandits = bandit.BatchedBandit(400, arms=2, seed=1)
  halves = [_pull(bandits, 0, 200).mean(0) for _ in range(2)]
  assert abs(np.corrcoef(halves)[0, 1]) < 0.25


def test_arms_and_pulls_are_independent():
  bandits = _keeping(400, arms=2)
  rewards = [_pull(bandits, arm, 200) for arm in range(2)]
  means = [arm.mean(0) for arm in rewards]
  assert abs(np.corrcoef(means)[0, 1]) < 0.2
  for arm, mean in zip(rewards, means):
    # Given the arm, neither the pull before nor the bandit beside tells more.
    surprise = arm - mean
    for one, other in (
      (surprise[1:], surprise[:-1]),
      (surprise[:, 1:], surprise[:, :-1]),
    ):
      assert abs(np.corrcoef(one.ravel(), other.ravel())[0, 1]) < 0.03


def test_first_pulls_of_tasks_are_as_lucky_as_others():
  # With one pull per task, half of the pulls pay, for any arm.
  for arm in range(2):
    bandits = _keeping(1000, arms=2)
    rewards = []
    for _ in range(4):
      bandits.new_tasks(np.ones(1000, bool))
      rewards.append(_pull(bandits, arm, 1)[0])
    np.testing.assert_allclose(np.mean(rewards, 1), 0.5, atol=0.06)


def test_a_new_task_waits_for_the_next_episode():
  asked, plain = (_keeping(64, arms=1) for _ in range(2))
  asked.reset()
  plain.reset()
  asked.new_tasks(np.ones(64, bool))
  action = np.zeros(64, np.int64)
  np.testing.assert_array_equal(
    asked.step(action).reward, plain.step(action).reward
  )
  # The same luck from here on, but other odds.
  assert (_pull(asked, 0, 20) != _pull(plain, 0, 20)).any(0).sum() > 32


def test_calling_new_tasks_twice_draws_once():
  often, once = (_keeping(8, seed=2) for _ in range(2))
  for bandits, times in ((often, 3), (once, 1)):
    bandits.reset()
    for _ in range(times):
      bandits.new_tasks(np.ones(8, bool))
  np.testing.assert_array_equal(_pull(often, 0, 50), _pull(once, 0, 50))


def test_new_tasks_before_the_first_episode_change_nothing():
  asked, plain = (_keeping(8, seed=2) for _ in range(2))
  asked.new_tasks(np.ones(8, bool))
  np.testing.assert_array_equal(_pull(asked, 0, 50), _pull(plain, 0, 50))


def test_episodes_do_not_depend_on_batch_size():
  few, many = (_keeping(n, seed=3) for n in (3, 8))
  rng = np.random.RandomState(0)
  for t in range(60):
    if t % 7 == 0:
      which = rng.rand(8) < 0.5
      few.new_tasks(which[:3])
      many.new_tasks(which)
    action = rng.randint(5, size=8)
    mine, theirs = few.step(action[:3]), many.step(action)
    for leaf, other in zip(mine, theirs):
      np.testing.assert_array_equal(leaf, other[:3])


def test_bandits_do_not_depend_on_each_other():
  one, other = (_keeping(4, seed=3) for _ in range(2))
  rng = np.random.RandomState(0)
  for _ in range(60):
    for bandits in (one, other):
      bandits.new_tasks(np.array([*(rng.rand(3) < 0.3), False]))
    np.testing.assert_array_equal(
      _pull(one, 2, 2)[:, 3], _pull(other, 2, 2)[:, 3]
    )
    for bandits in (one, other):
      bandits.new_tasks(np.arange(4) == 3)


def test_seeds_and_bandits_have_independent_rewards():
  rows = [
    row.tobytes()
    for seed in range(4)
    for row in _pull(bandit.BatchedBandit(4, arms=1, seed=seed), 0, 100).T
  ]
  assert len(set(rows)) == 16


@pytest.mark.parametrize(
  'field, value',
  [
    ('batch_size', 0),
    ('arms', 0),
    ('arms', 2.0),
    ('arms', 'two'),
    ('seed', -1),
  ],
)
def test_bad_arguments_are_named(field, value):
  with pytest.raises(ValueError) as error:
    bandit.BatchedBandit(**{field: value})
  assert field in str(error.value)
  assert repr(value) in str(error.value)

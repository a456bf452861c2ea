"""Evaluation plays exactly one episode in each environment."""

import dm_env
from dm_env import specs
import numpy as np
import pytest

from ald_acme.acting import evaluation
from ald_acme.acting import policies
from ald_acme.environments.batches import stacking


class Toy(dm_env.Environment):
  """Rewards 1 + 10 * action; a second episode unasked for would show."""

  def __init__(self, length):
    self._length, self._step, self.episodes = length, None, 0

  def reset(self):
    self._step, self.episodes = 0, self.episodes + 1
    return dm_env.restart(np.float32(0))

  def step(self, action):
    if self._step in (None, self._length):
      self._length = 1  # The episodes after the first are short and rich.
      return self.reset()
    self._step += 1
    last = self._step == self._length
    make = dm_env.termination if last else dm_env.transition
    reward = 1.0 + 10.0 * action
    return make(reward if self.episodes == 1 else 1e6, np.float32(self._step))

  def observation_spec(self):
    return specs.Array((), np.float32)

  def action_spec(self):
    return specs.DiscreteArray(9)


class Policy:
  """Always acts the same; takes note of what it sees."""

  def __init__(self, action):
    self._action = np.array(action)
    self.seen = None

  def reset(self):
    self.seen = []

  def inputs(self, timestep):
    return timestep.step_type

  def step(self, inputs):
    self.seen.append(inputs)
    return policies.Decision(self._action, self._action, None)


@pytest.mark.parametrize('lengths', [[1], [3], [1, 4, 2], [5, 1, 1, 5], [2, 2]])
def test_exactly_one_episode_each(lengths):
  lengths, action = np.array(lengths), np.arange(len(lengths))
  environment = stacking.Stacked([Toy(length) for length in lengths])
  policy = Policy(action)
  episodes = evaluation.play(environment, policy)
  np.testing.assert_array_equal(episodes.lengths, lengths)
  np.testing.assert_array_equal(episodes.returns, lengths * (1 + 10 * action))
  assert episodes.lengths.dtype == np.int64
  assert episodes.returns.dtype == np.float64
  assert len(policy.seen) == lengths.max()  # Ends with the longest.


def test_everything_is_reset():
  toys = [Toy(2), Toy(3)]
  environment, policy = stacking.Stacked(toys), Policy([0, 0])
  environment.reset()
  environment.step([0, 0])
  for toy in toys:
    toy.episodes = 0
  for _ in range(2):
    evaluation.play(environment, policy)
    # The policy began anew, with a first step in every environment.
    np.testing.assert_array_equal(policy.seen[0], int(dm_env.StepType.FIRST))
    assert (np.stack(policy.seen[1:]) != int(dm_env.StepType.FIRST)).any()


@pytest.mark.parametrize('episodes', [1, 2, 3, 5, 6])
def test_as_many_episodes_as_asked_for(episodes):
  environment, policy = stacking.Stacked([Toy(2), Toy(2)]), Policy([0, 1])
  played = evaluation.play_many(environment, policy, episodes)
  np.testing.assert_array_equal(played.lengths, episodes * [2])
  # Each toy's later episodes are rich.
  expected = [2, 22, 2e6, 2e6, 2e6, 2e6][:episodes]
  np.testing.assert_array_equal(played.returns, expected)


@pytest.mark.parametrize(
  'successes, n, low, high',
  [
    # From the quadratic |share - p| = z sqrt(p (1 - p) / n), solved for p.
    (0, 10, 0.0, 0.27753),
    (10, 10, 0.72247, 1.0),
    (5, 10, 0.23659, 0.76341),
    (95, 100, 0.88825, 0.97846),
    (1, 1, 0.20655, 1.0),
  ],
)
def test_success_rate(successes, n, low, high):
  returns = np.array([0.95] * successes + [0.949] * (n - successes))
  rate = evaluation.success_rate(returns, threshold=0.95)
  assert rate.share == successes / n
  np.testing.assert_allclose(rate[1:], (low, high), atol=1e-5)
  for p in {rate.low, rate.high} - {0.0, 1.0}:
    deviations = abs(rate.share - p) / np.sqrt(p * (1 - p) / n)
    np.testing.assert_allclose(deviations, 1.96, atol=1e-3)


def test_endless_episodes_are_truncated():
  environment, policy = stacking.Stacked([Toy(3), Toy(10**9)]), Policy([0, 0])
  episodes = evaluation.play(environment, policy, max_steps=5)
  np.testing.assert_array_equal(episodes.lengths, [3, 5])
  np.testing.assert_array_equal(episodes.cut, [False, True])
  played = evaluation.play_many(environment, policy, 3, max_steps=4)
  np.testing.assert_array_equal(played.lengths, [3, 4, 3])
  np.testing.assert_array_equal(played.cut, [False, True, False])


def test_playing_stops():
  environment, policy = stacking.Stacked([Toy(10**9)]), Policy([0])
  with pytest.raises(evaluation.Stopped):
    evaluation.play(
      environment, policy, should_stop=lambda: len(policy.seen) == 7
    )
  assert len(policy.seen) == 7


def test_a_lost_episode_is_replayed():
  class Losing(stacking.Stacked):
    """Loses the first episode of its first environment."""

    steps = 0

    def step(self, action):
      self.steps += 1
      return super().step(action)

    @property
    def lost(self):
      return np.array([self.steps == 3, False])  # A reset, and two steps.

  episodes = evaluation.play(Losing([Toy(2), Toy(5)]), Policy([0, 0]))
  assert episodes.lengths.tolist() == [2, 5]
  assert episodes.returns.tolist() == [2e6, 5.0]

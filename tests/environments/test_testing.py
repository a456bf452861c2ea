"""The conformance suite: our environments pass it, faulty ones do not."""

import dm_env
from dm_env import specs
import numpy as np
import pytest

from ald_acme.environments import testing
from ald_acme.environments.batches import stacking
from ald_acme.environments.batches import trials
from ald_acme.environments.batches import workers
from ald_acme.environments.interface import masks
from ald_acme.environments.tasks import bandit
from ald_acme.environments.tasks import i_maze
from ald_acme.environments.tasks import meta_fetch
from tests.environments.interface import test_base


def countdown(seed):
  return test_base.Countdown(5)


class TestIMaze(testing.ConformanceTestMixin):
  def make_object_under_test(self):
    return i_maze.BatchedIMaze(3, limit=20, random_goals=True)


class TestSingleIMaze(testing.ConformanceTestMixin):
  def make_object_under_test(self):
    return i_maze.IMaze(size=5, truncate=True)


class TestMetaFetch(testing.ConformanceTestMixin):
  def make_object_under_test(self):
    return meta_fetch.BatchedMetaFetch(3, limit=40)


class TestBandit(testing.ConformanceTestMixin):
  def make_object_under_test(self):
    return bandit.BatchedBandit(3)


class TestTrials(testing.ConformanceTestMixin):
  def make_object_under_test(self):
    return trials.Trials(bandit.BatchedBandit(3), 4)


class TestStacked(testing.ConformanceTestMixin):
  """A batch corrects some faults of its environments."""

  def make_object_under_test(self):
    return stacking.Stacked([Reuses(), Sleeps(), Doubles()])


class TestWorkers(testing.ConformanceTestMixin):
  steps = 50

  def make_object_under_test(self):
    made = workers.Workers(countdown, 3, 0, 1)
    self.made = [*getattr(self, 'made', []), made]
    return made

  def teardown_method(self):
    for made in getattr(self, 'made', []):
      made.close()


class TestGymnasium(testing.ConformanceTestMixin):
  def make_object_under_test(self):
    import gymnasium

    from ald_acme.environments.adapters import gymnasium_adapter

    return gymnasium_adapter.GymnasiumEnvironment(
      gymnasium.make('CartPole-v1'), seed=0
    )


class Strict(dm_env.Environment):
  """Raises where an action is not legal: one of two integers and a number."""

  def __init__(self):
    self._rng = np.random.default_rng(0)

  def reset(self):
    self._steps = 0
    return dm_env.restart(self._observation())

  def step(self, action):
    if self._steps == 9:
      return self.reset()
    integers = action['integers'] - [5, 0]
    if not (self._mask[integers[0]] and self._mask[3:][integers[1]]):
      raise ValueError(f'{action} is not legal.')
    self._steps += 1
    over = self._steps == 9
    make = dm_env.termination if over else dm_env.transition
    return make(0.0, self._observation())

  def _observation(self):
    self._mask = self._rng.random(5) < 0.3
    self._mask[[self._rng.integers(3), 3 + self._rng.integers(2)]] = True
    return {'legal': self._mask.copy()}

  def observation_spec(self):
    return {'legal': masks.MaskSpec(5)}

  def action_spec(self):
    return {
      'integers': specs.BoundedArray((2,), np.int32, [5, 0], [7, 1]),
      'number': specs.BoundedArray((), np.float32, -1, 1),
    }


class TestMasked(testing.ConformanceTestMixin):
  def make_object_under_test(self):
    return Strict()


class TestMaskedBatch(testing.ConformanceTestMixin):
  def make_object_under_test(self):
    return stacking.Stacked([Strict(), Strict()])


# --- Faulty ones.


class Clock(dm_env.Environment):
  """Shows the step; an episode has seven."""

  dtype = np.float64

  def __init__(self):
    self._time = np.zeros(1, self.dtype)

  def reset(self):
    self._time = np.zeros(1, self.dtype)
    return dm_env.restart(self._time)

  def step(self, action):
    if self._time[0] >= 7:
      return self._after_last()
    self._time = self._time + 1
    over = self._time[0] == 7
    make = dm_env.termination if over else dm_env.transition
    return make(1.0, self._time)

  def _after_last(self):
    return self.reset()

  def observation_spec(self):
    return specs.BoundedArray((1,), np.float64, 0, 7)

  def action_spec(self):
    return specs.DiscreteArray(2)


class Doubles(Clock):
  """Observes float64, which is no fault of a single environment."""


class Reuses(Clock):
  def reset(self):
    self._time[:] = 0
    return dm_env.restart(self._time)

  def step(self, action):
    if self._time[0] >= 7:
      return self.reset()
    self._time += 1
    over = self._time[0] == 7
    return (dm_env.termination if over else dm_env.transition)(1.0, self._time)


class Sleeps(Clock):
  """Returns LAST at every step."""

  def _after_last(self):
    return dm_env.termination(0.0, self._time)


class Lies(Clock):
  dtype = np.float32


class Leaves(Clock):
  """Leaves its bounds at the end."""

  def observation_spec(self):
    return specs.BoundedArray((1,), np.float64, 0, 6)


class Endless(Clock):
  def step(self, action):
    return dm_env.transition(0.0, self._time)


class Restarts(Clock):
  """Begins anew without a LAST step."""

  def step(self, action):
    step = super().step(action)
    return self.reset() if step.last() else step


class Rewards(i_maze.BatchedIMaze):
  """Rewards a first step."""

  def step(self, action):
    return (
      super().step(action)._replace(reward=np.ones(self.batch_size, np.float32))
    )


class Batch(i_maze.BatchedIMaze):
  """Observes float64."""

  def observation_spec(self):
    spec = super().observation_spec()
    return specs.Array(spec.shape, np.float64)


TESTS = sorted(
  name for name in dir(testing.ConformanceTestMixin) if name.startswith('test')
)


@pytest.mark.parametrize(
  'make, failing',
  [
    (Clock, {}),
    (Doubles, {}),
    (Reuses, {'returned_arrays_do_not_change': 'return copies'}),
    (
      Sleeps,
      {'only_the_step_after_last_is_first': 'start a new'},
    ),
    (
      Lies,
      {'time_steps_match_the_specs': 'float64 .* received float32'},
    ),
    (Leaves, {'time_steps_match_the_specs': 'must be 0 to 6'}),
    (Endless, {'episodes_end': 'give them a time limit'}),
    (
      Restarts,
      {
        'only_the_step_after_last_is_first': 'no other',
        'episodes_end': '1 of 1 environments ended none',
      },
    ),
    (
      lambda: Rewards(2, limit=5),
      {'an_episode_starts_without_reward': 'a reward of 0'},
    ),
    (
      lambda: Batch(2, limit=5),
      {
        'batches_have_supported_dtypes': 'cast it to float32',
        'time_steps_match_the_specs': 'float64 .* received float32',
      },
    ),
  ],
)
def test_faults_are_found(make, failing):
  class Suite(testing.ConformanceTestMixin):
    longest_episode = 500

    def make_object_under_test(self):
      return make()

  found = {}
  for name in TESTS:
    try:
      getattr(Suite(), name)()
    except AssertionError as error:
      found[name.removeprefix('test_')] = str(error)
  assert found.keys() == failing.keys()
  for name, message in failing.items():
    with pytest.raises(AssertionError, match=message):
      raise AssertionError(found[name])


def test_endless_episodes_may_be_allowed():
  class Suite(testing.ConformanceTestMixin):
    longest_episode = None

    def make_object_under_test(self):
      return Endless()

  Suite().test_episodes_end()

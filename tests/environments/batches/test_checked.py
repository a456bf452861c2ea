"""A user's batch is checked against its specs; errors name the place."""

import dm_env
from dm_env import specs
import numpy as np
import pytest

from agents.actor_critic import builder as builders
from agents.actor_critic import config
from ald_acme.environments import registry
from ald_acme.environments import testing
from ald_acme.environments.batches import checked
from ald_acme.environments.batches import members
from ald_acme.environments.interface import base
from ald_acme.environments.interface import contract
from ald_acme.environments.interface import masks

HERE = __name__


class Batch(base.BatchedEnvironment):
  """Episodes of three steps; `change` alters the time step of one of them."""

  def __init__(self, batch_size=3, seed=0, change=None, at=4):
    self._size, self._change, self._at = batch_size, change, at
    self._calls, self._time = 0, np.zeros(batch_size, np.int64)

  batch_size = property(lambda self: self._size)

  def reset(self):
    self._time[:] = 3
    return self.step(None)

  def step(self, action):
    self._time = (self._time + 1) % 4
    legal = np.ones((self._size, 5), bool)
    legal[:, 0] = False
    timestep = base.timestep(
      self._time == 0,
      self._time == 3,
      (self._time > 0) * 1.0,
      {'at': self._time[:, np.newaxis].astype(np.float64), 'legal': legal},
    )
    self._calls += 1
    if self._change and self._calls > self._at:
      timestep = self._change(timestep)
    return timestep

  def restart(self, which):
    self._time[which] = 3
    return True

  def observation_spec(self):
    return {
      'at': specs.BoundedArray((1,), np.float64, 0, 3),
      'legal': masks.MaskSpec(5),
    }

  def action_spec(self):
    return specs.BoundedArray((2,), np.int32, [0, 0], [2, 1])


class TestBatch(testing.ConformanceTestMixin):
  def make_object_under_test(self):
    return registry.make(f'{HERE}:Batch', {}, 3, seed=0)


def _with_mask(legal):
  def change(timestep):
    observation = {**timestep.observation, 'legal': legal(timestep)}
    return timestep._replace(observation=observation)

  return change


def _of(value):
  """The mask as it is, but for the second environment."""

  def legal(timestep):
    mask = timestep.observation['legal'].copy()
    mask[1] = value
    return mask

  return legal


MASKS = [
  (_of(False), ', number 1, step 4: .* all 3 values of integer 0 .* illegal'),
  (_of([1, 1, 1, 0, 0]), ', number 1, step 4: .* all 2 values of integer 1 '),
  (
    lambda t: np.ones((3, 4), bool),
    r", number 0, step 4: observation\['legal'\] must be bool of shape \(5,\)"
    r'.* received bool of shape \(4,\)',
  ),
  (
    lambda t: np.ones((3, 5), np.float32),
    r', number 0, step 4: .* must be bool of shape .* received float32',
  ),
]


@pytest.mark.parametrize('legal, message', MASKS)
def test_a_wrong_mask_names_the_environment_and_the_step(legal, message):
  def make(batch_size, seed):
    return Batch(batch_size, seed, _with_mask(legal))

  # In a program of the user's, as an agent's builder has it made.
  builder = builders.ActorCriticBuilder(config.ActorCriticConfig())
  made = builder.make_environment(make, 3, np.random.SeedSequence(0))
  with pytest.raises(contract.Breach, match=f'^Batch{message}'):
    _run(made)


def test_no_legal_action_is_needed_after_last():
  def change(timestep):
    last = timestep.step_type == int(dm_env.StepType.LAST)
    legal = timestep.observation['legal'] & ~last[:, np.newaxis]
    return _with_mask(lambda _: legal)(timestep)

  _run(checked.masked(Batch(change=change)), steps=9)


def test_without_a_mask_the_batch_is_not_wrapped():
  batch = Batch()
  batch.observation_spec = lambda: specs.Array((1,), np.float32)
  assert checked.masked(batch) is batch


def broken(batch_size, seed, change):
  changes = {
    'nan': lambda t: t._replace(reward=t.reward * np.nan),
    'longer': lambda t: t._replace(reward=np.zeros(batch_size + 1)),
    'no_first': lambda t: t._replace(step_type=np.maximum(t.step_type, 1)),
    'raises': lambda t: 1 / 0,
    'out': lambda t: _at(t, 4.0),
  }
  return Batch(batch_size, seed, changes[change])


def _at(timestep, value):
  at = timestep.observation['at'].copy()
  at[2] = value
  return timestep._replace(observation={**timestep.observation, 'at': at})


@pytest.mark.parametrize(
  'change, message',
  [
    ('nan', 'number 0, step 4: reward must be finite'),
    ('longer', r'step 4: reward must have the leading dimension 3.*\(4,\)'),
    (
      'no_first',
      'number 0, step 4: the step after LAST.* received step type 1',
    ),
    ('raises', 'step 4: step raised ZeroDivisionError'),
    ('out', r"number 2, step 4: observation\['at'\] must be 0 to 3, .* is 4"),
  ],
)
def test_breaches_are_named(change, message):
  made = registry.make(f'{HERE}:broken', {'change': change}, 3, seed=0)
  error = members.Failure if change == 'raises' else contract.Breach
  with pytest.raises(error, match=f"^environment '{HERE}:broken', {message}"):
    _run(made)


def smaller(batch_size):
  return Batch(batch_size - 1)


def vector(batch_size):
  import gymnasium

  return gymnasium.make_vec('CartPole-v1', batch_size)


def single(batch_size):
  return base.Single(Batch(1))


@pytest.mark.parametrize(
  'factory, arguments, message',
  [
    ('smaller', {}, 'Batch must have .*batch_size=3, but has 2'),
    ('vector', {}, 'returned CartPoleVectorEnv; give .*VectorEnvironment'),
    ('single', {}, 'returned Single; return one, or remove the parameter'),
    ('Batch', {'workers': 2}, "no argument 'workers'; it has change, at, tri"),
    ('Batch', {'batch_size': 2}, 'must not set batch_size'),
  ],
)
def test_factories_of_batches_are_checked(factory, arguments, message):
  with pytest.raises(ValueError, match=message):
    registry.make(f'{HERE}:{factory}', arguments, 3, seed=0)


def _run(environment, steps=5):
  environment.reset()
  for _ in range(steps):
    environment.step(np.tile(np.int32([1, 0]), (3, 1)))

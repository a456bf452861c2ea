"""Acme's wrappers of given environments: conformance and acting."""

import importlib
import sys

import acme
from dm_env import specs
import gymnasium
import numpy as np
import pytest
import tree

from agents.ald import networks as ald_networks
from ald_acme.acting import policies
from ald_acme.environments import testing
from ald_acme.environments.adapters import classic_control
from ald_acme.environments.batches import stacking
from ald_acme.networks import sizes
from tests.environments.interface import test_contract


@pytest.fixture(scope='module')
def wrappers():
  """Acme's; its package imports Gym, which is not installed, for others."""
  missing = {'gym': gymnasium, 'gym.spaces': gymnasium.spaces}
  added = [name for name in missing if name not in sys.modules]
  sys.modules.update({name: missing[name] for name in added})
  yield importlib.import_module('acme.wrappers')
  for name in added:
    del sys.modules[name]


class Doubles(test_contract.Toy):
  """Observations, actions and rewards of 64 bits; episodes of five steps."""

  def __init__(self):
    super().__init__(None)
    self.actions = []

  def reset(self):
    self._left = 5
    return super().reset()

  def step(self, action):
    if not self._left:
      return self.reset()
    self.actions.append(action)
    self._left -= 1
    timestep = super().step(action)
    if self._left:
      return timestep
    return timestep._replace(step_type=2, discount=np.float64(0.0))

  def _observation(self):
    return {'a': np.float64([0.1, 0.2]), 'b': np.int64(3)}

  def observation_spec(self):
    return {
      'a': specs.Array((2,), np.float64),
      'b': specs.BoundedArray((), np.int64, 0, 9),
    }

  def action_spec(self):
    return specs.BoundedArray((2,), np.float64, [-3, 0], [1, 10])


def _wrap(wrappers, name, environment):
  if name == 'both':
    environment = wrappers.CanonicalSpecWrapper(environment, clip=True)
    return wrappers.SinglePrecisionWrapper(environment)
  return getattr(wrappers, name)(environment)


@pytest.mark.parametrize(
  'name', ['SinglePrecisionWrapper', 'CanonicalSpecWrapper', 'both']
)
class TestWrapped(testing.ConformanceTestMixin):
  steps = 30

  @pytest.fixture(autouse=True)
  def _made(self, name, wrappers):
    self._wrapper = name, wrappers

  def make_object_under_test(self):
    name, wrappers = self._wrapper
    return _wrap(wrappers, name, Doubles())


@pytest.mark.parametrize(
  'name', ['SinglePrecisionWrapper', 'CanonicalSpecWrapper', 'both']
)
def test_acting(name, wrappers):
  inner = Doubles()
  environment = stacking.Stacked([_wrap(wrappers, name, inner)])
  spec = acme.make_environment_spec(environment)
  made = ald_networks.make_default_networks(spec, sizes.PRESETS['tiny'])
  policy = policies.BatchedPolicy(made.actor, spec.observations, 1, seed=0)
  timestep, taken = environment.reset(), []
  for _ in range(12):
    taken.append(policy.step(policy.inputs(timestep)).action)
    timestep = environment.step(taken[-1])
    assert all(np.isfinite(x).all() for x in tree.flatten(timestep))
  wanted = np.float64 if name == 'CanonicalSpecWrapper' else np.float32
  assert all(action.dtype == wanted for action in taken)
  # The environment's actions are within its bounds, and not all at one end.
  got = np.array(inner.actions)
  assert (got >= [-3, 0]).all() and (got <= [1, 10]).all()
  assert (got.std(0) > 0.1).all()


def test_a_gymnasium_environment_is_wrapped_as_any(wrappers):
  made = _wrap(wrappers, 'both', classic_control.make('Pendulum-v1', seed=0))
  assert (made.action_spec().minimum, made.action_spec().maximum) == (-1, 1)
  environment = stacking.Stacked([made])
  environment.reset()
  step = environment.step(np.ones((1, 1), np.float32))
  assert step.observation['velocity'].dtype == np.float32

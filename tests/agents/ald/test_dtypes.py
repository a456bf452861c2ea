"""Observations of every dtype, through acting, learning and every export."""

import acme
from acme.utils import loggers
import dm_env
from dm_env import specs
import numpy as np
import pytest

from agents import ald
from ald_acme.acting import policies
from ald_acme.acting import recording
from ald_acme.deployment import act
from ald_acme.deployment import agreement
from ald_acme.deployment import exporting
from ald_acme.deployment import step as steps
from ald_acme.environments.batches import stacking
from ald_acme.networks import sizes

_KINDS = (
  *('int8', 'int16', 'int32', 'int64', 'uint8', 'uint16', 'uint32', 'uint64'),
  *('float16', 'float32', 'float64', 'bool'),
)
_SHAPES = {'float32': (2, 1, 2, 2), 'bool': (1, 2, 1, 2, 2), 'int16': ()}


class Everything(dm_env.Environment):
  """Shows numbers of each dtype, of zero to five dimensions."""

  def __init__(self):
    self._rng = np.random.default_rng(0)

  def reset(self):
    self._left = 4
    return dm_env.restart(self._observe())

  def step(self, action):
    self._left -= 1
    make = dm_env.transition if self._left else dm_env.termination
    return make(1.0, self._observe())

  def _observe(self):
    return {
      name: self._rng.integers(2, size=spec.shape).astype(spec.dtype)
      for name, spec in self.observation_spec().items()
    }

  def observation_spec(self):
    return {
      **{x: specs.Array(_SHAPES.get(x, (3,)), np.dtype(x)) for x in _KINDS},
      'multi_binary': specs.BoundedArray((2,), np.int8, 0, 1),
    }

  def action_spec(self):
    return specs.DiscreteArray(3)


@pytest.fixture(scope='module')
def learned():
  """An agent after learner updates on a single environment."""
  environment = Everything()
  spec = acme.make_environment_spec(environment)
  config = ald.ALDConfig(networks=sizes.PRESETS['tiny'], unroll_length=4)
  networks = ald.ALDBuilder(config).make_networks(spec)
  log = loggers.InMemoryLogger()
  agent = ald.ALD(spec, networks, config, logger=log)
  loop = acme.EnvironmentLoop(environment, agent, logger=loggers.NoOpLogger())
  loop.run(num_episodes=3)
  return networks, spec, log.data


def test_learning(learned):
  _, _, log = learned
  assert len(log) >= 3
  assert all(np.isfinite(row['loss']) for row in log)


def test_acting_uses_the_fastest_runtime(learned):
  networks, spec, _ = learned
  stacked = stacking.Stacked([Everything(), Everything()])
  for of_spec in (spec, acme.make_environment_spec(stacked)):
    policy = policies.BatchedPolicy(networks.actor, of_spec.observations, 2, 0)
    assert policy.runtime == 'TensorFlow Lite'
    timestep = stacked.reset()
    policy.step(policy.inputs(timestep))


@pytest.mark.parametrize('form', act.FORMATS)
def test_exports(learned, form, tmp_path):
  if form == 'onnx':  # An extra.
    pytest.importorskip('tf2onnx')
    pytest.importorskip('onnxruntime')
  networks, spec, _ = learned
  step = steps.Step(networks.actor, spec)
  exporting.export(step, form, str(tmp_path), {})
  episode = recording.record(
    stacking.Stacked([Everything()]), networks.actor, 0
  )
  policy = act.load(str(tmp_path))
  assert agreement.largest_difference(policy, step, [episode]) < 2e-6
  seen = Everything().reset().observation  # Of its own dtypes.
  named = {f'observation_{name}': x for name, x in seen.items()}
  policy.act(named, start_of_episode=True)

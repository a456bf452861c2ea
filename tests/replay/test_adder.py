"""Unrolls hold copies: arrays may be reused afterwards."""

import itertools

import acme
from acme.utils import loggers
import dm_env
from dm_env import specs
import numpy as np
import pytest
import tree

from agents import ald
from ald_acme.environments.batches import stacking
from ald_acme.environments.interface import base
from ald_acme.networks import sizes
from ald_acme.replay import adder as unroll_adder
from ald_acme.replay import local
from ald_acme.replay import tables

T = 5
EXTRAS = unroll_adder.Extras(np.zeros((1, 3), np.float32))


class Reusing(dm_env.Environment):
  """Counts in one array, which it returns at every step."""

  def __init__(self, length=7):
    self._count, self._length = np.zeros(1, np.float32), length

  def reset(self):
    self._count[:] = 0
    return dm_env.restart({'count': self._count})

  def step(self, action):
    if self._count[0] == self._length:
      return self.reset()
    self._count += 1
    over = self._count[0] == self._length
    make = dm_env.termination if over else dm_env.transition
    return make(1.0, {'count': self._count})

  def observation_spec(self):
    return {'count': specs.Array((1,), np.float32)}

  def action_spec(self):
    return specs.DiscreteArray(3)


class ReusingBatch(base.BatchedEnvironment):
  """Writes all of each time step, rewards too, into the same arrays."""

  batch_size = 1

  def __init__(self):
    self._inner = stacking.Stacked([Reusing()])
    self._timestep = None

  def observation_spec(self):
    return self._inner.observation_spec()

  def action_spec(self):
    return self._inner.action_spec()

  def reset(self):
    return self._reuse(self._inner.reset())

  def step(self, action):
    return self._reuse(self._inner.step(action))

  def _reuse(self, timestep):
    if self._timestep is None:
      self._timestep = timestep
    for buffer, x in zip(tree.flatten(self._timestep), tree.flatten(timestep)):
      buffer[...] = x
    return self._timestep


class Kept:
  """A writer that keeps copies of the unrolls."""

  def __init__(self):
    self.unrolls = []

  def write(self, step, select):
    self.unrolls.append(tree.map_structure(np.array, step))
    return True


def _expect(unrolls):
  """The unrolls are those of a count from 0 to 7, again and again."""
  count, starts, is_last, rewards = (
    np.concatenate(parts)[:, 0].tolist()
    for parts in zip(
      *(
        (
          unroll.inputs.observation['count'][:-1, :, 0],
          unroll.inputs.start_of_episode[:-1],
          unroll.is_last,
          unroll.reward,
        )
        for unroll in unrolls
      )
    )
  )
  for t in range(len(count)):
    assert count[t] == t % 8
    assert starts[t] == (t % 8 == 0)
    assert is_last[t] == (t % 8 == 7)
    assert rewards[t] == (t % 8 != 7)
  for unroll, following in itertools.pairwise(unrolls):
    for mine, theirs in zip(
      tree.flatten(unroll.inputs), tree.flatten(following.inputs)
    ):
      np.testing.assert_array_equal(mine[-1], theirs[0])


@pytest.mark.parametrize('make', [Reusing, ReusingBatch])
def test_buffers_that_are_reused(make):
  environment, kept = make(), Kept()
  adder = unroll_adder.UnrollAdder(kept, T, store_state=False)
  adder.add_first(environment.reset())
  action = np.zeros(1, np.int32)
  for t in range(4 * T):
    action[:] = t % 3  # An actor may reuse its own as well.
    step = environment.step(action)
    if np.all(step.step_type == dm_env.StepType.FIRST) and make is Reusing:
      adder.add_first(step)
    else:
      adder.add(action, step, EXTRAS)
  _expect(kept.unrolls)
  led = np.concatenate([u.inputs.action[:-1, 0] for u in kept.unrolls])
  taken = np.concatenate([u.action[:, 0] for u in kept.unrolls])
  inside = np.arange(1, len(led)) % 8 != 0  # No action leads to a start.
  np.testing.assert_array_equal(led[1:][inside], taken[:-1][inside])
  assert set(taken) == {0, 1, 2}


def test_buffers_that_are_reused_by_an_agents_environment(monkeypatch):
  environment, unrolls = Reusing(), []
  write = local.LocalReplay.write

  def note(self, step, select):
    if tables.QUEUE in select:
      unrolls.append(tree.map_structure(np.array, step))
    return write(self, step, select)

  monkeypatch.setattr(local.LocalReplay, 'write', note)
  spec = acme.make_environment_spec(environment)
  config = ald.ALDConfig(networks=sizes.PRESETS['tiny'], unroll_length=T)
  networks = ald.ALDBuilder(config).make_networks(spec)
  agent = ald.ALD(spec, networks, config)
  loop = acme.EnvironmentLoop(environment, agent, logger=loggers.NoOpLogger())
  loop.run(num_episodes=3)
  assert len(unrolls) == 24 // T
  _expect(unrolls)


def test_forgetting_an_unroll_begins_another():
  environment, kept = Reusing(), Kept()
  adder = unroll_adder.UnrollAdder(kept, T, store_state=False)
  for steps in (T - 2, T + 3):  # The first is forgotten.
    adder.reset()
    adder.add_first(environment.reset())
    for _ in range(min(steps, 7)):
      adder.add(0, environment.step(0), EXTRAS)
  assert adder.unrolls_written == 1
  _expect(kept.unrolls)

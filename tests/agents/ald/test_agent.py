"""The single-process agent is deterministic, and its parts take turns."""

import functools
import os
import signal
import subprocess
import sys

import acme
from acme import specs
from acme.utils import counting
from acme.utils import loggers
import numpy as np
import pytest
import tree

from agents import actor_critic
from agents import ald
from agents import catalogue
from ald_acme.environments.tasks import i_maze
from ald_acme.networks import sizes
from ald_acme.runs import checkpoints

TINY = sizes.PRESETS['tiny']


_WITH_DPRL_2 = functools.partial(ald.ALDConfig, dprl=2.0)


def _run(
  steps=200,
  limit=10,
  agent_class=ald.ALD,
  config_class=_WITH_DPRL_2,
  make_builder=ald.ALDBuilder,
  **kwargs,
):
  """Runs an agent; gives it, its counter and its log."""
  config = config_class(**{'networks': TINY, 'unroll_length': 5, **kwargs})
  maze = i_maze.IMaze(size=5, limit=limit, seed=config.seed)
  spec = acme.make_environment_spec(maze)
  counter, logger = counting.Counter(), loggers.InMemoryLogger()
  networks = make_builder(config).make_networks(spec)
  agent = agent_class(spec, networks, config, counter, logger, make_builder)
  loop = acme.EnvironmentLoop(maze, agent, logger=loggers.NoOpLogger())
  loop.run(num_steps=steps)
  return agent, counter.get_counts(), logger.data


def test_a_seed_gives_the_same_run_again():
  one, again, other = (_run(seed=seed)[0] for seed in (1, 1, 2))
  one, again, other = (
    np.concatenate([x.ravel() for x in agent.get_variables(['actor'])[0]])
    for agent in (one, again, other)
  )
  np.testing.assert_array_equal(one, again)
  assert (one != other).any()


@pytest.mark.parametrize(
  'dprl, learner_batch, reuse', [(0.5, 1, 1), (3.0, 3, 1), (0.5, 2, 2.5)]
)
def test_parts_take_turns(dprl, learner_batch, reuse):
  _, counts, log = _run(
    dprl=dprl, learner_batch=learner_batch, learner_reuse=reuse
  )
  assert counts['unrolls'] >= 200 // 5
  new = counts['unrolls'] // learner_batch
  assert counts['learner_updates'] == int(reuse * new)
  assert counts['actor_updates'] == int(dprl * counts['learner_updates'])
  assert len(log) == counts['learner_updates']
  if reuse > 1:
    return
  # An unroll that the first step of an episode completes is learned from one
  # step later, when the next unroll has begun; any other at once.
  lags = [row['policy_lag'] for row in log]
  assert all(0 <= lag <= 1 for lag in lags)
  assert lags.count(0) > len(lags) / 2


def test_the_actor_acts_with_distilled_parameters():
  agent, counts, _ = _run(num_distillers=2)
  served, (age,) = agent.get_variables(['actor', 'updates'])
  assert int(age) == counts['actor_updates'] > 0
  acting = agent._actor._parameters.arrays
  # An actor pulls before each unroll; the run ended within one.
  assert agent._actor.age > counts['actor_updates'] - 5
  assert [x.shape for x in acting] == [x.shape for x in served]


def test_a_subclass_replaces_a_part():
  class Counted(ald.ALDBuilder):
    made = 0

    def make_adder(self, *args, **kwargs):
      type(self).made += 1
      return super().make_adder(*args, **kwargs)

  _, counts, _ = _run(make_builder=Counted)
  assert Counted.made == 1
  assert counts['unrolls'] >= 200 // 5


def test_another_agents_builder():
  make_builder = functools.partial(catalogue.make_builder, 'lstm')
  agent, counts, _ = _run(
    agent_class=actor_critic.ActorCritic,
    config_class=actor_critic.ActorCriticConfig,
    make_builder=make_builder,
  )
  assert counts['learner_updates'] >= 200 // 5
  assert 'actor_updates' not in counts
  served = agent._learner.get_variables(['learner'])[0]
  for acting, learned in zip(
    agent._actor._parameters.arrays, served, strict=True
  ):
    assert acting.shape == learned.shape
  # An actor pulls before each unroll; the run ended within one.
  assert agent._actor.age > counts['learner_updates'] - 5


def _break_reward(timestep):
  return timestep._replace(reward=np.nan)


def _break_value(timestep):
  window = timestep.observation.copy()
  window[0, 0, 0] = np.inf
  return timestep._replace(observation=window)


def _break_dtype(timestep):
  return timestep._replace(observation=timestep.observation.astype(np.float64))


def _break_shape(timestep):
  return timestep._replace(observation=timestep.observation[:2])


@pytest.mark.parametrize(
  'spoil, text',
  [
    (_break_reward, 'reward must be finite'),
    (_break_value, 'observation must be finite.*the first is inf'),
    (_break_dtype, 'observation must be float32 .* received float64'),
    (_break_shape, r'.* of shape \(3, 3, 6\) .* of shape \(2, 3, 6\)'),
  ],
)
def test_a_broken_step_is_named(spoil, text):
  class Broken(i_maze.IMaze):
    steps = 0

    def step(self, action):
      self.steps += 1
      timestep = super().step(action)
      return spoil(timestep) if self.steps == 3 else timestep

  maze = Broken(size=5, limit=10)
  spec = acme.make_environment_spec(maze)
  agent = ald.ALD(spec, ald.make_default_networks(spec, TINY))
  loop = acme.EnvironmentLoop(maze, agent, logger=loggers.NoOpLogger())
  with pytest.raises(ValueError, match=f'environment, step 3: {text}'):
    loop.run_episode()


def test_learns_a_maze_without_memory():
  # Only the way to the goals is asked for: any policy that finds them earns 1.
  maze_kwargs = {'size': 5, 'limit': 25, 'wrong_reward': 1.0}
  config = ald.ALDConfig(
    networks=TINY,
    learner_batch=4,
    unroll_length=20,
    learner_learning_rate=5e-3,
    distiller_learning_rate=5e-3,
  )
  maze = i_maze.IMaze(**maze_kwargs)
  spec = acme.make_environment_spec(maze)
  networks = ald.ALDBuilder(config).make_networks(spec)
  agent = ald.ALD(spec, networks, config)
  logger = loggers.InMemoryLogger()
  acme.EnvironmentLoop(maze, agent, logger=logger).run(num_steps=12_000)
  lengths = [row['episode_length'] for row in logger.data]
  assert np.mean(lengths[-50:]) < 0.6 * np.mean(lengths[:50])


def test_wrong_environments_are_refused():
  spec = acme.make_environment_spec(i_maze.IMaze(size=5))
  networks = ald.make_default_networks(spec, TINY)
  unbounded = spec._replace(actions=specs.Array((2,), np.float32))
  with pytest.raises(ValueError, match=r'action of environment_spec .* bounds'):
    ald.ALD(unbounded, networks)
  more = spec._replace(actions=specs.DiscreteArray(7))
  with pytest.raises(ValueError, match=r'\[7\].*\[4\].* create the networks'):
    ald.ALD(more, networks)


@pytest.mark.parametrize(
  'kwargs',
  [
    {'num_distillers': 2},
    {
      'agent_class': actor_critic.ActorCritic,
      'config_class': actor_critic.ActorCriticConfig,
      'make_builder': actor_critic.ActorCriticBuilder,
    },
  ],
  ids=['ald', 'actor-critic'],
)
def test_an_agent_is_restored(tmp_path, kwargs):
  directory = str(tmp_path / 'checkpoints')
  agent, counts, _ = _run(**kwargs)
  path = agent.save(directory)
  another, _, _ = _run(steps=0, seed=1, **kwargs)
  assert not another.restore(str(tmp_path / 'none'))
  assert another.restore(directory)
  names = ['actor', 'updates']
  for ours, theirs in zip(
    agent.get_variables(names), another.get_variables(names)
  ):
    for one, other in zip(ours, theirs):
      np.testing.assert_array_equal(one, other)
  again = another.save(directory)
  before, after = checkpoints.read(path), checkpoints.read(again)
  tree.map_structure(np.testing.assert_array_equal, before, after)
  assert after['counts']['learner_updates'] == counts['learner_updates']
  # The policy that acts is the restored one, and learning goes on from it.
  maze = i_maze.IMaze(size=5, limit=10, seed=3)
  loop = acme.EnvironmentLoop(maze, another, logger=loggers.NoOpLogger())
  loop.run(num_steps=30)
  ((updates,),) = another._learner.get_variables(['updates'])
  assert updates > counts['learner_updates']


def test_a_learner_needs_a_checkpoint_folder(tmp_path):
  builder = ald.ALDBuilder(ald.ALDConfig(networks=TINY))
  spec = acme.make_environment_spec(i_maze.IMaze(size=5))
  networks = builder.make_networks(spec)
  with pytest.raises(ValueError, match='needs directory='):
    builder.make_learner(networks, iter([]), checkpoint=True)
  for _ in range(2):
    learner = builder.make_learner(
      networks, iter([]), checkpoint=True, directory=str(tmp_path / 'learner')
    )
    learner.run()
  assert len(os.listdir(tmp_path / 'learner')) == 2


_INTERRUPTED = """
import os, signal, sys, threading, time
import acme
from acme.utils import loggers
from agents import ald
from ald_acme.environments.tasks import i_maze
from ald_acme.networks import sizes

maze = i_maze.IMaze(size=5)
spec = acme.make_environment_spec(maze)
config = ald.ALDConfig(networks=sizes.PRESETS['tiny'])
networks = ald.ALDBuilder(config).make_networks(spec)
agent = ald.ALD(spec, networks, config)
number = getattr(signal, sys.argv[1])

def trace():
  # TensorFlow may answer so to an exit that comes amid it.
  try:
    while True:
      time.sleep(0.01)
  except SystemExit:
    raise KeyError('of a graph that is not whole') from None

if sys.argv[2] == 'tracing':
  agent._learner.step = trace
loop = acme.EnvironmentLoop(maze, agent, logger=loggers.NoOpLogger())
threading.Timer(1.0, os.kill, [os.getpid(), number]).start()
loop.run(num_episodes=10**9)
print('the loop has ended', flush=True)
os.kill(os.getpid(), number)
"""


@pytest.mark.parametrize(
  'name, amid', [('SIGINT', ''), ('SIGTERM', ''), ('SIGINT', 'tracing')]
)
def test_signals_end_the_loop_and_then_the_process(name, amid):
  done = subprocess.run(
    [sys.executable, '-c', _INTERRUPTED, name, amid],
    capture_output=True,
    text=True,
    timeout=100,
    check=False,
  )
  assert done.stdout == 'the loop has ended\n', done.stderr[-2000:]
  assert done.returncode == -getattr(signal, name)

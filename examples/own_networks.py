"""Custom networks: a GRU that acts, distilled from a larger LSTM."""

import os
import sys

# In a clone, the imports are one folder up.
sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from launch import bootstrap

bootstrap.prepare()

import acme
from acme.utils import loggers
import numpy as np
import sonnet as snt
import tensorflow as tf

from agents import ald
from ald_acme import distributions
from ald_acme.environments.tasks import i_maze
from ald_acme.networks import core
from ald_acme.networks import lstm
from ald_acme.networks import policy_value
from ald_acme.networks import torsos

EPISODES = 3_000
# The agent has one environment, so one unroll is a small batch.
CONFIG = ald.ALDConfig(unroll_length=20, learner_batch=8)


class GRU(core.UnrollableCore):
  """A gated recurrent unit, unrolled step by step."""

  def __init__(self, size: int, name: str | None = None):
    super().__init__(name=name)
    self._cell = snt.GRU(size)
    self._size = size

  @property
  def output_size(self):
    return self._size

  def initial_state(self, batch_size, **kwargs):
    return self._cell.initial_state(batch_size, **kwargs)

  def unroll(self, inputs, reset, state):
    outputs = []
    for x, forgets in zip(tf.unstack(inputs), tf.unstack(reset)):
      output, state = self._cell(x, tf.where(forgets[:, None], 0.0, state))
      outputs.append(output)
    return tf.stack(outputs), state


def make_networks(environment_spec: acme.specs.EnvironmentSpec):
  """A network factory for `ALDBuilder` and `DistributedALD`."""
  distribution = distributions.from_spec(environment_spec.actions)

  def make(memory: core.UnrollableCore):
    torso = torsos.Torso(memory.output_size, distribution)
    network = policy_value.PolicyValueNetwork(torso, memory, distribution)
    policy_value.create_variables(network, environment_spec.observations)
    return network

  return ald.ALDNetworks(actor=make(GRU(32)), learner=make(lstm.LSTM(128)))


def main(episodes: int = EPISODES) -> ald.ALD:
  """Trains them on a small maze, in one process; returns the agent."""
  maze = i_maze.IMaze(size=5)
  spec = acme.make_environment_spec(maze)
  networks = ald.ALDBuilder(CONFIG, make_networks).make_networks(spec)
  agent = ald.ALD(spec, networks, CONFIG)
  loop = acme.EnvironmentLoop(maze, agent, logger=loggers.NoOpLogger())
  for done in range(100, episodes + 1, 100):
    returns = [loop.run_episode()['episode_return'] for _ in range(100)]
    print(f'{done} episodes, mean return {np.mean(returns):.2f}', flush=True)
  return agent


if __name__ == '__main__':
  main()

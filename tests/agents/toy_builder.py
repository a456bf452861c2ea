"""A builder independent of this project's agents, run in their program.

Continuous actions, no networks, and nodes of its own. Run as a script, with the
folder of the run.
"""

import os
import sys
import time

from acme import specs
import dm_env
import launchpad as lp
import numpy as np
import reverb
import tensorflow as tf

import agents
from ald_acme.replay import reader
from ald_acme.replay import writer
from ald_acme.runs import counts as run_counts
from ald_acme.runs import folder as run_folder
from ald_acme.runs import indicators

_TABLE = 'steps'


class Guess:
  """The learner: the mean of what actors saw."""

  def __init__(self, dataset, counter):
    self._dataset, self._counter = dataset, counter
    self._mean, self._updates = np.zeros(1, np.float32), 0

  def step(self):
    values = next(self._dataset)
    self._mean = 0.9 * self._mean + 0.1 * np.mean([values])
    self._updates += 1
    self._counter.increment(guesses=1)

  def run(self):
    try:
      while True:
        self.step()
    except StopIteration:
      pass

  def get_variables(self, names):
    known = {'mean': [self._mean], 'updates': [np.int64(self._updates)]}
    return [known[name] for name in names]

  def save(self):
    return {'mean': self._mean, 'updates': np.int64(self._updates)}

  def restore(self, state):
    self._mean, self._updates = state['mean'], int(state['updates'])


class Actor:
  """Acts in one environment, and writes each reward."""

  def __init__(self, environment, writer, source, counter):
    self._environment, self._writer = environment, writer
    self._source, self._counter = source, counter

  def run(self, should_stop):
    spec = self._environment.action_spec()
    while not should_stop():
      timestep = self._environment.reset()
      while not timestep.last() and not should_stop():
        (mean,), _ = self._source.get_variables(['mean', 'updates'])
        action = np.full(spec.shape, np.clip(mean[0], -1, 1), spec.dtype)
        timestep = self._environment.step(action)
        self._writer.write(np.float32(timestep.reward), {_TABLE: lambda x: x})
        counts = self._counter.increment(frames=1)
        if counts.get(run_counts.STOP_ACTING):
          return
      self._counter.increment(episodes=1)


class Evaluator:
  """Gives the learner's number of updates as a return."""

  def __init__(self, source, counter, logger):
    self._source, self._counter, self._logger = source, counter, logger

  def evaluate(self):
    (updates,) = self._source.get_variables(['updates'])[0]
    row = {
      'frames': self._counter.get_counts().get('frames', 0),
      'wall_seconds': 0.0,
      'actor_return': float(updates),
      'final_return': float(updates),
      'learner_return': float('nan'),
    }
    self._logger.write(row)
    return row

  def run(self, wait):
    while not wait(0.2):
      self.evaluate()


class Witness:
  """A node of the builder's own, which counts its first ten calls only."""

  def __init__(self, context):
    self._context = context
    self._calls = 0

  def run(self, should_stop):
    while not should_stop():
      self._context.nodes['learner'].get_variables(['updates'])
      self._calls += 1
      if self._calls <= 10:
        self._context.counter.increment(calls=1)
      time.sleep(0.05)

  def save(self):
    return {'calls': np.int64(self._calls), 'number': self._context.index}


class ToyBuilder:
  """As `agents.Builder`."""

  acting_source = 'learner'

  def make_networks(self, environment_spec):
    assert isinstance(environment_spec.actions, specs.BoundedArray)
    return None

  def make_replay_tables(self, environment_spec):
    signature = tf.TensorSpec([], tf.float32)
    return [reverb.Table.queue(_TABLE, 1_000, signature=signature)]

  def make_dataset_iterator(self, replay_client, should_stop):
    return reader.Reader(replay_client, _TABLE, 10, should_stop)

  def make_learner(self, networks, dataset, counter, logger):
    return Guess(dataset, counter)

  def make_acting_loop(
    self,
    networks,
    environment_factory,
    replay_client,
    variable_source,
    index,
    restarts,
    counter,
    logger,
    should_stop,
  ):
    assert restarts == 0
    environment = environment_factory(1, index)
    own = writer.Writer(replay_client, should_stop)
    return Actor(environment, own, variable_source, counter)

  def make_evaluator(
    self,
    networks,
    environment_factory,
    actor_source,
    learner_source,
    counter,
    logger,
    clock,
    evaluation,
  ):
    assert learner_source is None  # What acts is what learns.
    return Evaluator(actor_source, counter, logger)

  def nodes(self):
    return [
      agents.Node('witness', Witness, count=2, uses=('learner',), saved=True)
    ]

  def indicators(self):
    return indicators.Indicators(seed=5, counts={'guesses': 'learner'})


class Target(dm_env.Environment):
  """Pays more for an action that is nearer to 1; ten steps."""

  def reset(self):
    self._steps = 0
    return dm_env.restart(np.zeros(3, np.float32))

  def step(self, action):
    self._steps += 1
    reward = -float(np.abs(action - 1).sum())
    kind = dm_env.termination if self._steps == 10 else dm_env.transition
    return kind(reward, np.zeros(3, np.float32))

  def observation_spec(self):
    return specs.Array((3,), np.float32)

  def action_spec(self):
    return specs.BoundedArray((2,), np.float32, -1.0, 1.0)


def make_environment(batch_size, seed):
  """Leaves a file for each environment that is made."""
  open(os.path.join(sys.argv[1], f'made_{time.monotonic_ns()}'), 'x').close()
  return Target()


def main():
  folder = run_folder.RunFolder(sys.argv[1])
  experiment = agents.ExperimentConfig(num_actors=2, max_frames=300)
  program, _ = agents.DistributedAgent(
    ToyBuilder(), make_environment, folder, experiment
  ).build()
  lp.launch(program, launch_type='local_mt', serialize_py_nodes=True).wait()


if __name__ == '__main__':
  from absl import flags

  flags.FLAGS(sys.argv[:1])
  main()

"""The work of each node, for `scale.py`; each function needs a new process."""

from collections.abc import Callable
import dataclasses
import itertools
import time
from typing import Any

_SECONDS = 4.0  # Least CPU time of a measurement.
_STEPS = 4  # Least number of steps in a measurement.


class Parts:
  """The agent of a preset, and the items that its nodes exchange."""

  def __init__(self, preset: str):
    import acme
    import numpy as np
    import tree

    from agents.ald import builder as ald_builder
    from agents.ald import config as ald_config
    from agents.ald import learner_runner
    from ald_acme.environments import registry
    from ald_acme.networks import sizes

    self.config = ald_config.ALDConfig(
      networks=dataclasses.replace(sizes.PRESETS[preset])
    )
    self.builder = ald_builder.ALDBuilder(self.config)
    envs = self.config.envs_per_actor
    self.environment = registry.make('i_maze', {}, envs, 0)
    self.spec = acme.make_environment_spec(self.environment)
    self.networks = self.builder.make_networks(self.spec)
    self.requests = []  # The actor's requests for parameters.
    self.unroll = None
    self.acting().step()
    self.unroll = tree.map_structure(np.array, self.unroll)
    # As after many steps: zeros would be compressed to nothing.
    rng = np.random.default_rng(0)
    memory = tree.map_structure(
      lambda x: (
        rng.normal(size=x.shape).astype(np.float32)
        if x.shape.rank > 2
        else np.ones(x.shape, np.float32)
      ),
      self.networks.learner.initial_state(envs),
    )
    shape = self.unroll.behaviour_policy.shape
    logits = rng.normal(size=shape).astype(np.float32)
    features = rng.normal(size=(*shape[:2], self.networks.learner.feature_size))
    targets = learner_runner.Targets(
      policy=logits,
      value=logits[..., 0],
      features=features.astype(np.float32),
      learner_updates=np.int64(0),
    )
    self.step = {'unroll': self.unroll, 'state': memory, 'targets': targets}

  def acting(self):
    """An actor's loop with a writer and a source in this process."""

    import numpy as np

    from agents.actor_critic import acting
    from ald_acme.parameters import variables
    from ald_acme.replay import adder

    actor = self.networks.actor.trainable_variables
    vector = variables.Variables(actor).read_flat()

    class Near:
      """A writer and a source of parameters."""

      def write(_, step, select):
        self.unroll = step
        return True

      def get_variables(_, names):
        return [
          [v.numpy() for v in actor] if name == 'actor' else [np.int64(0)]
          for name in names
        ]

      def get_vector(_, name, version):
        self.requests.append(name)
        return len(self.requests), 0, vector  # New ones each time.

    near, length = Near(), self.config.unroll_length
    made = adder.UnrollAdder(near, length)
    actor = self.builder.make_actor(self.networks.actor, made, near)
    return acting.UnrollLoop(self.environment, actor, made, length)

  def written(self, writer: str) -> tuple[Any, dict[str, Callable]]:
    """The step that actor or runner appends, and each table's part of it."""
    from agents.actor_critic import learning
    from agents.ald import learner_runner
    from ald_acme.replay import tables

    if writer == 'actor':
      return self.unroll, {tables.QUEUE: lambda unroll: unroll}
    return self.step, {
      'learner': lambda s: learning.LearnerItem(s['unroll'], s['state']),
      'distill': lambda s: learner_runner.DistillItem(
        s['unroll'], s['targets']
      ),
    }

  def item(self, table: str):
    """An item of a table that the runner writes, as tensors."""
    import tensorflow as tf
    import tree

    step, select = self.written('runner')
    return tree.map_structure(tf.constant, select[table](step))


def sizes(preset: str) -> dict:
  """Sizes of an unroll, of tables' items and of the networks."""
  import numpy as np
  import tree

  parts = Parts(preset)
  config, loop = parts.config, parts.acting()
  parts.requests.clear()
  for _ in range(10):
    loop.step()

  def num_bytes(writer):
    step, select = parts.written(writer)
    items = [part(step) for part in select.values()]
    return [
      sum(np.asarray(x).nbytes for x in tree.flatten(item)) for item in items
    ]

  def num_parameters(network):
    return sum(v.shape.num_elements() for v in network.trainable_variables)

  (unroll,), (learner, distill) = num_bytes('actor'), num_bytes('runner')
  targets = distill - unroll  # The tables share the unroll.
  return {
    'envs': config.envs_per_actor,
    'length': config.unroll_length,
    'frames': config.unroll_length * config.envs_per_actor,
    'samples_per_insert': config.samples_per_insert,
    'pulls': len(parts.requests) / 10,
    'actor': num_parameters(parts.networks.actor),
    'learner': num_parameters(parts.networks.learner),
    'item_bytes': {
      'actor': unroll,
      'runner': learner + targets,
      'learner': learner,
      'distill': distill,
    },
  }


def _cpu(step: Callable[[], Any]) -> float:
  """Mean CPU seconds of a step, in all threads of this process."""
  step()  # Traces functions.
  step()
  began, steps = time.process_time(), 0
  while steps < _STEPS or time.process_time() - began < _SECONDS:
    step()
    steps += 1
  return (time.process_time() - began) / steps


def acting(preset: str) -> float:
  """An unroll of the actor: environments, inference and buffers."""
  return _cpu(Parts(preset).acting().step)


def reading(preset: str) -> float:
  """An unroll of the runner, without tables and pulls."""
  import tensorflow as tf
  import tree

  from agents.ald import learner_runner
  from ald_acme.parameters import variables

  parts = Parts(preset)
  unroll = tree.map_structure(tf.constant, parts.unroll)

  def unrolls():
    for number in itertools.count():
      yield [unroll._replace(stamp=unroll.stamp._replace(sequence=number))]

  class Near:
    """A writer, and parameters that need no pull."""

    def __init__(self, network):
      own = variables.Variables(network.trainable_variables)
      self.vector = own.read_flat()
      self.age = 0

    def write(self, step, select):
      return True

    def pull(self):
      pass

  network = parts.networks.learner
  near = Near(network)
  runner = learner_runner.DistillingRunner(
    network, unrolls(), near, near, features=True
  )
  return _cpu(runner.step)


def learning(preset: str) -> float:
  """An update of the learner, per unroll."""
  parts = Parts(preset)
  item, size = parts.item('learner'), parts.config.learner_batch
  learner = parts.builder.make_learner(
    parts.networks, itertools.repeat([item] * size)
  )
  return _cpu(learner.step) / size


def distilling(preset: str) -> float:
  """An update of a distiller, per sample."""
  from agents.ald import distilling as ald_distilling
  from ald_acme.parameters import shared

  parts = Parts(preset)
  item = parts.item('distill')
  store = parts.builder.make_actor_parameters(parts.networks)
  size = parts.config.distill_batch
  distiller = ald_distilling.Distiller(
    parts.networks.actor,
    shared.SharedParameters.attach(store.handle()),
    itertools.repeat([item] * size),
    parts.config,
  )
  return _cpu(distiller.step) / size

"""A distributed agent: every part a node of a Launchpad program."""

from collections.abc import Callable
import copy
import dataclasses
import os
import time
from typing import Any

import acme
from acme.utils import counting
from acme.utils import loggers
import launchpad as lp
from launchpad.nodes.python import local_multi_processing

from agents import cuda
from agents import lifecycle
from agents.ald import builder as ald_builder
from ald_acme.parameters import cache
from ald_acme.parameters import shared as shared_parameters
from ald_acme.runs import checkpoints
from ald_acme.runs import folder as run_folder
from ald_acme.runs import metrics
from ald_acme.runs import monitor

_PATIENCE = 20.0  # Seconds that the monitor waits for a node's answer.


@dataclasses.dataclass
class DistributedAgent:
  """A Launchpad program of an agent, from whoever makes its parts.

  What the builder does not have the program does without: where it does not
  distil there are no distillers, and actors pull from the learner.

  Attributes:
    builder: makes the parts.
    network_factory: makes networks from an `acme.EnvironmentSpec`.
    environment_factory: makes environments from a batch size and a seed.
    folder: of the run.
    checkpoint: path of the checkpoint to go on from, None to begin.
    launched: when the user gave the command, seconds since the epoch.
  """

  builder: ald_builder.ALDBuilder
  network_factory: Callable[[acme.specs.EnvironmentSpec], Any]
  environment_factory: ald_builder.EnvironmentFactory
  folder: run_folder.RunFolder
  checkpoint: str | None = None
  launched: float = dataclasses.field(default_factory=time.time)

  # --- The nodes. Each function runs in its node's own process.

  def _replay(self):
    lifecycle.Lifecycle()
    return self.builder.make_replay_tables(self._environment_spec())

  def _counter(self):
    life = lifecycle.Lifecycle()
    counter = counting.Counter()
    counts = self._saved('counts')
    if counts:
      counter.increment(**{k: v.item() for k, v in counts.items()})
    methods = ('increment', 'get_counts')
    return lifecycle.Service(counter, methods, lambda: life.wait(None))

  def _actor_parameters(self):
    life = lifecycle.Lifecycle()
    store = self.builder.make_actor_parameters(
      self._networks(), self._saved('actor_parameters')
    )
    methods = ('handle', 'get_variables', 'save')
    return lifecycle.Service(store, methods, lambda: life.wait(None))

  def _cacher(self, source):
    life = lifecycle.Lifecycle()
    return lifecycle.Service(
      cache.ParameterCache(source), ('get_variables',), lambda: life.wait(None)
    )

  def _learner(self, replay, counter, watcher):
    cuda.load()
    life = lifecycle.Lifecycle()
    learner = self.builder.make_learner(
      self._networks(),
      self.builder.make_dataset_iterator(replay, life.should_stop),
      counting.Counter(counter, time_delta=0.0),
      self._logger('learner', watcher),
    )
    state = self._saved('learner')
    if state:
      learner.restore(state)
    methods = ('get_variables', 'save')
    return lifecycle.Service(learner, methods, lambda: life.guard(learner.run))

  def _learner_runner(self, replay, learner, counter, watcher):
    cuda.load()
    life = lifecycle.Lifecycle()
    runner = self.builder.make_learner_runner(
      self._networks(),
      replay,
      learner,
      counting.Counter(counter),
      self._logger('learner_runner', watcher),
      life.should_stop,
    )
    life.guard(lambda: runner.run(life.should_stop))

  def _distiller(self, index, replay, parameters, counter, watcher):
    life = lifecycle.Lifecycle()
    distiller = self.builder.make_distiller(
      self._networks(),
      shared_parameters.SharedParameters.attach(parameters.handle()),
      replay,
      index,
      counting.Counter(counter),
      self._logger(f'distiller_{index}', watcher),
      life.should_stop,
    )
    state = self._saved(f'distiller_{index}')
    if state:
      distiller.restore(state)
    return lifecycle.Service(
      distiller,
      ('save',),
      lambda: life.guard(lambda: distiller.run(life.should_stop)),
    )

  def _actor(self, index, replay, parameters, counter, watcher):
    from agents.ald import acting  # TensorFlow; the launcher has no need.

    life = lifecycle.Lifecycle()
    # One that begins again, after a resume or after the loss of its host, plays
    # new episodes, not those played before.
    begins = f'actor_{index}_begins'
    times = int(counter.increment(**{begins: 1})[begins])
    seed = self.builder.seed_of(ald_builder.ACTING, index, times - 1)
    config = self.builder.config
    adder = self.builder.make_adder(replay, index, life.should_stop)
    loop = acting.UnrollLoop(
      self.builder.make_environment(
        self.environment_factory, config.envs_per_actor, seed
      ),
      self.builder.make_actor(self._networks().actor, adder, parameters, seed),
      adder,
      config.unroll_length,
      counting.Counter(counter, time_delta=0.0),
      self._logger(f'actor_{index}', watcher),
      seed.spawn(1)[0] if config.stagger_episodes else None,
    )
    life.guard(lambda: loop.run(life.should_stop))

  def _evaluator(self, parameters, learner, counter, watcher, earlier):
    life = lifecycle.Lifecycle()
    began = self.launched - earlier
    part = self.builder.make_evaluator(
      self._networks(),
      self.environment_factory,
      parameters,
      learner,
      counting.Counter(counter, time_delta=0.0),
      self._logger('evaluator', watcher, period=0.0),
      lambda: time.time() - began,
    )
    return lifecycle.Service(
      part, ('evaluate',), lambda: life.guard(lambda: part.run(life.wait))
    )

  def _monitor(self, counter, savers, evaluator_):
    life = lifecycle.Lifecycle()
    config = self.builder.config
    part = monitor.Monitor(
      folder=self.folder,
      sources=monitor.Sources(counter, savers, evaluator_),
      goal=monitor.Goal(config.max_frames, config.target_return),
      dprl=config.dprl if self.builder.distils else None,
      seed=config.seed,
      checkpoint_period=config.checkpoint_period,
      checkpoints_kept=config.checkpoints_kept,
      launched=self.launched,
      earlier=self._saved('run'),
      earlier_counts=self._saved('counts'),
      on_end=lp.stop,
    )
    methods = ('report', 'request_stop', 'wait_for_end')

    def run():
      part.run(life.should_stop)
      life.wait(None)

    return lifecycle.Service(part, methods, lambda: life.guard(run))

  # --- What nodes share.

  def _environment_spec(self) -> acme.specs.EnvironmentSpec:
    environment = self.environment_factory(1, 0)
    spec = acme.make_environment_spec(environment)
    environment.close()
    return spec

  def _networks(self):
    return self.network_factory(self._environment_spec())

  def _logger(self, node, watcher, period: float = 1.0) -> loggers.Logger:
    return metrics.make_logger(self.folder, node, watcher.report, period)

  def _saved(self, part: str) -> dict[str, Any] | None:
    """A part's state in the checkpoint that the run goes on from."""
    if self.checkpoint is None:
      return None
    return checkpoints.read(self.checkpoint).get(part)

  # --- The program.

  def build(self, name: str = 'agent') -> tuple[lp.Program, lp.CourierHandle]:
    """Wires the nodes; also gives a handle of the monitor."""
    program = lp.Program(name)

    def add(label, node):
      with program.group(label):
        return program.add_node(node)

    replay = add('replay', lp.ReverbNode(self._replay))
    counter = add('counter', lp.CourierNode(self._counter))
    # The monitor and the nodes that report to it know each other.
    monitor_node = lp.CourierNode(self._monitor)
    watcher = monitor_node.create_handle()
    learner = add(
      'learner', lp.CourierNode(self._learner, replay, counter, watcher)
    )
    add(
      'learner_runner',
      lp.PyNode(self._learner_runner, replay, learner, counter, watcher),
    )
    savers = {'learner': learner}
    parameters, other = learner, None  # Of the policy that acts; the other.
    if self.builder.distils:
      parameters = savers['actor_parameters'] = add(
        'actor_parameters', lp.CourierNode(self._actor_parameters)
      )
      other = learner
      with program.group('distiller'):
        for i in range(self.builder.config.num_distillers):
          savers[f'distiller_{i}'] = program.add_node(
            lp.CourierNode(
              self._distiller, i, replay, parameters, counter, watcher
            )
          )
    # Read here: a node that begins again may find newer checkpoints alone.
    earlier = float((self._saved('run') or {}).get('wall_seconds', 0.0))
    evaluator_ = add(
      'evaluator',
      lp.CourierNode(
        self._evaluator, parameters, other, counter, watcher, earlier
      ),
    )
    sources = [
      add('cacher', lp.CourierNode(self._cacher, parameters))
      for _ in range(self.builder.config.num_cachers)
    ] or [parameters]
    for i in range(self.builder.config.num_actors):
      source = sources[i % len(sources)]
      add('actor', lp.PyNode(self._actor, i, replay, source, counter, watcher))
    monitor_node.configure(
      _patient(counter),
      {name: _patient(handle) for name, handle in savers.items()},
      _patient(evaluator_),
    )
    add('monitor', monitor_node)
    return program, watcher


def _patient(handle: lp.CourierHandle) -> lp.CourierHandle:
  """The handle for the monitor, which must not hang on a node that is gone."""
  own = copy.copy(handle)
  own.set_client_kwargs(call_timeout=_PATIENCE)
  return own


def local_resources(
  program: lp.Program,
) -> dict[str, local_multi_processing.PythonProcess]:
  """Threads and devices of each node on one machine.

  TensorFlow starts a thread pool per process, and every process would have
  every core in it: two cores thrash. Accelerators belong to the learner and
  its runner; any other process would take their memory.
  """
  half = max(1, (os.cpu_count() or 1) // 2)
  resources = {}
  for label in program.groups:
    learns = label in ('learner', 'learner_runner')
    environment = {
      **threads(half if learns else 1),
      'TF_CPP_MIN_LOG_LEVEL': '2',
      'TF_FORCE_GPU_ALLOW_GROWTH': 'true',
    }
    if not learns:
      environment['CUDA_VISIBLE_DEVICES'] = '-1'
    resources[label] = local_multi_processing.PythonProcess(env=environment)
  return resources


def threads(number: int) -> dict[str, str]:
  """Environment variables of a node in which TensorFlow has so many threads."""
  return {
    'TF_NUM_INTRAOP_THREADS': str(number),
    'TF_NUM_INTEROP_THREADS': '1',
    'OMP_NUM_THREADS': '1',
    'OPENBLAS_NUM_THREADS': '1',
    # Off by default in TensorFlow 2.8; products are quicker with it.
    'TF_ENABLE_ONEDNN_OPTS': '1',
  }

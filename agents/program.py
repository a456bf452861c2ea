"""A distributed agent: every part is a node of a Launchpad program."""

from collections.abc import Callable, Sequence
import copy
import dataclasses
import os
import time
from typing import Any

import acme
from acme.utils import counting
from acme.utils import loggers
import launchpad as lp
import reverb

from agents import builders
from agents import cuda
from agents import experiment as experiments
from agents import lifecycle
from agents import resources
from ald_acme import activity
from ald_acme.parameters import pulled
from ald_acme.runs import checkpoints
from ald_acme.runs import counts as run_counts
from ald_acme.runs import folder as run_folder
from ald_acme.runs import gathering
from ald_acme.runs import metrics
from ald_acme.runs import monitor

_COUNTING = 0.1  # Seconds between two calls of a builder's node to the counter.
_Handle = Any  # Client of another node, with its methods.


class _Replay(lp.ReverbNode):
  """A replay server that reports to the monitor."""

  def __init__(
    self,
    tables: Callable[[Any], Sequence[reverb.Table]],
    watcher: lp.CourierHandle,
  ):
    super().__init__(lambda: tables(watcher.dereference()))
    self._input_handles.append(watcher)


@dataclasses.dataclass
class DistributedAgent:
  """A Launchpad program of a builder's parts.

  Every agent has the nodes `replay`, `counter`, `learner`, `evaluator`,
  `actor`, `monitor` and, with many actors, `cacher`; the builder adds its
  `nodes`.

  Attributes:
    builder: creates the parts.
    environment_factory: creates environments from a batch size and a seed.
    folder: the run's folder.
    experiment: settings of the run.
    network_factory: creates networks from an `acme.EnvironmentSpec`; by default
      the builder's `make_networks`.
    environment_spec: spec of one environment; by default `build` creates one to
      read it. Nodes receive it as plain data.
    checkpoint: path of the checkpoint to resume from, None for a new run.
    logger_factory: creates an additional logger per node, from the node's
      label, the name of its step column and its index; it receives the rows of
      the run's log files.
    evaluator_factories: each creates an additional evaluator, in its own node.
    launched: time of the user's command, seconds since the epoch.
  """

  builder: builders.Builder
  environment_factory: builders.EnvironmentFactory
  folder: run_folder.RunFolder
  experiment: experiments.ExperimentConfig = dataclasses.field(
    default_factory=experiments.ExperimentConfig
  )
  network_factory: Callable[[acme.specs.EnvironmentSpec], Any] | None = None
  environment_spec: acme.specs.EnvironmentSpec | None = None
  checkpoint: str | None = None
  logger_factory: metrics.LoggerFactory | None = None
  evaluator_factories: Sequence[builders.EvaluatorFactory] = ()
  launched: float = dataclasses.field(default_factory=time.time)

  # --- The nodes. Each function runs in its node's own process.

  def _replay(self, watcher: _Handle) -> list[reverb.Table]:
    lifecycle.Lifecycle('replay_0', watcher, serves=True)
    return self.builder.make_replay_tables(self.environment_spec)

  def _counter(self, watcher: _Handle) -> lifecycle.Service:
    life = self._life('counter_0', watcher, serves=True)
    counter = run_counts.RunCounter(self.experiment.max_frames)
    counts = self._saved('counts')
    if counts:
      counter.increment(**{k: v.item() for k, v in counts.items()})
    methods = ('increment', 'get_counts')
    return lifecycle.Service(counter, methods, lambda: life.wait(None))

  def _cacher(
    self, index: int, source: _Handle, watcher: _Handle
  ) -> lifecycle.Service:
    life = self._life(f'cacher_{index}', watcher, serves=True)
    methods = ('get_variables', 'get_vector')
    return lifecycle.Service(
      pulled.ParameterCache(source), methods, lambda: life.wait(None)
    )

  def _learner(
    self, replay: reverb.Client, counter: _Handle, watcher: _Handle
  ) -> lifecycle.Service:
    life = self._life('learner_0', watcher)
    cuda.report()
    learner = self.builder.make_learner(
      self._networks(),
      self.builder.make_dataset_iterator(replay, life.should_stop),
      run_counts.BackgroundCounter(counter),
      self._logger(life, builders.LEARNER, watcher),
    )
    state = self._saved(builders.LEARNER)
    if state:
      learner.restore(state)
    methods = ['get_variables', 'save']
    if hasattr(learner, 'get_vector'):  # Acme's learners do not have it.
      methods.append('get_vector')
    return lifecycle.Service(learner, methods, lambda: life.guard(learner.run))

  def _actor(
    self,
    index: int,
    replay: reverb.Client,
    source: _Handle,
    counter: _Handle,
    watcher: _Handle,
  ) -> None:
    life = self._life(f'actor_{index}', watcher)
    # An actor restarted after a resume or the loss of its host plays new
    # episodes.
    begins = f'actor_{index}_begins'
    times = int(counter.increment(**{begins: 1})[begins])
    loop = self.builder.make_acting_loop(
      self._networks(),
      self.environment_factory,
      replay,
      source,
      index,
      times - 1,
      counting.Counter(run_counts.Remote(counter), time_delta=0.0),
      self._logger(life, f'actor_{index}', watcher),
      life.should_stop,
    )

    def run() -> None:
      loop.run(life.should_stop)
      with activity.resting():  # Acting may end before the program.
        life.wait(None)

    life.guard(run)

  def _evaluator(
    self,
    source: _Handle,
    learner: _Handle | None,
    counter: _Handle,
    watcher: _Handle,
    earlier: float,
  ) -> lifecycle.Service:
    life = self._life('evaluator_0', watcher)
    began = self.launched - earlier
    part = self.builder.make_evaluator(
      self._networks(),
      self.environment_factory,
      source,
      learner,
      counting.Counter(run_counts.Remote(counter), time_delta=0.0),
      self._logger(life, 'evaluator', watcher, period=0.0),
      lambda: time.time() - began,
      self.experiment,
    )
    return lifecycle.Service(
      part, ('evaluate',), lambda: life.guard(lambda: part.run(life.wait))
    )

  def _further_evaluator(
    self,
    index: int,
    factory: builders.EvaluatorFactory,
    source: _Handle,
    counter: _Handle,
    watcher: _Handle,
  ) -> None:
    name = f'evaluator_{index}'
    life = self._life(name, watcher)
    part = factory(
      self._networks(),
      source,
      counting.Counter(run_counts.Remote(counter), time_delta=0.0),
      self._logger(life, name, watcher, period=0.0),
    )
    life.guard(lambda: part.run(life.wait))

  def _extra(
    self,
    node: builders.Node,
    index: int,
    replay: reverb.Client,
    nodes: dict[str, _Handle],
    counter: _Handle,
    watcher: _Handle,
  ) -> lifecycle.Service | None:
    """A node that the builder adds."""
    name = node.names()[index]
    life = self._life(f'{node.label}_{index}', watcher)
    if node.accelerated:
      cuda.report()
    part = node.make(
      builders.Context(
        index,
        self._networks(),
        replay,
        nodes,
        run_counts.BackgroundCounter(counter, _COUNTING),
        self._logger(life, name, watcher),
        life.should_stop,
      )
    )
    state = self._saved(name) if node.saved else None
    if state:
      part.restore(state)

    def run() -> None:
      if hasattr(part, 'run'):
        life.guard(lambda: part.run(life.should_stop))
      else:
        with activity.resting():
          life.guard(lambda: life.wait(None))

    methods = [*node.serves, *(['save'] if node.saved else [])]
    if not methods:
      run()
      return None
    return lifecycle.Service(part, methods, run)

  def _monitor(
    self, counter: _Handle, savers: dict[str, _Handle], evaluator_: _Handle
  ) -> lifecycle.Service:
    life = self._life('monitor_0', None)
    config = self.experiment
    part = monitor.Monitor(
      folder=self.folder,
      sources=monitor.Sources(counter, savers, evaluator_),
      goal=monitor.Goal(
        config.max_frames,
        config.target_return,
        config.solved_return,
        config.stall_warning,
        config.stall_limit,
        config.evaluation_episodes,
      ),
      indicators=self.builder.indicators(),
      checkpoint_period=config.checkpoint_period,
      checkpoints_kept=config.checkpoints_kept,
      launched=self.launched,
      earlier=self._saved('run'),
      earlier_counts=self._saved('counts'),
      on_end=lp.stop,
    )
    methods = ('report', 'beat', 'request_stop', 'wait_for_end')

    def run() -> None:
      part.run(life.should_stop)
      life.wait(None)

    return lifecycle.Service(part, methods, lambda: life.guard(run))

  # --- Shared by nodes.

  def _life(
    self, name: str, watcher: _Handle | None, serves: bool = False
  ) -> lifecycle.Lifecycle:
    timeline = ''
    if self.experiment.timeline:
      timeline = os.path.join(self.folder.timelines, f'{name}.json')
    return lifecycle.Lifecycle(name, watcher, serves, timeline)

  def _networks(self) -> Any:
    make = self.network_factory or self.builder.make_networks
    return make(self.environment_spec)

  def _logger(
    self,
    life: lifecycle.Lifecycle,
    node: str,
    watcher: _Handle,
    period: float = 1.0,
  ) -> loggers.Logger:
    logger = metrics.make_logger(
      self.folder, node, watcher.report, period, self.logger_factory
    )
    if self.logger_factory:  # Ours write each row at once; others may buffer.
      life.at_end(logger.close)
    return logger

  def _saved(self, part: str) -> dict[str, Any] | None:
    """A part's state in the checkpoint that the run resumes from."""
    if self.checkpoint is None:
      return None
    return checkpoints.read(self.checkpoint).get(part)

  # --- The program.

  def build(self, name: str = 'agent') -> tuple[lp.Program, lp.CourierHandle]:
    """Builds the program; also returns a handle of the monitor."""
    if self.environment_spec is None:
      environment = self.environment_factory(1, 0)
      self.environment_spec = acme.make_environment_spec(environment)
      environment.close()
    program = lp.Program(name)

    def add(label: str, node: lp.PyNode) -> _Handle:
      with program.group(label):
        return program.add_node(node)

    # The monitor and its nodes hold handles of each other.
    monitor_node = lp.CourierNode(self._monitor)
    watcher = monitor_node.create_handle()
    replay = add('replay', _Replay(self._replay, watcher))
    counter = add('counter', lp.CourierNode(self._counter, watcher))
    learner = add(
      builders.LEARNER,
      resources.Accelerated(self._learner, replay, counter, watcher),
    )
    nodes, savers = {builders.LEARNER: learner}, {builders.LEARNER: learner}
    for node in self.builder.nodes():
      kind = _launchpad_class(node)
      used = {label: nodes[label] for label in node.uses}
      for index, own in enumerate(node.names()):
        handle = add(
          node.label,
          kind(self._extra, node, index, replay, used, counter, watcher),
        )
        nodes.setdefault(node.label, handle)
        if node.saved:
          savers[own] = handle
    source = nodes[self.builder.acting_source]
    other = None if source is learner else learner  # Pulls the learner.
    # Read here: a restarted evaluator may find only newer checkpoints.
    earlier = float((self._saved('run') or {}).get('wall_seconds', 0.0))
    evaluator_ = add(
      'evaluator',
      lp.CourierNode(self._evaluator, source, other, counter, watcher, earlier),
    )
    for i, factory in enumerate(self.evaluator_factories, start=1):
      further = self._further_evaluator
      add('evaluator', lp.PyNode(further, i, factory, source, counter, watcher))
    sources = [
      add('cacher', lp.CourierNode(self._cacher, i, source, watcher))
      for i in range(self.experiment.num_cachers)
    ] or [source]
    for i in range(self.experiment.num_actors):
      own = sources[i % len(sources)]
      add('actor', lp.PyNode(self._actor, i, replay, own, counter, watcher))
    monitor_node.configure(
      _patient(counter),
      {name: _patient(handle) for name, handle in savers.items()},
      evaluator_,  # No timeout: evaluations may take long.
    )
    add('monitor', monitor_node)
    return program, watcher


def _launchpad_class(node: builders.Node) -> type[lp.PyNode]:
  """Launchpad's class for a builder's node."""
  if node.serves or node.saved:
    return resources.Accelerated if node.accelerated else lp.CourierNode
  return resources.AcceleratedLoop if node.accelerated else lp.PyNode


def _patient(handle: lp.CourierHandle) -> lp.CourierHandle:
  """The monitor's handle with a timeout, because the node may have ended."""
  own = copy.copy(handle)
  own.set_client_kwargs(call_timeout=gathering.ANSWER)
  return own

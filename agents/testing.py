"""Conformance tests of builders, to inherit."""

import abc
from collections.abc import Callable
import inspect
import threading
from typing import Any

import acme
from acme import adders
from acme import specs
from acme.utils import loggers
import cloudpickle
import dm_env
import numpy as np
import reverb
import tensorflow as tf
import tree

from agents import builders

# Reserved names: nodes of every program and other keys of a checkpoint.
_TAKEN = {'replay', 'counter', 'evaluator', 'monitor', 'counts', 'run'}
_PATIENCE = 60.0  # Seconds for a learner's first batch.
_STOP = 5.0  # Seconds for a part to stop.
# Methods and their parameters, in order (Acme 0.4.0, `D4PGBuilder`).
PROTOCOL = {
  'make_replay_tables': ('environment_spec',),
  'make_dataset_iterator': ('replay_client',),
  'make_adder': ('replay_client',),
  'make_actor': ('policy_network', 'adder', 'variable_source'),
  'make_learner': ('networks', 'dataset', 'counter', 'logger', 'checkpoint'),
}


class ProgramBuilderTestMixin(abc.ABC):
  """Tests that any builder of `agents.program.DistributedAgent` passes.

  They check what the builder declares; nothing is launched.
  """

  @abc.abstractmethod
  def make_object_under_test(self) -> builders.Builder:
    """The builder."""

  def test_methods_match_the_protocol(self) -> None:
    builder = self.make_object_under_test()
    for name, method in vars(builders.Builder).items():
      if name.startswith('_') or not inspect.isfunction(method):
        continue
      wanted = list(inspect.signature(method).parameters)[1:]
      own = inspect.signature(getattr(builder, name)).parameters.values()
      # Further parameters need defaults.
      assert [p.name for p in own][: len(wanted)] == wanted, name
      for parameter in list(own)[len(wanted) :]:
        assert parameter.default is not parameter.empty, (name, parameter)

  def test_pickling(self) -> None:
    builder = self.make_object_under_test()
    again = cloudpickle.loads(cloudpickle.dumps(builder))
    own, theirs = (
      [node.names() for node in b.nodes()] for b in (builder, again)
    )
    assert own == theirs

  def test_nodes_use_earlier_nodes(self) -> None:
    known, names = {builders.LEARNER}, [builders.LEARNER]
    for node in self.make_object_under_test().nodes():
      assert set(node.uses) <= known, node.label
      known.add(node.label)
      names += node.names()
    assert len(names) == len(set(names))
    assert not set(names) & _TAKEN

  def test_actors_pull_from_a_serving_node(self) -> None:
    builder = self.make_object_under_test()
    serving = {builders.LEARNER} | {
      node.label for node in builder.nodes() if 'get_variables' in node.serves
    }
    assert builder.acting_source in serving

  def test_indicators_refer_to_its_parts(self) -> None:
    builder = self.make_object_under_test()
    indicators, nodes = builder.indicators(), builder.nodes()
    saved = {builders.LEARNER}
    for node in nodes:
      saved.update(node.names() if node.saved else [])
    assert set(indicators.counts.values()) <= saved
    names = {builders.LEARNER, *(x for node in nodes for x in node.names())}
    assert {metric.node for metric in indicators.metrics} <= names
    if indicators.ratio:
      ratio = indicators.ratio
      assert {ratio.numerator, ratio.denominator} <= set(indicators.counts)


class BuilderTestMixin(abc.ABC):
  """Tests that any builder of Acme's TensorFlow protocol passes.

  A counterpart of `dm_env.test_utils.EnvironmentTestMixin`: a test class
  inherits it and defines how to create the builder, an environment and
  networks.
  """

  episodes = 12  # Enough for the learner's batches.
  updates = 1  # Until the learner's variables have changed.

  @abc.abstractmethod
  def make_object_under_test(self) -> Any:
    """The builder."""

  @abc.abstractmethod
  def make_environment(self) -> dm_env.Environment:
    """One environment that the builder's agent can act in."""

  @abc.abstractmethod
  def make_networks(
    self, builder: Any, environment_spec: specs.EnvironmentSpec
  ) -> Any:
    """Networks as the builder's `make_learner` takes them."""

  def policy_network(self, networks: Any) -> Any:
    """The acting part of the networks, as `make_actor` takes it."""
    return networks.actor

  def variable_names(self) -> list[str]:
    """Names of the variables that actors pull."""
    return ['learner']

  def serve_actor(
    self, builder: Any, networks: Any, learner: acme.Learner
  ) -> acme.VariableSource:
    """Creates the source that actors pull from."""
    return learner

  def make_adder(
    self,
    builder: Any,
    client: reverb.Client,
    should_stop: Callable[[], bool],
  ) -> adders.Adder:
    """Creates an adder; if it blocks, it must return when told to stop."""
    return builder.make_adder(client)

  def relay(
    self,
    builder: Any,
    client: reverb.Client,
    learner: acme.Learner,
    should_stop: Callable[[], bool],
  ) -> None:
    """Runs the part between the adder and the dataset, if any."""

  def test_parameters_match_the_protocol(self) -> None:
    builder = self.make_object_under_test()
    for method, names in PROTOCOL.items():
      parameters = list(inspect.signature(getattr(builder, method)).parameters)
      # The first is positional, so its name is free.
      assert tuple(parameters[1 : len(names)]) == names[1:], method

  def test_pickles_without_tensorflow(self) -> None:
    builder = self.make_object_under_test()
    spec = acme.make_environment_spec(self.make_environment())
    self.make_networks(builder, spec)
    builder.make_replay_tables(spec)
    held = tree.flatten(list(vars(builder).values()))
    assert not any(isinstance(x, (tf.Module, tf.Variable)) for x in held)
    again = cloudpickle.loads(cloudpickle.dumps(builder))
    assert type(again).__name__ == type(builder).__name__
    again.make_replay_tables(spec)

  def test_acts_without_adder_or_source(self) -> None:
    builder, environment = (
      self.make_object_under_test(),
      self.make_environment(),
    )
    networks = self.make_networks(
      builder, acme.make_environment_spec(environment)
    )
    actor = builder.make_actor(self.policy_network(networks))
    loop = acme.EnvironmentLoop(environment, actor, logger=loggers.NoOpLogger())
    assert loop.run_episode()['episode_length'] > 0

  def test_learns_from_the_actors_items(self) -> None:
    builder, environment = (
      self.make_object_under_test(),
      self.make_environment(),
    )
    spec = acme.make_environment_spec(environment)
    networks = self.make_networks(builder, spec)
    server = reverb.Server(builder.make_replay_tables(spec))
    client = reverb.Client(f'localhost:{server.port}')
    learner = builder.make_learner(
      networks,
      builder.make_dataset_iterator(client),
      logger=loggers.NoOpLogger(),
      checkpoint=False,
    )
    stop = threading.Event()
    before = learner.get_variables(self.variable_names())
    before = tree.map_structure(np.array, before)
    actor = builder.make_actor(
      self.policy_network(networks),
      self.make_adder(builder, client, stop.is_set),
      self.serve_actor(builder, networks, learner),
    )
    loop = acme.EnvironmentLoop(environment, actor, logger=loggers.NoOpLogger())
    errors = []

    def start(run: Callable[..., None], *arguments: Any) -> threading.Thread:
      def attempt() -> None:
        try:
          run(*arguments)
        except Exception as error:  # Raised in the test's thread.
          errors.append(error)

      thread = threading.Thread(target=attempt, daemon=True)
      thread.start()
      return thread

    def act() -> None:
      for _ in range(self.episodes):  # `run` needs the main thread.
        loop.run_episode()

    def learn() -> None:
      for _ in range(self.updates):
        learner.step()

    # Both may block on the tables' limiters.
    others = [start(act)]
    others.append(start(self.relay, builder, client, learner, stop.is_set))
    start(learn).join(_PATIENCE)
    found = list(errors)  # Copied before the end, which causes more.
    stop.set()
    for thread in others:  # Without the server none is told to stop.
      thread.join(_STOP)
    server.stop()
    for thread in others:
      thread.join(_PATIENCE)
    assert not found, found
    after = learner.get_variables(self.variable_names())
    changed = tree.map_structure(lambda x, y: np.any(x != y), before, after)
    assert any(tree.flatten(changed))

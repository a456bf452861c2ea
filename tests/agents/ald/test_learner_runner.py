"""The learner runner: consecutive unrolls equal one long unroll."""

from acme.utils import counting
from acme.utils import loggers
import numpy as np
import pytest
import tensorflow as tf
import tree

from agents.actor_critic import learner_runner as base_runner
from agents.actor_critic import learning
from agents.ald import learner_runner
from ald_acme.parameters import variables

LENGTH = 4


@pytest.fixture
def network(make_networks):
  return make_networks().learner


@pytest.fixture
def make_stream(make_unroll):
  """Makes a long unroll, and the same in pieces."""

  def make(pieces, seed=0, stream=0):
    whole = make_unroll(seed, length=pieces * LENGTH, stream=stream)

    def piece(i):
      def cut(path, x):
        start = i * LENGTH
        overlap = int(path[0] == 'inputs')
        return x[start : start + LENGTH + overlap]

      steps = whole._replace(actor_state=(), stamp=())
      return tree.map_structure_with_path(cut, steps)._replace(
        actor_state=whole.actor_state,
        stamp=whole.stamp._replace(sequence=np.int64(i)),
      )

    return whole, [piece(i) for i in range(pieces)]

  return make


class Parameters:
  """Pulled parameters; those of each pull are larger by `step`."""

  def __init__(self, network, age=0, step=0.0):
    self.vector = variables.Variables(network.trainable_variables).read_flat()
    self.age, self._step = age, step

  def pull(self):
    self.vector = self.vector + np.float32(self._step)
    self.age += 1


@pytest.fixture
def run(network, writer, tensors):
  """Has unrolls read; gives the items of both tables."""

  def run(unrolls, parameters=None, counter=None, logger=None, features=True):
    runner = learner_runner.DistillingRunner(
      network,
      iter([[tensors(unroll)] for unroll in unrolls]),
      writer,
      parameters or Parameters(network),
      counter,
      logger,
      features=features,
    )
    runner.run()
    return [
      writer.items.get(name, [])
      for name in (base_runner.LEARNER, learner_runner.DISTILL)
    ]

  return run


def _assert_close(one, other):
  tree.map_structure(
    lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-5),
    tuple(one),
    tuple(other),
  )


def _read(network, whole):
  """Outputs, features and state after all steps but the bootstrap."""
  inputs = tree.map_structure(lambda x: tf.constant(x[:-1]), whole.inputs)
  state = network.initial_state(whole.action.shape[1])
  return network.unroll_features(inputs, state)


def _assert_as_one(network, learner_items, distill_items, whole):
  """Items of one stream are as the network's answers on the whole."""
  outputs, features, _ = _read(network, whole)
  found = [
    np.concatenate([getattr(item.targets, name) for item in distill_items])
    for name in ('policy', 'value', 'features')
  ]
  _assert_close(found, (*outputs, features))
  for i, item in enumerate(learner_items):
    if not i:
      expected = network.initial_state(whole.action.shape[1])
    else:
      until = tree.map_structure(
        lambda x, i=i: x[: i * LENGTH + 1], whole.inputs
      )
      *_, expected = _read(network, whole._replace(inputs=until))
    _assert_close(item.learner_state, expected)


def test_memory_is_carried(run, network, make_stream):
  whole, pieces = make_stream(5)
  items = run(pieces)
  assert [len(of_table) for of_table in items] == [5, 5]
  _assert_as_one(network, *items, whole)


def test_unrolls_are_passed_on_unchanged(run, make_stream):
  _, pieces = make_stream(3)
  for of_table in run(pieces):
    for item, piece in zip(of_table, pieces):
      tree.map_structure(
        np.testing.assert_array_equal, tuple(item.unroll), tuple(piece)
      )


def test_every_stream_has_a_separate_memory(run, network, make_stream):
  wholes, streams = zip(*[make_stream(4, seed=s, stream=s) for s in range(2)])
  order = [0, 0, 1, 0, 1, 1, 1, 0]
  queues = [list(pieces) for pieces in streams]
  items = run([queues[stream].pop(0) for stream in order])
  for stream, whole in enumerate(wholes):
    own = [
      [i for i in of_table if i.unroll.stamp.stream == stream]
      for of_table in items
    ]
    assert len(own[0]) == 4
    _assert_as_one(network, *own, whole)


@pytest.mark.parametrize(
  'sequences', [[0, 1, 3], [0, 1, 0], [0, 1, 1], [5, 6, 8]]
)
def test_a_gap_resets_the_memory(run, network, make_stream, sequences):
  _, pieces = make_stream(3)
  learner_items, distill_items = run(
    [
      piece._replace(stamp=piece.stamp._replace(sequence=np.int64(sequence)))
      for piece, sequence in zip(pieces, sequences)
    ]
  )
  empty = network.initial_state(3)
  for i in (0, 2):  # At the beginning and after the gap.
    _assert_close(learner_items[i].learner_state, empty)
    outputs, *_ = _read(network, pieces[i])
    targets = distill_items[i].targets
    _assert_close((targets.policy, targets.value), outputs)
  assert np.abs(learner_items[1].learner_state.memory).max() > 0.1


def test_a_restarted_actor_takes_the_place_of_its_memory(
  network, make_stream, tensors, writer
):
  # A restarted actor has its old stream and begins anew.
  starts = [make_stream(1, seed=i, stream=i % 2)[1][0] for i in range(6)]
  runner = learner_runner.DistillingRunner(
    network,
    iter([[tensors(unroll)] for unroll in starts]),
    writer,
    Parameters(network),
    features=True,
  )
  runner.run()
  assert len(writer.items[base_runner.LEARNER]) == 6
  assert len(runner._memories) == 2


def test_targets_have_the_learners_age(run, network, make_stream):
  _, pieces = make_stream(3)
  _, distill_items = run(pieces, Parameters(network, age=7))
  ages = [item.targets.learner_updates for item in distill_items]
  assert ages == [8, 9, 10]
  assert {np.asarray(x).dtype for x in ages} == {np.dtype(np.int64)}


def test_targets_are_from_the_newest_parameters(run, network, make_stream):
  (piece,) = make_stream(1)[1]
  before, *_ = _read(network, piece)
  parameters = Parameters(network, step=0.1)
  _, (item,) = run([piece], parameters)
  own = variables.Variables(network.trainable_variables)
  own.assign_flat(parameters.vector)
  outputs, *_ = _read(network, piece)
  _assert_close((item.targets.policy, item.targets.value), outputs)
  assert np.abs(before.policy - outputs.policy).max() > 1e-3


def test_counts_and_log(run, make_stream):
  counter, logger = counting.Counter(), loggers.InMemoryLogger()
  counter.increment(frames=50)
  unrolls = make_stream(2)[1] + make_stream(1, stream=1)[1]
  run(unrolls, counter=counter, logger=logger)
  assert counter.get_counts() == {'frames': 50, 'unrolls': 3}
  assert logger.data == [
    {'frames': 50, 'unrolls': n, 'learner_age': n} for n in (1, 2, 3)
  ]


def test_stops_when_writing_stops(run, make_stream, writer):
  writer.stopped = True
  counter = counting.Counter()
  assert run(make_stream(2)[1], counter=counter) == [[], []]
  assert counter.get_counts() == {}


def test_types_of_the_tables_items(run, make_stream):
  (learner_item,), (distill_item,) = run(make_stream(1)[1])
  assert isinstance(learner_item, learning.LearnerItem)
  assert isinstance(distill_item, learner_runner.DistillItem)
  assert distill_item.targets.policy.shape == (LENGTH, 3, 4)
  assert distill_item.targets.value.shape == (LENGTH, 3)


def test_features_are_not_sent_unless_distilled(run, make_stream):
  _, pieces = make_stream(1)
  (item,) = run(pieces, features=False)[1]
  assert item.targets.features.shape == (*item.targets.value.shape, 0)

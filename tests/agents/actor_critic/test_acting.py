"""Unrolls match the environments' time steps and the network's outputs."""

import acme
from acme.utils import counting
from acme.utils import loggers
from acme.utils import observers
import dm_env
import numpy as np
import pytest
import tensorflow as tf
import tree

from agents.actor_critic import acting
from ald_acme import types
from ald_acme.environments.batches import stacking
from ald_acme.environments.batches import workers
from ald_acme.environments.tasks import i_maze
from ald_acme.parameters import pulled
from ald_acme.replay import adder as unroll_adder
from ald_acme.replay import tables

FIRST, MID, LAST = (int(step_type) for step_type in dm_env.StepType)
LENGTH = 5


class Mazes(i_maze.BatchedIMaze):
  """Records all time steps and actions; each step has another reward."""

  def __init__(self, batch_size=3, limit=6):
    super().__init__(
      batch_size, size=5, limit=limit, limit_reward=0.25, wrong_reward=0.5
    )
    self.timesteps, self.actions = [], []

  def reset(self):
    timestep = super().reset()  # May be a step itself.
    self.timesteps, self.actions = [timestep], []
    return timestep

  def step(self, action):
    self.actions.append(np.array(action))
    self.timesteps.append(super().step(action))
    return self.timesteps[-1]

  def history(self, name):
    """`[steps, E]`, from the first to the last."""
    return np.stack([getattr(step, name) for step in self.timesteps])


class Source:
  """Serves a network's variables; every pull counts as an update."""

  def __init__(self, network):
    self.network, self.pulls = network, 0

  def get_variables(self, names):
    assert names == ['actor', 'updates']
    self.pulls += 1
    arrays = [v.numpy() for v in self.network.trainable_variables]
    return [arrays, [np.int64(self.pulls)]]


@pytest.fixture
def make(make_networks, writer):
  """Makes the loop of an actor with a network and mazes of its own."""

  def make(
    seed=0,
    counter=None,
    logger=None,
    stream=0,
    source=None,
    stagger=None,
    observers=None,
  ):
    environment, network = Mazes(), make_networks().actor
    adder = unroll_adder.UnrollAdder(writer, LENGTH, stream)
    like = network.trainable_variables
    parameters = source and pulled.PulledParameters(source, 'actor', like)
    actor = acting.RecurrentActor(network, seed, adder, parameters)
    loop = acting.UnrollLoop(
      environment, actor, adder, LENGTH, counter, logger, stagger, observers
    )
    return loop, environment, network

  return make


@pytest.fixture
def unrolls(make, writer):
  """Eight unrolls, the mazes and the network that they are of."""
  actor, environment, network = make()
  for _ in range(8):
    assert actor.step()
  assert writer.items.keys() == {tables.QUEUE}
  return writer.items[tables.QUEUE], environment, network


def _join(unrolls, name):
  return np.concatenate([getattr(unroll, name) for unroll in unrolls])


def test_unrolls_overlap_by_the_bootstrap(unrolls):
  for unroll, following in zip(unrolls[0], unrolls[0][1:]):
    tree.map_structure(
      lambda x, y: np.testing.assert_array_equal(x[-1], y[0]),
      unroll.inputs,
      following.inputs,
    )


def test_unrolls_contain_the_time_steps(unrolls):
  unrolls, mazes, _ = unrolls
  step_type = mazes.history('step_type')
  for kind in (FIRST, MID, LAST):
    assert (step_type == kind).sum() > 3
  for name, expected in (
    ('action', mazes.actions),
    ('reward', mazes.history('reward')[1:]),
    ('discount', mazes.history('discount')[1:]),
    ('is_last', step_type[:-1] == LAST),
  ):
    np.testing.assert_array_equal(_join(unrolls, name), expected)
  # Each step of the inputs but the bootstraps.
  observation, action, reward, start = (
    np.concatenate([leaf[:-1] for leaf in leaves])
    for leaves in zip(*[unroll.inputs for unroll in unrolls])
  )
  np.testing.assert_array_equal(observation, mazes.history('observation')[:-1])
  np.testing.assert_array_equal(reward, mazes.history('reward')[:-1])
  np.testing.assert_array_equal(start, step_type[:-1] == FIRST)
  led_here = np.concatenate([[[0] * 3], mazes.actions[:-1]])
  np.testing.assert_array_equal(action[~start], led_here[~start])


def test_the_network_reproduces_the_behaviour_policy(unrolls):
  unrolls, _, network = unrolls
  following = network.initial_state(3)
  for unroll in unrolls:
    state = tree.map_structure(tf.constant, unroll.actor_state)
    tree.map_structure(
      lambda x, y: np.testing.assert_allclose(x, y, atol=1e-5),
      state,
      following,
    )
    inputs = tree.map_structure(lambda x: tf.constant(x[:-1]), unroll.inputs)
    outputs, following = network.unroll(inputs, state)
    np.testing.assert_allclose(
      outputs.policy, unroll.behaviour_policy, rtol=1e-5, atol=1e-5
    )


def test_the_state_matters(unrolls):
  unroll, network = unrolls[0][1], unrolls[2]
  inputs = tree.map_structure(lambda x: tf.constant(x[:-1]), unroll.inputs)
  outputs, _ = network.unroll(inputs, network.initial_state(3))
  assert np.abs(outputs.policy - unroll.behaviour_policy).max() > 1e-3


def test_seeds_reproduce(make, writer):
  for seed in (1, 1, 2):
    actor, *_ = make(seed)
    actor.step()
  actions = [unroll.action for unroll in writer.items[tables.QUEUE]]
  np.testing.assert_array_equal(actions[0], actions[1])
  assert (actions[0] != actions[2]).any()


def _five_mazes(seed):
  return i_maze.IMaze(size=5, limit=6, random_start=True, seed=seed)


def test_halves_of_workers_give_the_same_unrolls(make_networks, writer):
  rows, sources = [], []
  for environment in (
    stacking.stack(_five_mazes, 5, seed=4),
    workers.Workers(_five_mazes, 5, seed=4, workers=2),
  ):
    network = make_networks().actor
    sources.append(Source(network))
    adder = unroll_adder.UnrollAdder(writer, LENGTH)
    like = network.trainable_variables
    loop = acting.UnrollLoop(
      environment,
      acting.RecurrentActor(
        network, 0, adder, pulled.PulledParameters(sources[-1], 'actor', like)
      ),
      adder,
      LENGTH,
      logger=loggers.InMemoryLogger(),
      stagger=1,
      observer_factory=lambda: [_Steps()],
    )
    for _ in range(8):
      assert loop.step()
      for variable in network.trainable_variables:
        variable.assign(0.9 * variable)
    rows.append(loop._logger.data)
    environment.close()
    assert adder.unrolls_written == 8
  whole, halves = np.split(np.array(writer.items[tables.QUEUE], object), 2)
  for one, other in zip(whole, halves, strict=True):
    tree.map_structure(
      lambda x, y: np.testing.assert_allclose(x, y, atol=1e-5),
      types.Unroll(*one),
      types.Unroll(*other),
    )
  assert sources[0].pulls == sources[1].pulls
  for one, other in zip(*rows, strict=True):
    assert one.keys() == other.keys()
    for name, value in one.items():
      np.testing.assert_allclose(value, other[name], rtol=1e-6)


class _Counting(acting.RecurrentActor):
  """Counts the selected actions."""

  actions = 0

  def select_action(self, observation):
    action = super().select_action(observation)
    self.actions += len(action)
    return action


class _Doubling(unroll_adder.UnrollAdder):
  """Doubles rewards."""

  def add(self, action, next_timestep, extras=()):
    reward = 2 * next_timestep.reward + 1
    super().add(action, next_timestep._replace(reward=reward), extras)


def test_halves_are_of_the_subclass(make_networks, writer):
  environment = workers.Workers(_five_mazes, 3, seed=4, workers=2)
  adder = _Doubling(writer, LENGTH)
  loop = acting.UnrollLoop(
    environment, _Counting(make_networks().actor, 0, adder), adder, LENGTH
  )
  assert loop.step()
  environment.close()
  (unroll,) = writer.items[tables.QUEUE]
  assert unroll.reward.shape[1] == 3
  assert [part.actor.actions for part in loop._parts] == [
    2 * LENGTH,
    LENGTH,
  ]
  assert (unroll.reward >= 1).all()


def test_stamps(make, writer):
  counter = counting.Counter()
  actor, *_ = make(stream=7, counter=counter)
  for _ in range(3):
    counter.increment(learner_updates=10)
    actor.step()
  stamps = [unroll.stamp for unroll in writer.items[tables.QUEUE]]
  assert all(np.asarray(x).dtype == np.int64 for stamp in stamps for x in stamp)
  assert [tuple(map(int, stamp)) for stamp in stamps] == [
    (7, 0, 0),
    (7, 1, 10),
    (7, 2, 20),
  ]


def test_frames_exclude_resets(make):
  counter = counting.Counter()
  actor, mazes, _ = make(counter=counter)
  for number in range(1, 9):
    actor.step()
    step_type = mazes.history('step_type')
    assert (step_type == FIRST)[1:].sum() or number < 3
    assert counter.get_counts() == {
      'frames': 3 * LENGTH * number - (step_type == FIRST)[1:].sum(),
      'episodes': (step_type == LAST).sum(),
    }


def test_truncated_episodes_are_in_unrolls_but_not_counted(make, writer):
  counter = counting.Counter()
  loop, mazes, _ = make(counter=counter, stagger=2)
  for _ in range(8):
    loop.step()
  unrolls = writer.items[tables.QUEUE]
  is_last = _join(unrolls, 'is_last')
  own = mazes.history('step_type')[:-1] == LAST
  cut = is_last & ~own
  assert cut.any() and cut.sum(0).max() == 1 and (is_last >= own).all()
  start = np.concatenate([u.inputs.start_of_episode[:-1] for u in unrolls])
  np.testing.assert_array_equal(start[1:], is_last[:-1])
  # The step before a truncation (`is_last`) keeps its discount.
  discount = _join(unrolls, 'discount')
  np.testing.assert_array_equal(discount[:-1][cut[1:]], 1.0)
  frames = counter.get_counts()
  assert frames['frames'] == (~is_last).sum()
  newest = (mazes.history('step_type')[-1] == LAST).sum()
  assert frames['episodes'] == own.sum() + newest


def test_parameters_are_pulled_once_a_step(make, make_networks):
  source = Source(make_networks().actor)
  actor, *_ = make(source=source)
  before = source.pulls
  for number in range(1, 4):
    actor.step()
    assert source.pulls - before == number * LENGTH


def test_the_pulled_parameters_act(make, make_networks, writer):
  source = Source(make_networks(seed=5).actor)
  actor, _, network = make(source=source)
  for _ in range(3):
    actor.step()
    unroll = writer.items[tables.QUEUE][-1]
    state = tree.map_structure(tf.constant, unroll.actor_state)
    inputs = tree.map_structure(lambda x: tf.constant(x[:-1]), unroll.inputs)
    of_source, of_network = (
      n.unroll(inputs, state)[0].policy for n in (source.network, network)
    )
    # The last pull of an unroll is for the next one's first step.
    np.testing.assert_allclose(of_source, unroll.behaviour_policy, atol=1e-5)
    assert np.abs(of_network - unroll.behaviour_policy).max() > 1e-3
    for variable in source.network.trainable_variables:
      variable.assign_add(0.1 * np.random.randn(*variable.shape))
    actor._actor.update(wait=True)


def test_the_log(make, make_networks):
  counter = counting.Counter()
  logger = loggers.InMemoryLogger()
  source = Source(make_networks().actor)
  actor, mazes, _ = make(source=source, counter=counter, logger=logger)
  for number in range(8):
    counter.increment(learner_updates=2)
    actor.step()
    # Episodes that ended in this unroll, from the beginning of each.
    returns, lengths = [], []
    ended = mazes.history('step_type') == LAST
    for t, maze in np.argwhere(ended):
      if t > number * LENGTH:
        begun = max(np.flatnonzero(ended[:t, maze]), default=-1) + 1
        returns.append(mazes.history('reward')[begun : t + 1, maze].sum())
        lengths.append(t - begun)
    row = logger.data[-1]
    for name, values in (('return', returns), ('episode_length', lengths)):
      expected = np.mean(values) if values else np.nan
      np.testing.assert_allclose(row[name], expected, rtol=1e-6)
    assert row['frames'] == counter.get_counts()['frames']
    assert row['episodes'] == ended.sum()
    assert row['policy_lag_actor_updates'] == LENGTH
    assert row['policy_lag_learner_updates'] == 2
  assert len(logger.data) == 8


def test_frames_that_were_not_written_are_not_counted(make, writer):
  counter = counting.Counter()
  actor, *_ = make(counter=counter)
  assert actor.step()
  counts = counter.get_counts()
  writer.stopped = True
  assert not actor.step()
  assert counter.get_counts() == counts
  writer.stopped = False
  assert actor.step()
  sequences = [int(u.stamp.sequence) for u in writer.items[tables.QUEUE]]
  assert sequences == [0, 1]


@pytest.mark.parametrize('stopped, unrolls', [(False, 2), (True, 0)])
def test_run(make, writer, stopped, unrolls):
  actor, *_ = make()
  writer.stopped = stopped
  answers = iter([False, False, True])
  actor.run(lambda: next(answers))
  assert len(writer.items.get(tables.QUEUE, [])) == unrolls


def test_a_single_environment_in_acmes_loop(make_networks, writer):
  network = make_networks().actor
  adder = unroll_adder.UnrollAdder(writer, LENGTH)
  actor = acting.RecurrentActor(network, 3, adder)
  maze = i_maze.IMaze(size=5, limit=6)
  loop = acme.EnvironmentLoop(maze, actor, logger=loggers.NoOpLogger())
  lengths = [loop.run_episode()['episode_length'] for _ in range(12)]
  unrolls = writer.items[tables.QUEUE]
  start = np.concatenate([u.inputs.start_of_episode[:-1, 0] for u in unrolls])
  is_last = _join(unrolls, 'is_last')[:, 0]
  # Each episode is its steps, and one more to come to the next.
  begins = np.cumsum([0] + [length + 1 for length in lengths])
  np.testing.assert_array_equal(
    np.flatnonzero(start), begins[begins < len(start)]
  )
  ends = begins[1:] - 1
  np.testing.assert_array_equal(
    np.flatnonzero(is_last), ends[ends < len(start)]
  )
  # The network's policies on the unrolls are the behaviour policies.
  following = network.initial_state(1)
  for unroll in unrolls:
    state = tree.map_structure(tf.constant, unroll.actor_state)
    inputs = tree.map_structure(lambda x: tf.constant(x[:-1]), unroll.inputs)
    for begin in (state, following):
      outputs, after = network.unroll(inputs, begin)
      played = ~unroll.is_last[:, 0]
      np.testing.assert_allclose(
        outputs.policy[played], unroll.behaviour_policy[played], atol=1e-5
      )
    following = after


def test_acting_without_recording(make_networks):
  actor = acting.RecurrentActor(make_networks().actor, 0)
  maze = i_maze.IMaze(size=5, limit=6)
  loop = acme.EnvironmentLoop(maze, actor, logger=loggers.NoOpLogger())
  assert loop.run_episode()['episode_length'] <= 6
  assert actor.age == 0


class _Steps(observers.EnvLoopObserver):
  """Counts the steps of an episode; keeps all that it is shown."""

  def __init__(self):
    self.seen = []

  def observe_first(self, env, timestep):
    self.seen.append((timestep, None))
    self._steps = 0

  def observe(self, env, timestep, action):
    assert env.action_spec().num_values == 4
    self.seen.append((timestep, action))
    self._steps += 1

  def get_metrics(self):
    return {'steps_observed': self._steps}


@pytest.mark.parametrize('stagger', [None, 0])
def test_each_observer_observes_one_environment(make, stagger):
  made = []

  def factory():
    made.append(_Steps())
    return [made[-1]]

  logger = loggers.InMemoryLogger()
  loop, mazes, _ = make(logger=logger, stagger=stagger, observers=factory)
  for _ in range(6):
    assert loop.step()
  assert len(made) == 3
  for i, observer in enumerate(made):
    steps, actions = zip(*observer.seen)
    assert len(steps) == 6 * LENGTH + 1
    observations = [t.observation[i] for t in mazes.timesteps]
    np.testing.assert_array_equal([s.observation for s in steps], observations)
    for step, action, taken in zip(steps[1:], actions[1:], mazes.actions):
      assert action is None if step.first() else action == taken[i]
  # The mean of what they say is of the episodes that the loop reports.
  rows = [row for row in logger.data if 'steps_observed' in row]
  assert len(rows) > 2
  for row in rows:
    assert row['steps_observed'] == row['episode_length']

"""The learner on synthetic batches."""

import itertools
import threading

import acme
from acme import specs
from acme.utils import counting
from acme.utils import loggers
import numpy as np
import pytest
import tensorflow as tf
import tree

from agents.actor_critic import learning
from agents.actor_critic import networks
from agents.actor_critic import objectives
from ald_acme import optimizers
from ald_acme import types
from ald_acme.environments.tasks import i_maze
from ald_acme.parameters import variables as parameters
from ald_acme.replay import prefetch
from ald_acme.runs import checkpoints

LOSSES = ['vtrace', 'vmpo']


@pytest.fixture
def make_item(make_unroll, tensors):
  """Makes an item of the `learner` table."""

  def make(seed=0, change=lambda unroll: None, state=None, **kwargs):
    unroll = make_unroll(seed, **kwargs)
    change(unroll)
    # Most tests have an LSTM learn: its graphs are made in no time.
    return tensors(learning.LearnerItem(unroll, state or unroll.actor_state))

  return make


@pytest.fixture
def make_learner(make_networks, make_config):
  """Makes a learner, and its log."""

  def make(batches, network=None, counter=None, directory=None, **kwargs):
    logger = loggers.InMemoryLogger()
    config, network = make_config(**kwargs), network or make_networks().actor
    learner = learning.ActorCriticLearner(
      network,
      iter(batches),
      objectives.make(network, config),
      optimizers.FlatAdam(
        sum(v.shape.num_elements() for v in network.trainable_variables),
        config.learner_learning_rate,
        config.learner_gradient_norm,
      ),
      counter or counting.Counter(),
      logger,
      checkpoint_directory=directory,
      average_decay=kwargs.get('learner_average_decay', 0.0),
    )
    return learner, logger.data

  return make


def _assert_same(one, other, **tolerance):
  tree.map_structure(
    lambda x, y: np.testing.assert_allclose(x, y, **tolerance), one, other
  )


@pytest.mark.parametrize('loss', LOSSES)
def test_losses_fall_on_one_batch(make_learner, make_item, loss):
  batch = [make_item(0), make_item(1)]
  learner, log = make_learner(
    itertools.repeat(batch),
    loss=loss,
    discount=0.0,  # The values' targets stand still.
    value_cost=1.0,
    regulariser_cost=1.0,
  )
  learner.run(80)
  for name, share in (('loss', 0.5), ('value_loss', 0.2), ('kl_to_actor', 0.9)):
    values = [row[name] for row in log]
    assert np.isfinite(values).all()
    assert values[-1] < share * values[0], name


@pytest.mark.parametrize('loss', LOSSES)
def test_learns_the_rewarded_action(
  make_learner, make_item, make_networks, loss
):
  def pay_for_2(unroll):
    unroll.is_last[:] = False
    unroll.inputs.start_of_episode[:] = False
    unroll.discount[:] = 0.0
    unroll.reward[:] = unroll.action == 2
    unroll.behaviour_policy[:] = 0.0

  batches = [[make_item(seed, pay_for_2)] for seed in range(20)]
  network = make_networks().actor
  learner, log = make_learner(
    itertools.cycle(batches),
    network,
    loss=loss,
    regulariser_cost=0.0,
    initial_temperature=0.1,  # Greedy, and with a loose leash.
    initial_alpha=0.1,
    clip_epsilon=100.0,  # The data stays as it is while the policy moves.
  )

  def odds():
    (item,) = batches[0]
    outputs, _ = network.unroll(item.unroll.inputs, item.learner_state)
    return np.mean(tf.nn.softmax(outputs.policy)[..., 2])

  assert odds() < 0.5
  learner.run(100)
  assert odds() > 0.9
  assert log[-1]['value_loss'] < 0.5 * log[0]['value_loss']


def test_the_offset_of_the_value_follows_growing_returns(
  make_learner, make_item
):
  def pay_forever(unroll):
    unroll.is_last[:] = False
    unroll.discount[:] = 1.0
    unroll.reward[:] = 1.0  # The return is 100: values bootstrap from too few.

  biases, losses = [], []
  for rate in (0.0, 0.1):
    batches = [[make_item(0, pay_forever)]] * 200
    learner, log = make_learner(batches, value_offset_rate=rate)
    learner.run()
    biases.append(abs(log[-1]['value_bias'] * log[-1]['return_scale']))
    losses.append(log[50]['value_loss'])
  assert biases[1] < 0.5 * biases[0]
  assert losses[1] < 0.1 * losses[0]  # It excludes the mean error.


@pytest.mark.parametrize('loss', LOSSES)
def test_learns_the_rewarded_numbers(
  make_learner, make_unroll, make_config, tensors, loss
):
  """Forces near 2 of -1 to 3, and gear 1 of 3, in one nested action."""
  spec = {
    'force': specs.BoundedArray((2,), np.float32, -1, 3),
    'gear': specs.DiscreteArray(3),
  }
  maze = acme.make_environment_spec(i_maze.IMaze(size=5))
  tf.random.set_seed(1)  # V-MPO's M-step on stale data is sensitive to it.
  network = networks.make_network(
    'lstm', maze._replace(actions=spec), make_config().networks, 'actor'
  )
  distribution = network.distribution

  def item(seed):
    unroll = make_unroll(seed)
    shape = unroll.reward.shape
    policy = np.zeros((*shape, distribution.num_parameters), np.float32)
    sample = distribution.sample(policy, np.random.default_rng(seed))
    action = distribution.to_environment(sample)
    error = np.abs(action['force'] - 2.0).mean(-1)
    reward = (action['gear'] == 1) - error
    unroll = unroll._replace(
      inputs=unroll.inputs._replace(
        action=np.concatenate([sample[:1], sample]),
        start_of_episode=np.zeros_like(unroll.inputs.start_of_episode),
      ),
      action=sample,
      reward=reward.astype(np.float32),
      discount=np.zeros_like(unroll.discount),
      is_last=np.zeros_like(unroll.is_last),
      behaviour_policy=policy,
    )
    return tensors(learning.LearnerItem(unroll, unroll.actor_state))

  batches = [[item(10 * i + j) for j in range(10)] for i in range(10)]
  learner, log = make_learner(
    itertools.cycle(batches),
    network,
    loss=loss,
    regulariser_cost=0.0,
    initial_temperature=0.1,
    initial_alpha=0.1,
    clip_epsilon=100.0,
  )
  learner.run(150)
  first = batches[0][0]
  outputs, _ = network.unroll(first.unroll.inputs, first.learner_state)
  action = distribution.to_environment(
    distribution.mode(outputs.policy.numpy())
  )
  assert np.abs(action['force'] - 2.0).mean() < 0.4  # From 1.
  assert np.mean(action['gear'] == 1) > 0.9
  regions = {name for name in log[-1] if name.startswith('alpha')}
  expected = {'alpha', 'alpha_mean', 'alpha_covariance'}
  assert regions == (expected if loss == 'vmpo' else set())


def test_the_regulariser_keeps_the_learner_near_the_actor(
  make_learner, make_item
):
  final = []
  for cost in (0.0, 10.0):
    learner, log = make_learner(
      itertools.repeat([make_item()]), regulariser_cost=cost
    )
    learner.run(40)
    final.append(log[-1]['kl_to_actor'])
  assert final[1] < 0.5 * log[0]['kl_to_actor']
  assert final[1] < 0.5 * final[0]


@pytest.mark.parametrize('loss', LOSSES)
def test_masked_steps_do_not_matter(make_learner, make_item, loss):
  def updated(change):
    learner, _ = make_learner([[make_item(0, change)]], loss=loss)
    learner.step()
    return learner.save()

  def of_steps(masked):
    def change(unroll):
      assert unroll.is_last.any()
      chosen = unroll.is_last == masked
      unroll.action[chosen] = (unroll.action[chosen] + 1) % 4
      unroll.reward[chosen] = 1e6
      unroll.discount[chosen] = 0.3
      unroll.behaviour_policy[chosen] = [1e3, -1e3, 0, 7]

    return change

  expected = updated(lambda unroll: None)
  _assert_same(updated(of_steps(masked=True)), expected, rtol=0, atol=0)
  others = updated(of_steps(masked=False))
  assert not np.allclose(others['variables'], expected['variables'])


@pytest.mark.parametrize('loss', LOSSES)
def test_a_batch_of_two_equals_one_of_all_environments(
  make_learner, make_item, loss
):
  items = [make_item(seed) for seed in (0, 1)]

  def join(path, *leaves):
    if not leaves[0].shape.rank:
      return leaves[0]
    return tf.concat(leaves, axis=int(path[0] != 'learner_state'))

  # States of actors, alone among the rest, have the environments first.
  joined = tree.map_structure_with_path(
    join,
    *[i._replace(unroll=i.unroll._replace(actor_state=())) for i in items],
  )
  states = []
  for batch in (items, [joined]):
    learner, _ = make_learner([batch], loss=loss)
    learner.step()
    states.append(learner.save())
  _assert_same(*states, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
  'loss, role', [('vtrace', 'actor'), ('vmpo', 'actor'), ('vmpo', 'learner')]
)
def test_continues_from_a_saved_state(
  make_learner, make_item, make_networks, tmp_path, loss, role
):
  network, another = (getattr(make_networks(seed), role) for seed in (0, 1))
  batches = [
    [make_item(seed, state=network.initial_state(3))] for seed in range(6)
  ]
  kwargs = {
    'loss': loss,
    'target_update_period': 2,
    'learner_average_decay': 0.9,
  }
  learner, log = make_learner(batches, network, **kwargs)
  learner.run(3)
  folder = checkpoints.CheckpointFolder(str(tmp_path))
  folder.save({'learner': learner.save()})
  learner.run()

  again, log_again = make_learner(batches[3:], another, **kwargs)
  again.restore(folder.latest().state['learner'])
  again.run()
  _assert_same(again.save(), learner.save(), rtol=0, atol=0)
  assert again.save()['updates'] == 6
  assert [row['loss'] for row in log_again] == [row['loss'] for row in log[3:]]


def test_a_learner_is_restored(
  make_learner, make_item, make_networks, tmp_path
):
  """As a restarted node: another learner, another network, the same folder."""
  directory, counters = str(tmp_path / 'new'), []
  learners = []
  for seed, updates in ((0, 3), (1, 2), (2, 0)):
    counters.append(counting.Counter())
    learner, _ = make_learner(
      [[make_item(seed)]] * updates,
      make_networks(seed).actor,
      counters[-1],
      directory,
      loss='vmpo',
    )
    if learners:
      _assert_same(learner.save(), learners[-1].save(), rtol=0, atol=0)
    learner.run()
    learners.append(learner)
  assert [int(x.save()['updates']) for x in learners] == [3, 5, 5]
  counts = [counter.get_counts()['learner_updates'] for counter in counters]
  assert counts == [3, 5, 5] and {type(x) for x in counts} == {int}


def test_checkpoints_of_another_folder_are_rejected(make_learner, tmp_path):
  folder = checkpoints.CheckpointFolder(str(tmp_path))
  folder.save({'counts': {}, 'other': {'x': 1}})
  with pytest.raises(ValueError, match=r"has no 'learner': .* \(other\)"):
    make_learner([], directory=str(tmp_path))
  with open(folder.paths()[0], 'w') as file:
    file.write('damaged')
  with pytest.raises(ValueError, match=r'no checkpoint in .* can be read'):
    make_learner([], directory=str(tmp_path))


def test_non_trainable_variables_are_rejected(make_learner, make_networks):
  network = make_networks().actor
  network.statistics = tf.Variable(0.0, trainable=False, name='moving_mean')
  with pytest.raises(ValueError, match=r'trainable: moving_mean:0\. '):
    make_learner([], network)


def test_a_variable_without_gradient_is_named(
  make_learner, make_networks, make_item
):
  network = make_networks().actor
  network.unused = tf.Variable([1.0], name='forgotten')
  learner, _ = make_learner([[make_item()]], network)
  with pytest.raises(ValueError, match=r'no gradient for forgotten:0: '):
    learner.step()


def test_prefetched_batches_give_the_same_parameters(make_learner, make_item):
  vectors = []
  for prefetched in (False, True):
    batches = iter([[make_item(seed)] for seed in (0, 1, 2)])
    if prefetched:
      batches = prefetch.Prefetched(batches, 'CPU:0')
    learner, log = make_learner(batches)
    learner.run()
    assert len(log) == 3
    vectors.append(learner.get_vector('learner', None)[2])
  np.testing.assert_array_equal(*vectors)


@pytest.mark.parametrize('loss', LOSSES)
def test_a_saved_state_does_not_change(make_learner, make_item, loss):
  learner, _ = make_learner([[make_item()]] * 3, loss=loss)
  learner.step()
  state = learner.save()
  before = tree.map_structure(np.array, state)
  learner.run()
  _assert_same(state, before, rtol=0, atol=0)


@pytest.mark.parametrize('loss, other', [LOSSES, LOSSES[::-1]])
def test_states_of_another_loss_are_refused(make_learner, loss, other):
  learner, _ = make_learner([], loss=loss)
  with pytest.raises(ValueError, match=f"received '{other}'; resume"):
    make_learner([], loss=other)[0].restore(learner.save())


def test_states_of_other_sizes_are_refused(
  make_learner, make_networks, make_config
):
  sizes = make_config().networks
  sizes.lstm += 1
  learner, _ = make_learner([], make_networks(networks=sizes).actor)
  with pytest.raises(ValueError, match='other sizes'):
    make_learner([])[0].restore(learner.save())


def test_variables_by_name(make_learner, make_item, make_networks):
  network = make_networks().actor
  learner, _ = make_learner([[make_item()]], network)
  learner.step()
  updates, variables = learner.get_variables(['updates', 'learner'])
  assert updates == [1]
  assert np.asarray(updates[0]).dtype == np.int64
  assert len(variables) == len(network.trainable_variables)
  for one, other in zip(variables, network.trainable_variables):
    np.testing.assert_array_equal(one, other.numpy())
  swapped = learner.get_variables(['learner', 'updates'])
  _assert_same(swapped, [variables, updates])
  with pytest.raises(KeyError, match=r"serves learner and .* 'actor'"):
    learner.get_variables(['actor'])
  version, count, vector = learner.get_vector('learner', None)
  arrays = [x.ravel() for x in variables]
  np.testing.assert_array_equal(vector, np.concatenate(arrays))
  assert count == 1 and type(version) is int
  assert learner.get_vector('learner', version) == (version, 1, None)
  learner.restore(learner.save())  # Perhaps of another run.
  assert learner.get_vector('learner', version)[2] is not None
  with pytest.raises(KeyError, match=r"serves learner and .* 'actor'"):
    learner.get_vector('actor', version)


def test_publishes_the_average_of_its_parameters(
  make_learner, make_item, make_networks
):
  network = make_networks().actor
  learner, _ = make_learner(
    [[make_item(seed)] for seed in range(4)], network, learner_average_decay=0.2
  )
  flat = parameters.Variables(network.trainable_variables)
  average = flat.read_flat()
  for n in range(1, 5):
    learner.step()
    kept = min(0.2, n / (n + 9))
    average = kept * average + (1 - kept) * flat.read_flat()
    (pulled,) = learner.get_variables(['learner'])
    pulled = np.concatenate([x.ravel() for x in pulled])
    np.testing.assert_allclose(pulled, average, rtol=1e-4, atol=1e-6)
    assert not np.allclose(pulled, flat.read_flat(), rtol=1e-4, atol=1e-6)
  state = learner.save()
  np.testing.assert_array_equal(state['variables'], pulled)
  np.testing.assert_array_equal(state['newest'], flat.read_flat())


def test_restores_checkpoints_without_an_average(make_learner, make_item):
  learner, _ = make_learner([[make_item()]])
  learner.step()
  state = learner.save()
  again, _ = make_learner([], learner_average_decay=0.9)
  again.restore({k: v for k, v in state.items() if k != 'newest'})
  _assert_same(again.save(), state, rtol=0, atol=0)


def test_resumes_with_another_decay(make_learner, make_item):
  learner, _ = make_learner([[make_item()]] * 2, learner_average_decay=0.2)
  learner.run()
  state = learner.save()
  assert not np.array_equal(state['variables'], state['newest'])
  again, _ = make_learner([], learner_average_decay=0.0)
  again.restore(state)
  np.testing.assert_array_equal(again.save()['variables'], state['newest'])
  again, _ = make_learner([], learner_average_decay=0.5)
  again.restore(state)
  _assert_same(again.save(), state, rtol=0, atol=0)


def test_the_target_network_is_copied_periodically(make_learner, make_item):
  learner, log = make_learner(
    [[make_item(seed)] for seed in range(7)],
    loss='vmpo',
    target_update_period=3,
  )
  targets, variables = [], []
  for _ in range(8):
    state = learner.save()
    targets.append(state['objective']['target'])
    variables.append(state['variables'])
    learner.run(1)
  for update, source in enumerate([0, 0, 0, 3, 3, 3, 6, 6]):
    np.testing.assert_array_equal(targets[update], variables[source])
  assert not np.array_equal(variables[3], variables[0])
  # The policies are one just after a copy, and then they part.
  np.testing.assert_allclose([log[i]['kl_to_target'] for i in (0, 3, 6)], 0)
  assert min(log[i]['kl_to_target'] for i in (1, 2, 4, 5)) > 1e-6


@pytest.mark.parametrize('initial', [0.1, 20.0, 1000.0])
def test_duals_start_as_configured(make_learner, make_item, initial):
  learner, log = make_learner(
    [[make_item()]],
    loss='vmpo',
    initial_temperature=initial,
    initial_alpha=2 * initial,
  )
  learner.step()
  assert log[0]['temperature'] == pytest.approx(initial, rel=1e-5)
  assert log[0]['alpha'] == pytest.approx(2 * initial, rel=1e-5)


@pytest.mark.parametrize('loss', LOSSES)
def test_stops_at_a_loss_that_is_not_finite(make_learner, make_item, loss):
  def spoil(unroll):
    assert not unroll.is_last[0, 0]
    unroll.reward[0, 0] = np.inf

  learner, log = make_learner(
    [[make_item()], [make_item(0, spoil)], [make_item()]], loss=loss
  )
  good = learner.save()
  with pytest.raises(FloatingPointError, match=r'learner update 2.*value_loss'):
    learner.run()
  assert len(log) == 1
  assert learner._counter.get_counts() == {'learner_updates': 1}
  # Others may ask for seconds yet: they must not get, or save, what is broken.
  (variables,) = learner.get_variables(['learner'])
  for array in variables:
    assert np.isfinite(array).all()
  with pytest.raises(FloatingPointError, match='NaN or infinite'):
    learner.save()
  learner.restore(good)
  assert learner.save()['updates'] == 0


def test_the_log(make_learner, make_item):
  # Learner updates that had been made when the unrolls of a batch were begun.
  ages = [(0, 0), (0, 1), (0, 1)]
  learner, log = make_learner(
    [[make_item(learner_updates=age) for age in batch] for batch in ages]
  )
  learner.run()
  assert [row['learner_updates'] for row in log] == [1, 2, 3]
  assert [row['policy_lag'] for row in log] == [0, 0.5, 1.5]
  assert learner._counter.get_counts() == {'learner_updates': 3}
  assert all(np.isfinite(list(row.values())).all() for row in log)


def test_an_unknown_lag_is_nan(make_learner, make_item):
  batch = [make_item(learner_updates=age) for age in (types.UNKNOWN, 0)]
  learner, log = make_learner([batch])
  learner.run()
  assert np.isnan(log[0]['policy_lag'])


@pytest.mark.parametrize('batches, steps, done', [(3, None, 3), (3, 2, 2)])
def test_run(make_learner, make_item, batches, steps, done):
  learner, log = make_learner([[make_item()]] * batches)
  learner.run(steps)
  assert len(log) == done


class Own(objectives.VTrace):
  """An auxiliary loss with a variable and a state of its own."""

  def __init__(self, network, config):
    super().__init__(network, config)
    self.variables, self.learning_rate = [tf.Variable(3.0)], 0.5
    self.updates = []

  def loss_of(self, evaluated):
    loss, metrics = super().loss_of(evaluated)
    extra = tf.square(self.variables[0])
    return loss + extra, {**metrics, 'extra': extra}

  def after_update(self, updates):
    self.updates.append(updates)

  def save(self):
    return {**super().save(), 'own': self.variables[0].numpy()}

  def restore(self, state):
    super().restore(state)
    self.variables[0].assign(state['own'])


def _build(network, batches, config, objective):
  size = sum(v.shape.num_elements() for v in network.trainable_variables)
  logger = loggers.InMemoryLogger()
  optimizer = optimizers.FlatAdam(size, config.learner_learning_rate)
  learner = learning.ActorCriticLearner(
    network, iter(batches), objective, optimizer, logger=logger
  )
  return learner, logger.data


def test_a_custom_objective(make_networks, make_config, make_item):
  config, network = make_config(), make_networks().actor
  objective = Own(network, config)
  learner, log = _build(network, [[make_item()]] * 3, config, objective)
  learner.run()
  assert objective.updates == [1, 2, 3]
  extras = [row['extra'] for row in log]
  np.testing.assert_allclose(extras, [9.0, 6.25, 4.0], rtol=1e-2)
  again = Own(network, config)
  other, log = _build(network, [[make_item()]], config, again)
  other.restore(learner.save())
  other.run()
  assert again.updates == [4]
  np.testing.assert_allclose(log[0]['extra'], 2.25, rtol=0.05)
  # The multiplier's optimiser went on as well.
  assert other.save()['dual_optimizer']['step'] == 4


def test_pulls_do_not_wait_for_gradients(make_networks, make_config, make_item):
  entered, go_on = threading.Event(), threading.Event()

  class Slow(objectives.VTrace):
    def loss(self, unroll, state):
      entered.set()
      go_on.wait(60)
      return super().loss(unroll, state)

  config, network = make_config(), make_networks().actor
  learner, _ = _build(network, [[make_item()]], config, Slow(network, config))
  before = tree.map_structure(np.array, learner.get_variables(['learner']))
  pulled = []
  updating = threading.Thread(target=learner.step, daemon=True)
  updating.start()
  assert entered.wait(60)  # In the midst of the first update.
  pulling = threading.Thread(
    target=lambda: pulled.append(learner.get_variables(['learner', 'updates'])),
    daemon=True,
  )
  pulling.start()
  pulling.join(10)
  go_on.set()
  updating.join(60)
  assert pulled, 'the pull waited for the gradient'
  variables, updates = pulled[0]
  _assert_same([variables], before, rtol=0, atol=0)
  assert updates == [0]
  (after,), newest = learner.get_variables(['updates', 'learner'])
  assert after == 1
  assert not np.array_equal(newest[0], variables[0])
  with pytest.raises(ValueError, match='read-only'):
    variables[0][...] = 0.0

"""Distillers on synthetic batches and shared parameters."""

import contextlib
import itertools

from acme.utils import counting
from acme.utils import loggers
import numpy as np
import pytest
import tensorflow as tf
import tree

from agents.ald import distilling
from agents.ald import learner_runner
from ald_acme.parameters import shared as shared_parameters

FEATURES = 6


@pytest.fixture
def make_item(make_unroll, tensors):
  """Makes an item of the `distill` table."""

  def make(seed=0, change=lambda item: None, teacher=0):
    unroll = make_unroll(seed)
    rng = np.random.RandomState(seed + 1000)
    targets = learner_runner.Targets(
      policy=rng.randn(*unroll.behaviour_policy.shape).astype(np.float32),
      value=rng.randn(*unroll.action.shape).astype(np.float32),
      features=rng.randn(*unroll.action.shape, FEATURES).astype(np.float32),
      learner_updates=np.int64(teacher),
    )
    item = learner_runner.DistillItem(unroll, targets)
    change(item)
    return tensors(item)

  return make


@pytest.fixture
def make_store(make_networks):
  """Makes the actor parameters of a network."""

  def make(num_workers=2):
    variables = make_networks().actor.trainable_variables
    return shared_parameters.ActorParameters(
      [v.numpy() for v in variables], num_workers
    )

  return make


@pytest.fixture
def make_distiller(make_networks, make_config):
  """Makes a worker on a store's parameters, and its log."""
  with contextlib.ExitStack() as stack:

    def make(parameters, batches, worker=0, counter=None, **kwargs):
      shared = stack.enter_context(
        contextlib.closing(
          shared_parameters.SharedParameters.attach(parameters.handle())
        )
      )
      logger = loggers.InMemoryLogger()
      distiller = distilling.Distiller(
        make_networks(
          seed=1
        ).actor,  # Scratch space: what it holds is not read.
        shared,
        iter(batches),
        make_config(**kwargs),
        worker,
        counter,
        logger,
      )
      return distiller, logger.data

    yield make


def _actor(parameters):
  """The flat parameters and their age."""
  state = parameters.save()
  return state['variables'], state['updates']


def _kl(p_logits, q_logits, mask):
  """Mean KL(p || q) in numpy."""
  p, q = (
    np.exp(x) / np.exp(x).sum(-1, keepdims=True)
    for x in (np.float64(p_logits), np.float64(q_logits))
  )
  return (p * np.log(p / q)).sum(-1)[mask].mean()


@pytest.mark.parametrize('direction', ['reverse', 'forward'])
def test_the_actor_approaches_the_learner(
  make_store, make_distiller, make_item, make_networks, direction
):
  item, actor = make_item(), make_networks().actor
  unroll, targets = item
  inputs = tf.nest.map_structure(lambda x: x[:-1], unroll.inputs)
  outputs, _ = actor.unroll(inputs, unroll.actor_state)
  pair = [outputs.policy.numpy(), targets.policy.numpy()]
  mask = ~unroll.is_last.numpy()
  expected = _kl(*(pair if direction == 'reverse' else pair[::-1]), mask)
  error = targets.value.numpy() - outputs.value.numpy()

  parameters = make_store()
  distiller, log = make_distiller(
    parameters,
    itertools.repeat([item], 60),
    kl_direction=direction,
    policy_cost=2.0,
    distill_value_cost=0.25,
  )
  distiller.run()
  assert log[0]['kl'] == pytest.approx(expected, rel=1e-4)
  value_loss = 0.5 * (error[mask] ** 2).mean()
  assert log[0]['value_loss'] == pytest.approx(value_loss, rel=1e-4)
  assert log[0]['loss'] == pytest.approx(
    2 * expected + 0.25 * value_loss, rel=1e-4
  )
  for name in ('kl', 'value_loss', 'loss'):
    assert log[-1][name] < 0.3 * log[0][name]
  assert _actor(parameters)[1] == 60


NOTHING_ELSE = {'policy_cost': 0.0, 'distill_value_cost': 0.0}


def test_the_actors_features_approach_the_learners(
  make_store, make_distiller, make_item
):
  def distil(rate, updates):
    parameters = make_store()
    batches = itertools.repeat([make_item()], updates)
    distiller, log = make_distiller(
      parameters, batches, feature_learning_rate=rate, **NOTHING_ELSE
    )
    distiller.run()
    return _actor(parameters)[0], log

  _, log = distil(1e-2, 100)
  assert log[-1]['feature_loss'] < 0.6 * log[0]['feature_loss']
  after, log = distil(0.0, 2)
  np.testing.assert_array_equal(after, _actor(make_store())[0])
  assert 'feature_loss' not in log[0]


def test_the_policys_update_does_not_depend_on_the_features(
  make_store, make_distiller, make_item
):
  """Both have an optimiser of their own, and steps are added."""

  def step(rate, costs):
    parameters = make_store()
    before = _actor(parameters)[0]
    make_distiller(
      parameters, [[make_item()]], feature_learning_rate=rate, **costs
    )[0].step()
    return _actor(parameters)[0] - before

  both, policy = step(1e-3, {}), step(0.0, {})
  features = step(1e-3, NOTHING_ELSE)
  assert np.abs(policy).max() > 5e-4 < np.abs(features).max()
  np.testing.assert_allclose(both, policy + features, atol=1e-6)


def test_a_state_of_a_version_without_features(
  make_store, make_distiller, make_item
):
  old, _ = make_distiller(
    make_store(), [[make_item()]], feature_learning_rate=0.0
  )
  old.step()
  distiller, _ = make_distiller(make_store(), [[make_item()]])
  distiller.restore(old.save()['optimizer'])
  distiller.step()
  saved = distiller.save()
  assert saved['optimizer']['step'] == 2
  without, _ = make_distiller(make_store(), [], feature_learning_rate=0.0)
  without.restore(saved)
  assert 'features' not in without.save()


def test_a_state_restored_between_steps_is_used(
  make_store, make_distiller, make_item
):
  distiller, _ = make_distiller(make_store(), [[make_item()]] * 3)
  distiller.step()
  saved = distiller.save()
  distiller.step()
  distiller.restore(saved)
  distiller.step()
  assert distiller.save()['features']['of_map']['step'] == 2


def test_features_of_another_size_are_refused(
  make_store, make_distiller, make_item
):
  item = make_item()
  targets = item.targets
  wide = targets._replace(features=tf.tile(targets.features, [1, 1, 2]))
  distiller, _ = make_distiller(
    make_store(), [[item], [item._replace(targets=wide)]]
  )
  distiller.step()
  with pytest.raises(ValueError, match=r'size 12, .* have 6'):
    distiller.step()


def test_features_without_a_gradient_are_refused(
  make_store, make_distiller, make_item
):
  distiller, _ = make_distiller(make_store(), [[make_item()]])
  network = distiller._with_features
  unroll = network.unroll_features

  def stopped(inputs, state):
    outputs, features, state = unroll(inputs, state)
    return outputs, tf.stop_gradient(features), state

  network.unroll_features = stopped
  with pytest.raises(ValueError, match='stops their gradient'):
    distiller.step()


@pytest.mark.parametrize(
  'costs, moved',
  [({'policy_cost': 0.0}, 'value_loss'), ({'distill_value_cost': 0.0}, 'kl')],
)
def test_costs(make_store, make_distiller, make_item, costs, moved):
  distiller, log = make_distiller(
    make_store(), itertools.repeat([make_item()], 2), **costs
  )
  distiller.run()
  scale = 0.5 if moved == 'value_loss' else 1.0
  for row in log:
    assert row['loss'] == pytest.approx(scale * row[moved])
  assert log[1]['loss'] < log[0]['loss']


def test_masked_steps_do_not_change_the_update(
  make_store, make_distiller, make_item
):
  def updated(change):
    parameters = make_store()
    make_distiller(parameters, [[make_item(0, change)]])[0].step()
    return _actor(parameters)[0]

  def of_steps(last):
    def change(item):
      chosen = item.unroll.is_last == last
      assert chosen.any()
      item.targets.policy[chosen] = [9, -9, 0, 0]
      item.targets.value[chosen] = 99.0
      item.targets.features[chosen] = 99.0

    return change

  def of_rl(item):
    """The bootstrap step, the actions and their rewards."""
    tree.map_structure(lambda x: x.__setitem__(-1, 1), item.unroll.inputs)
    item.unroll.action[:] = 0
    item.unroll.reward[:] = 99.0
    item.unroll.discount[:] = 0.0
    item.unroll.behaviour_policy[:] = 0.0

  expected = updated(lambda item: None)
  np.testing.assert_array_equal(updated(of_steps(last=True)), expected)
  np.testing.assert_array_equal(updated(of_rl), expected)
  assert not np.allclose(updated(of_steps(last=False)), expected)


def test_two_workers_update_one_actor(make_store, make_distiller, make_item):
  parameters = make_store(num_workers=2)
  counter = counting.Counter()
  batches = itertools.repeat([make_item(0), make_item(1)])
  (one, log_one), (other, log_other) = (
    make_distiller(parameters, batches, worker, counter) for worker in range(2)
  )
  for _ in range(20):
    one.step()
    other.step()
    other.step()
  assert _actor(parameters)[1] == 60
  assert counter.get_counts() == {'actor_updates': 60}
  assert [row['actor_updates'] for row in log_one[:3]] == [1, 4, 7]
  assert [row['actor_updates'] for row in log_other[:4]] == [2, 3, 5, 6]
  steps = [d.save()['optimizer']['step'] for d in (one, other)]
  assert steps == [20, 40]
  # Each goes on from where the other got to.
  kls = [log_one[0]['kl'], log_other[0]['kl'], log_one[-1]['kl']]
  assert kls[0] > kls[1] > 2 * kls[2]


def test_updates_are_added_to_concurrent_ones(
  make_store, make_distiller, make_item
):
  item = make_item()

  def run(meanwhile):
    """The parameters after an update during which something was added."""
    parameters = make_store()
    distiller, _ = make_distiller(parameters, [[item]])
    update, shared = distiller._update, distiller._shared

    def slow(*args):
      answer = update(*args)
      if meanwhile:
        shared.add(np.ones(shared.handle.size, np.float32), 1)
      return answer

    distiller._update = slow
    distiller.step()
    return _actor(parameters)

  alone, _ = run(meanwhile=False)
  both, updates = run(meanwhile=True)
  np.testing.assert_allclose(both, alone + 1, rtol=1e-5, atol=1e-5)
  assert updates == 2


def test_continues_from_a_saved_state(make_store, make_distiller, make_item):
  items = [make_item(seed) for seed in range(5)]
  parameters = make_store()
  distiller, _ = make_distiller(parameters, [[item] for item in items])
  for _ in range(3):
    distiller.step()
  saved = parameters.save(), distiller.save()
  distiller.run()

  again = shared_parameters.ActorParameters(
    parameters.get_variables(['actor'])[0], 2
  )
  again.restore(saved[0])
  distiller_again, _ = make_distiller(again, [[item] for item in items[3:]])
  distiller_again.restore(saved[1])
  distiller_again.run()
  np.testing.assert_array_equal(_actor(again)[0], _actor(parameters)[0])
  assert _actor(again)[1] == 5


@pytest.mark.parametrize(
  'target, value', [('value', np.nan), ('value', np.inf), ('features', np.inf)]
)
def test_updates_that_are_not_finite_are_not_shared(
  make_store, make_distiller, make_item, target, value
):
  def spoil(item):
    getattr(item.targets, target)[0, 0] = value

  parameters = make_store()
  distiller, log = make_distiller(
    parameters, [[make_item()], [make_item(0, spoil)]]
  )
  distiller.step()
  before, saved = _actor(parameters), distiller.save()
  loss = {'features': 'feature'}.get(target, target)
  with pytest.raises(FloatingPointError, match=rf'update 2: .*{loss}_loss'):
    distiller.run()
  tree.map_structure(np.testing.assert_array_equal, distiller.save(), saved)
  for one, other in zip(_actor(parameters), before):
    np.testing.assert_array_equal(one, other)
  assert len(log) == 1


def test_the_log(make_store, make_distiller, make_item):
  counter = counting.Counter()
  counter.increment(frames=100, learner_updates=7)
  batch = [make_item(teacher=age) for age in (4, 5)]
  distiller, log = make_distiller(make_store(), [batch], counter=counter)
  distiller.run()
  (row,) = log
  assert row['frames'] == 100
  assert row['actor_updates'] == 1
  assert row['teacher_lag'] == 2.5
  assert np.isfinite(list(row.values())).all()


def test_run_until_stopped(make_store, make_distiller, make_item):
  parameters = make_store()
  distiller, _ = make_distiller(parameters, itertools.repeat([make_item()]))
  answers = iter([False, False, True])
  distiller.run(lambda: next(answers))
  assert _actor(parameters)[1] == 2

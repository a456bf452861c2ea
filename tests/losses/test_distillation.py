"""Losses between actor and learner, and their gradients."""

from dm_env import specs
import numpy as np
import pytest
import tensorflow as tf

from ald_acme import distributions
from ald_acme.losses import distillation

ANY = distributions.from_spec(specs.DiscreteArray(5))
ACTOR = [0.5, 0.5]
LEARNER = [0.25, 0.75]
# KL(ACTOR || LEARNER) and KL(LEARNER || ACTOR), by hand.
REVERSE = 0.5 * np.log(4 / 3)
FORWARD = 0.25 * np.log(0.5) + 0.75 * np.log(1.5)


def _logits(probabilities):
  """Logits `[1, 1, A]` of a policy; a constant added to them is no matter."""
  return tf.constant([[np.log(probabilities) + 1.7]], tf.float32)


def _random(seed=0, shape=(4, 3), num_actions=5):
  rng = np.random.RandomState(seed)
  first, second = rng.randn(2, *shape, num_actions).astype(np.float32)
  return tf.constant(first), tf.constant(second), rng.rand(*shape) < 0.6


def _softmax(logits):
  return np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)


def _slow_kl(p_logits, q_logits):
  p, q = _softmax(p_logits), _softmax(q_logits)
  return (p * np.log(p / q)).sum(-1)


def _gradient(loss, *xs):
  with tf.GradientTape() as tape:
    tape.watch(xs)
    answer = loss(*xs)
  return answer, *tape.gradient(answer, xs)


LOSSES = {
  'reverse': lambda actor, learner, mask: distillation.policy_distillation_loss(
    ANY, actor, learner, mask, 'reverse'
  ),
  'forward': lambda actor, learner, mask: distillation.policy_distillation_loss(
    ANY, actor, learner, mask, 'forward'
  ),
  'regulariser': lambda actor, learner, mask: distillation.policy_regulariser(
    ANY, learner, actor, mask
  ),
  'value': lambda actor, learner, mask: distillation.value_distillation_loss(
    actor[..., 0], learner[..., 0], mask
  ),
}
every_loss = pytest.mark.parametrize('loss', LOSSES.values(), ids=LOSSES)


@pytest.mark.parametrize(
  'name, expected',
  [('reverse', REVERSE), ('forward', FORWARD), ('regulariser', REVERSE)],
)
def test_policies_by_hand(name, expected):
  answer = LOSSES[name](_logits(ACTOR), _logits(LEARNER), [[True]])
  np.testing.assert_allclose(answer, expected, rtol=1e-5)


def test_values_by_hand():
  answer = distillation.value_distillation_loss(
    tf.constant([[1.0, 9.0], [2.0, 4.0]]),
    tf.constant([[2.0, 0.0], [2.0, 1.0]]),
    tf.constant([[True, False], [True, True]]),
  )
  np.testing.assert_allclose(answer, (1 + 0 + 9) / 2 / 3, rtol=1e-6)


@pytest.mark.parametrize(
  'name, slow, of_actor, of_learner',
  [
    ('reverse', _slow_kl, lambda p, q, kl: p * (np.log(p / q) - kl), None),
    ('forward', lambda p, q: _slow_kl(q, p), lambda p, q, _: p - q, None),
    ('regulariser', _slow_kl, None, lambda p, q, _: q - p),
  ],
)
def test_gradients_reach_one_network_only(name, slow, of_actor, of_learner):
  actor, learner, mask = _random()
  answer, *gradients = _gradient(
    lambda *xs: LOSSES[name](*xs, mask), actor, learner
  )
  each = slow(actor, learner)
  np.testing.assert_allclose(answer, each[mask].mean(), rtol=1e-4)
  for gradient, expected in zip(gradients, (of_actor, of_learner)):
    if expected is None:
      assert gradient is None
      continue
    slope = expected(_softmax(actor), _softmax(learner), each[..., np.newaxis])
    weight = (mask / mask.sum())[..., np.newaxis]
    np.testing.assert_allclose(gradient, weight * slope, atol=1e-6)


def test_gradient_of_values_goes_to_the_actor():
  actor, learner, mask = _random()
  _, of_actor, of_learner = _gradient(
    lambda *xs: distillation.value_distillation_loss(*xs, mask),
    actor[..., 0],
    learner[..., 0],
  )
  error = (actor - learner)[..., 0] * mask / mask.sum()
  np.testing.assert_allclose(of_actor, error, atol=1e-6)
  assert of_learner is None


def test_default_direction_is_reverse():
  mine = distillation.policy_distillation_loss(ANY, *_random())
  np.testing.assert_array_equal(mine, LOSSES['reverse'](*_random()))


@pytest.mark.parametrize('direction', ['backward', None, 'Reverse'])
def test_unknown_directions_are_refused(direction):
  with pytest.raises(ValueError, match=f'received {direction!r}'):
    distillation.policy_distillation_loss(ANY, *_random(), direction)


@every_loss
def test_steps_that_do_not_count_may_hold_anything(loss):
  actor, learner, mask = _random()
  answer = loss(actor, learner, mask)
  outside = ~mask[..., np.newaxis]
  again, *gradients = _gradient(
    lambda *xs: loss(*xs, mask),
    tf.where(outside, 1e15, actor),
    tf.where(outside, -1e15, learner),
  )
  np.testing.assert_array_equal(answer, again)
  for gradient in gradients:
    if gradient is not None:
      np.testing.assert_array_equal(gradient.numpy()[~mask], 0)
      assert gradient.numpy()[mask].any()


@every_loss
def test_everything_is_masked(loss):
  actor, learner, mask = _random()
  answer, *gradients = _gradient(
    lambda *xs: loss(*xs, np.zeros_like(mask)), actor, learner
  )
  np.testing.assert_array_equal(answer, 0)
  for gradient in gradients:
    if gradient is not None:
      np.testing.assert_array_equal(gradient, np.zeros_like(gradient))


@every_loss
def test_graph_matches_eager(loss):
  arguments = _random()
  np.testing.assert_allclose(
    tf.function(loss)(*arguments), loss(*arguments), rtol=1e-5
  )


def test_the_feature_loss():
  predicted, learner, mask = _random(num_actions=7)
  expected = 0.5 * ((predicted - learner).numpy()[mask] ** 2).mean()
  learner = tf.where(mask[..., np.newaxis], learner, np.nan)
  loss, to_predicted, to_learner = _gradient(
    lambda x, y: distillation.feature_distillation_loss(x, y, mask),
    predicted,
    learner,
  )
  assert loss.numpy() == pytest.approx(expected, rel=1e-5)
  assert to_learner is None
  assert not to_predicted.numpy()[~mask].any()
  assert to_predicted.numpy()[mask].all()


def test_the_feature_loss_takes_features_of_one_size():
  predicted, learner, mask = _random()
  with pytest.raises(ValueError, match='same shape'):
    distillation.feature_distillation_loss(predicted[..., 1:], learner, mask)

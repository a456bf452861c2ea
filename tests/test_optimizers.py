"""Adam on a vector against Sonnet's Adam on the variables."""

import numpy as np
import pytest
import sonnet as snt
import tensorflow as tf

from ald_acme import optimizers

SHAPES = [(2, 3), (), (4,), (1, 2, 1)]
SIZE = 13


def _gradients(steps=6, scale=1.0, seed=0):
  rng = np.random.RandomState(seed)
  return [
    [np.asarray(scale * rng.randn(*shape), np.float32) for shape in SHAPES]
    for _ in range(steps)
  ]


def _flat(arrays):
  return np.concatenate([np.ravel(array) for array in arrays])


def test_flatten_and_unflatten():
  variables = [tf.Variable(x) for x in _gradients(1)[0]]
  vector = optimizers.flatten(variables)
  np.testing.assert_array_equal(vector, _flat(variables))
  back = optimizers.unflatten(vector, variables)
  assert len(back) == len(variables)
  for one, other in zip(back, variables):
    assert one.shape == other.shape
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize('graph', [False, True], ids=['eager', 'graph'])
@pytest.mark.parametrize('max_norm', [None, 1e-3, 1.0, 3.5, 1e3])
@pytest.mark.parametrize('epsilon', [1e-8, 1e-5, 0.1])
def test_matches_sonnets_adam(graph, max_norm, epsilon):
  decays = {'beta1': 0.8, 'beta2': 0.95}
  sonnets = snt.optimizers.Adam(3e-2, epsilon=epsilon, **decays)
  mine = optimizers.FlatAdam(
    SIZE, 3e-2, max_norm, beta_1=0.8, beta_2=0.95, epsilon=epsilon
  )
  step = tf.function(mine.step) if graph else mine.step
  variables = [tf.Variable(tf.zeros(shape)) for shape in SHAPES]
  vector = np.zeros(SIZE, np.float32)
  for gradients in _gradients():
    difference = step(optimizers.flatten(gradients))
    vector += difference
    if max_norm is not None:
      gradients, _ = tf.clip_by_global_norm(gradients, max_norm)
    sonnets.apply([tf.convert_to_tensor(x) for x in gradients], variables)
    np.testing.assert_allclose(vector, _flat(variables), rtol=1e-5, atol=1e-6)


def test_first_step_by_hand():
  adam = optimizers.FlatAdam(2, learning_rate=0.1, epsilon=1.0)
  difference = adam.step(tf.constant([3.0, -4.0]))
  # Bias-corrected moments are g and g^2: a step of -0.1 g / (|g| + 1).
  np.testing.assert_allclose(difference, [-0.075, 0.08], rtol=1e-5)


def test_zero_gradients_change_nothing():
  adam = optimizers.FlatAdam(SIZE, 1.0, max_norm=1.0)
  difference = adam.step(tf.zeros([SIZE]))
  np.testing.assert_array_equal(difference, np.zeros(SIZE))


def test_continues_from_a_saved_state():
  def make():
    return optimizers.FlatAdam(SIZE, 1e-2, max_norm=1.0)

  gradients = [optimizers.flatten(x) for x in _gradients()]
  adam = make()
  for gradient in gradients[:4]:
    adam.step(gradient)
  state = adam.save()
  assert state['step'] == 4
  expected = [adam.step(gradient) for gradient in gradients[4:]]

  again = make()
  fresh = [again.step(gradient) for gradient in gradients[4:]]
  assert not np.allclose(fresh, expected, rtol=1e-2)
  again.restore(state)
  for gradient, difference in zip(gradients[4:], expected):
    np.testing.assert_array_equal(again.step(gradient), difference)


def test_a_state_of_another_size_is_refused():
  state = optimizers.FlatAdam(SIZE, 1e-2).save()
  with pytest.raises(ValueError, match='13'):
    optimizers.FlatAdam(SIZE + 1, 1e-2).restore(state)


def test_a_schedule_sets_the_rate_of_each_step():
  schedule = optimizers.linear_decay(0.4, steps=4, last=0.1)
  rates = [float(schedule(tf.constant(float(i)))) for i in range(1, 8)]
  np.testing.assert_allclose(
    rates, [0.4, 0.325, 0.25, 0.175, 0.1, 0.1, 0.1], rtol=1e-6
  )
  # Adam's steps are as long as the rate while the gradient stays the same.
  optimizer = optimizers.FlatAdam(2, schedule, epsilon=0.0)
  step = tf.function(optimizer.step)
  for rate in rates:
    np.testing.assert_allclose(
      step(tf.constant([1.0, -3.0])), [-rate, rate], rtol=1e-4
    )

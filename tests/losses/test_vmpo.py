"""V-MPO against the paper's equations in numpy, and by hand."""

from dm_env import specs
import numpy as np
import pytest
import tensorflow as tf

from ald_acme import distributions
from ald_acme.losses import vmpo

EPSILONS = {'epsilon_temperature': 0.1, 'epsilon_alpha': 0.02}
ANY = distributions.from_spec(specs.DiscreteArray(3))


def _loss(logits, target_logits, action, alpha, epsilon_alpha, **kwargs):
  """The trust region of discrete actions, which have only one."""
  return vmpo.vmpo_loss(
    log_pi=ANY.log_probability(logits, action),
    kls=ANY.trust_region_kls(tf.stop_gradient(target_logits), logits),
    alphas=tf.stack([alpha]),
    epsilon_alphas=[epsilon_alpha],
    **kwargs,
  )


def _steps(shape=(4, 5), num_actions=3, counted=None, seed=0):
  """Arguments of `_loss`, of which `counted` steps count."""
  rng = np.random.RandomState(seed)
  mask = np.zeros(shape, bool)
  counted = mask.size if counted is None else counted
  mask.flat[rng.permutation(mask.size)[:counted]] = True
  return {
    'logits': rng.randn(*shape, num_actions).astype(np.float32),
    'target_logits': rng.randn(*shape, num_actions).astype(np.float32),
    'action': rng.randint(num_actions, size=shape).astype(np.int32),
    'advantages': rng.randn(*shape).astype(np.float32),
    'mask': mask,
    'temperature': np.float32(0.7),
    'alpha': np.float32(1.3),
  }


def _softmax(x):
  x = np.exp(np.asarray(x, np.float64))
  return x / x.sum(-1, keepdims=True)


def _slow(
  logits,
  target_logits,
  action,
  advantages,
  mask,
  temperature,
  alpha,
  epsilon_temperature,
  epsilon_alpha,
):
  """Terms and their gradients by name, one sample at a time."""
  temperature = float(temperature)
  pi, target = _softmax(logits), _softmax(target_logits)
  samples = [tuple(place) for place in np.argwhere(mask)]
  count = len(samples)
  samples.sort(key=lambda place: -advantages[place])
  best = samples[: max(count // 2, 1)]
  scaled = np.array([advantages[place] / temperature for place in best])
  psi = np.exp(scaled) / np.exp(scaled).sum()
  log_mean = np.log(np.mean(np.exp(scaled)))

  policy, of_logits = 0.0, np.zeros(logits.shape)
  for weight, place in zip(psi, best):
    policy -= weight * np.log(pi[place][action[place]])
    of_logits[place] = weight * pi[place]
    of_logits[place][action[place]] -= weight
  kl, kl_of_logits = 0.0, np.zeros(logits.shape)
  for place in samples:
    ratio = np.log(target[place] / pi[place])
    kl += (target[place] * ratio).sum() / count
    kl_of_logits[place] = (pi[place] - target[place]) / count
  terms = vmpo.VMPO(
    policy=policy,
    temperature=temperature * (epsilon_temperature + log_mean),
    trust_region=alpha * epsilon_alpha,  # The two parts cancel but for this.
    kls=[kl],
  )
  gradients = {
    'policy': {'logits': of_logits},
    'temperature': {
      'temperature': epsilon_temperature + log_mean - (psi * scaled).sum()
    },
    'trust_region': {
      'alpha': epsilon_alpha - kl,
      'logits': alpha * kl_of_logits,
    },
  }
  return terms, gradients


def _gradients(steps):
  """Terms, and the gradient of each with respect to whatever is real."""
  steps = {name: tf.convert_to_tensor(x) for name, x in steps.items()}
  real = {name: x for name, x in steps.items() if x.dtype == tf.float32}
  with tf.GradientTape(persistent=True) as tape:
    tape.watch(real)
    terms = _loss(**steps, **EPSILONS)
  return terms, {
    name: {
      of: gradient
      for of, gradient in tape.gradient(term, real).items()
      if gradient is not None
    }
    for name, term in terms._asdict().items()
  }


@pytest.mark.parametrize('counted', [20, 19, 13, 3, 2, 1])
@pytest.mark.parametrize('seed', [0, 1])
def test_matches_the_paper(counted, seed):
  steps = _steps(counted=counted, seed=seed)
  terms, gradients = _gradients(steps)
  expected, expected_gradients = _slow(**steps, **EPSILONS)
  for term, value in zip(terms, expected):
    np.testing.assert_allclose(term, value, rtol=1e-5, atol=1e-6)
  # The routes: no term has a gradient to anything but what is named.
  del gradients['kls']
  for term, of in gradients.items():
    assert of.keys() == expected_gradients[term].keys()
    for name, gradient in of.items():
      np.testing.assert_allclose(
        gradient, expected_gradients[term][name], rtol=1e-4, atol=1e-6
      )


def test_by_hand():
  three = np.log(3).astype(np.float32)
  # One step of four environments, the first two with the better advantages.
  terms = _loss(
    logits=tf.constant([[[0.0, three]] * 4]),  # pi = 1/4, 3/4.
    target_logits=tf.zeros([1, 4, 2]),
    action=tf.constant([[0, 1, 0, 0]]),
    advantages=tf.constant([[three, 0.0, -1.0, -2.0]]),
    mask=tf.ones([1, 4], tf.bool),
    temperature=tf.constant(1.0),
    alpha=tf.constant(5.0),
    epsilon_temperature=0.1,
    epsilon_alpha=0.01,
  )
  # psi = 3/4, 1/4, and the mean of the exponentials is (3 + 1) / 2.
  policy = -(0.75 * np.log(0.25) + 0.25 * np.log(0.75))
  np.testing.assert_allclose(terms.policy, policy, rtol=1e-6)
  np.testing.assert_allclose(terms.temperature, 0.1 + np.log(2), rtol=1e-6)
  np.testing.assert_allclose(terms.kls, 0.5 * np.log(4 / 3), rtol=1e-6)
  np.testing.assert_allclose(terms.trust_region, 0.05, rtol=1e-6)


@pytest.mark.parametrize('name', ['logits', 'target_logits', 'advantages'])
def test_steps_that_do_not_count_may_hold_anything(name):
  steps = _steps(counted=9)
  terms, gradients = _gradients(steps)
  steps[name][~steps['mask']] = 1e15
  again, gradients_again = _gradients(steps)
  for term, value in zip(terms, again):
    np.testing.assert_array_equal(term, value)
  for term in ('policy', 'trust_region'):
    gradient = gradients_again[term]['logits'].numpy()
    np.testing.assert_array_equal(gradient, gradients[term]['logits'])
    np.testing.assert_array_equal(gradient[~steps['mask']], 0)


def test_everything_is_masked():
  terms, gradients = _gradients(_steps(counted=0))
  assert (terms.policy, *terms.kls) == (0, 0)
  assert all(np.isfinite(term).all() for term in terms)
  for term in ('policy', 'trust_region'):
    gradient = gradients[term]['logits']
    np.testing.assert_array_equal(gradient, np.zeros_like(gradient))


@pytest.mark.parametrize('scale', [1e-3, 1e4])
def test_large_advantages_do_not_overflow(scale):
  steps = _steps()
  steps['advantages'] *= 1e3
  steps['temperature'] = np.float32(scale)
  terms, gradients = _gradients(steps)
  assert all(np.isfinite(term).all() for term in terms)
  for of in gradients.values():
    assert all(np.isfinite(gradient).all() for gradient in of.values())


@pytest.mark.parametrize('name', ['advantages', 'mask'])
def test_shapes_must_agree(name):
  steps = _steps()
  steps[name] = steps[name][:-1]
  with pytest.raises(ValueError, match=f"'{name}': \\(3, 5"):
    _loss(**steps, **EPSILONS)


@pytest.mark.parametrize('counted', [20, 7])
def test_graph_matches_eager(counted):
  steps = _steps(counted=counted)
  graph = tf.function(lambda **steps: _loss(**steps, **EPSILONS))
  for term, value in zip(graph(**steps), _loss(**steps, **EPSILONS)):
    np.testing.assert_allclose(term, value, rtol=1e-5, atol=1e-7)


def test_trust_regions_have_separate_multipliers_and_bounds():
  steps = _steps()
  kls = [tf.fill([4, 5], 0.3), tf.fill([4, 5], 0.02)]
  alphas = tf.constant([2.0, 5.0])
  with tf.GradientTape() as tape:
    tape.watch(alphas)
    terms = vmpo.vmpo_loss(
      log_pi=tf.zeros([4, 5]),
      kls=kls,
      advantages=steps['advantages'],
      mask=steps['mask'],
      temperature=tf.constant(1.0),
      alphas=alphas,
      epsilon_temperature=0.1,
      epsilon_alphas=[0.1, 0.01],
    )
  np.testing.assert_allclose(terms.kls, [0.3, 0.02], rtol=1e-6)
  np.testing.assert_allclose(
    tape.gradient(terms.trust_region, alphas), [-0.2, -0.01], rtol=1e-5
  )

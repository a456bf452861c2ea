"""Distributions against TensorFlow Probability and numeric integrals."""

from dm_env import specs
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
import tree

from ald_acme import distributions

tfd, tfb = tfp.distributions, tfp.bijectors
_LOW, _HIGH = np.array([-2.0, 0.0, 5.0]), np.array([2.0, 1.0, 5.5])
NAMES = ('one', 'equal', 'unequal', 'bits', 'box', 'mixed', 'numbers')


def _parameters(distribution, seed, batch=(4, 3)):
  rng = np.random.default_rng(seed)
  size = (*batch, distribution.num_parameters)
  return rng.normal(size=size).astype(np.float32)


def _mean(raw):
  """As `SquashedGaussian` documents it."""
  return np.float32(3 * np.tanh(raw / 3))


def _deviation(raw):
  """As `SquashedGaussian` documents it, with its first value at 0."""
  shift = np.float32(np.log(0.69 / 0.8))
  return 0.01 + 1.49 * tf.sigmoid(raw + shift)


def _box(parameters):
  mean, raw = np.split(parameters, 2, -1)
  mean = _mean(mean)
  normal = tfd.Normal(mean, _deviation(raw))
  bijector = tfb.Chain(
    [
      tfb.Shift((_LOW + _HIGH).astype(np.float32) / 2),
      tfb.Scale((_HIGH - _LOW).astype(np.float32) / 2),
      tfb.Tanh(),
    ]
  )
  return normal, bijector


def _categoricals(parameters, sizes):
  parts = np.split(parameters, np.cumsum(sizes)[:-1], -1)
  return [tfd.Categorical(part) for part in parts]


SIZES = {
  'one': [5],
  'equal': [3] * 4,
  'unequal': [2, 4, 7],
  'bits': [2] * 4,
  'numbers': [2, 3],
}


@pytest.mark.parametrize('name', SIZES)
def test_discrete_distributions_match_tfp(name, action_specs):
  ours = distributions.from_spec(action_specs[name])
  p, q = _parameters(ours, 0), _parameters(ours, 1)
  theirs, others = (_categoricals(x, SIZES[name]) for x in (p, q))
  sample = ours.sample(p, np.random.default_rng(2))
  columns = sample[..., np.newaxis] if name == 'one' else sample
  log_probability = sum(
    part.log_prob(columns[..., i]) for i, part in enumerate(theirs)
  )
  entropy = sum(part.entropy() for part in theirs)
  kl = sum(a.kl_divergence(b) for a, b in zip(theirs, others))
  p, q = tf.constant(p), tf.constant(q)
  np.testing.assert_allclose(
    ours.log_probability(p, tf.constant(sample)), log_probability, rtol=1e-4
  )
  np.testing.assert_allclose(ours.entropy(p), entropy, rtol=1e-4)
  np.testing.assert_allclose(ours.kl(p, q), kl, rtol=1e-3, atol=1e-6)
  flags = np.concatenate(
    [np.eye(n)[columns[..., i]] for i, n in enumerate(SIZES[name])], -1
  )
  np.testing.assert_array_equal(ours.encode(tf.constant(sample)), flags)
  assert ours.mask_size == sum(SIZES[name])


def test_gaussian_matches_tfp(action_specs):
  ours = distributions.from_spec(action_specs['box'])
  p, q = _parameters(ours, 0), _parameters(ours, 1)
  (normal, bijector), (other, _) = _box(p), _box(q)
  sample = ours.sample(p, np.random.default_rng(2))
  action = ours.to_environment(sample)
  squashed = tfd.TransformedDistribution(normal, bijector)
  np.testing.assert_allclose(
    ours.log_probability(tf.constant(p), tf.constant(sample)),
    tf.reduce_sum(squashed.log_prob(action), -1),
    rtol=1e-2,  # TFP inverts the squashing, and loses digits by it.
  )
  kl = tf.reduce_sum(normal.kl_divergence(other), -1)
  np.testing.assert_allclose(ours.kl(p, q), kl, rtol=1e-3)
  scale_of_p = tfd.Normal(other.loc, normal.scale)
  mean_of_p = tfd.Normal(normal.loc, other.scale)
  for term, moved in zip(ours.trust_region_kls(p, q), (scale_of_p, mean_of_p)):
    np.testing.assert_allclose(
      term, tf.reduce_sum(normal.kl_divergence(moved), -1), rtol=1e-3
    )
  np.testing.assert_allclose(ours.encode(sample), np.tanh(sample), rtol=1e-5)
  np.testing.assert_allclose(
    ours.to_environment(ours.mode(p)),
    bijector.forward(normal.loc),
    rtol=1e-5,
  )


@pytest.mark.parametrize(
  ('mean', 'raw'), [(0.0, 0.0), (1.5, -2.0), (-3.0, 1.0), (0.2, -6.0)]
)
def test_entropy_of_squashed_gaussian_matches_the_integral(mean, raw):
  ours = distributions.from_spec(specs.BoundedArray((), np.float32, -1, 3))
  parameters = tf.constant([[mean, raw]])
  mean = _mean(mean)

  deviation = float(_deviation(raw))
  grid = np.linspace(mean - 8 * deviation, mean + 8 * deviation, 20_001)
  grid = grid.astype(np.float32)
  # The density per unit of the sample, and that per unit of the action.
  density = tfd.Normal(mean, deviation).prob(grid)
  log_density = ours.log_probability(parameters, grid[:, np.newaxis])
  expected = -np.trapz(density * log_density, grid)
  assert float(ours.entropy(parameters)[0]) == pytest.approx(expected, abs=1e-2)
  assert expected < np.log(4.0)  # That of uniform actions.


def test_categorical_keeps_its_numbers():
  """Sampling, log-probabilities and encoding of runs that were made before."""
  ours = distributions.from_spec(specs.DiscreteArray(4))
  logits = _parameters(ours, 0)
  rng = np.random.default_rng(7)
  noise = rng.gumbel(size=logits.shape).astype(np.float32)
  expected = np.argmax(logits + noise, -1).astype(np.int32)
  sample = ours.sample(logits, np.random.default_rng(7))
  np.testing.assert_array_equal(sample, expected)
  assert sample.dtype == np.int32
  np.testing.assert_array_equal(ours.to_environment(sample), expected)
  action = tf.constant(expected)
  np.testing.assert_array_equal(
    ours.log_probability(tf.constant(logits), action),
    -tf.nn.sparse_softmax_cross_entropy_with_logits(action, logits),
  )
  np.testing.assert_array_equal(ours.encode(action), tf.one_hot(action, 4))


@pytest.mark.parametrize('name', NAMES)
def test_samples_are_valid_and_have_the_right_frequencies(name, action_specs):
  ours = distributions.from_spec(action_specs[name])
  rng = np.random.default_rng(3)
  parameters = np.repeat(_parameters(ours, 4, (1,)), 4_000, axis=0)
  samples = ours.sample(parameters, rng)
  assert samples.dtype == ours.dtype
  assert samples.shape == (4_000, *ours.shape)
  # E[-log pi] is the entropy, discrete or continuous.
  surprise = -ours.log_probability(
    tf.constant(parameters), tf.constant(samples)
  ).numpy()
  entropy = float(ours.entropy(tf.constant(parameters[:1]))[0])
  error = 4.0 * surprise.std() / np.sqrt(len(surprise))
  assert surprise.mean() == pytest.approx(entropy, abs=error + 1e-3)
  for chosen in (samples, ours.mode(parameters)):
    actions = ours.to_environment(chosen)
    tree.map_structure(
      lambda s, a: s.validate(a[0]), action_specs[name], actions
    )
  features = ours.encode(tf.constant(samples))
  assert features.shape == (4_000, ours.num_features)
  # The picture: what is likeliest is taken most often.
  odds, places = ours.odds(parameters, samples)
  counts = np.bincount(np.rint(places).astype(int).ravel(), None, odds.shape[1])
  assert np.corrcoef(counts, odds[0])[0, 1] > 0.7


def test_joint_is_the_sum_of_its_parts(action_specs):
  spec = action_specs['mixed']
  joint = distributions.from_spec(spec)
  leaves = [distributions.from_spec(leaf) for leaf in tree.flatten(spec)]
  p, q = _parameters(joint, 0), _parameters(joint, 1)
  ends = np.cumsum([leaf.num_parameters for leaf in leaves])[:-1]
  of_p, of_q = np.split(p, ends, -1), np.split(q, ends, -1)
  sample = joint.sample(p, np.random.default_rng(0))
  box, number, numbers = np.split(sample, [3, 4], -1)
  own = (
    box,
    number[..., 0].astype(np.int32),
    numbers.astype(np.int32),
  )
  for found, expected in (
    (joint.entropy(p), [leaf.entropy(x) for leaf, x in zip(leaves, of_p)]),
    (joint.kl(p, q), [x.kl(a, b) for x, a, b in zip(leaves, of_p, of_q)]),
    (
      joint.log_probability(tf.constant(p), tf.constant(sample)),
      [leaf.log_probability(a, x) for leaf, a, x in zip(leaves, of_p, own)],
    ),
  ):
    np.testing.assert_allclose(found, sum(expected), rtol=1e-4)
  assert joint.trust_regions == ('mean', 'covariance', 'policy')
  mean, covariance, policy = joint.trust_region_kls(p, q)
  discrete = sum(
    leaf.kl(a, b) for leaf, a, b in zip(leaves[1:], of_p[1:], of_q[1:])
  )
  np.testing.assert_allclose(policy, discrete, rtol=1e-4)
  own_mean, own_covariance = leaves[0].trust_region_kls(of_p[0], of_q[0])
  np.testing.assert_allclose(mean, own_mean, rtol=1e-4)
  np.testing.assert_allclose(covariance, own_covariance, rtol=1e-4)


@pytest.mark.parametrize('name', ['one', 'unequal', 'equal', 'mixed'])
def test_masked_actions_are_never_chosen(name, action_specs):
  ours = distributions.from_spec(action_specs[name])
  parameters = _parameters(ours, 0, (500,))
  sizes = SIZES.get(name, [4, 2, 3])
  legal = np.concatenate([np.arange(n) == n - 1 for n in sizes])
  masked = ours.mask(parameters, np.broadcast_to(legal, (500, len(legal))))
  masked = masked.numpy()
  for chosen in (
    ours.sample(masked, np.random.default_rng(0)),
    ours.mode(masked),
  ):
    last = chosen[:, 3:] if name == 'mixed' else chosen.reshape(500, -1)
    np.testing.assert_array_equal(last, [np.array(sizes) - 1] * 500)
  if name != 'mixed':
    np.testing.assert_array_equal(ours.entropy(masked), np.zeros(500))
    np.testing.assert_array_equal(ours.kl(masked, masked), np.zeros(500))
  everything = ours.mask(parameters, np.ones_like(legal))
  np.testing.assert_array_equal(everything, parameters)


@pytest.mark.parametrize(
  ('spec', 'message'),
  [
    (specs.Array((2,), np.float32), 'action of pong must be .* give it bounds'),
    (
      specs.BoundedArray((2,), np.float32, [-1, -np.inf], 1),
      r'finite bounds, but has \[-1.0, -inf\] to .* declare .*TransformAction',
    ),
    (specs.BoundedArray((2,), np.float32, 1, 1), 'minimum < maximum'),
    (
      {'a': specs.BoundedArray((), np.int64, 0, 2**40)},
      r"action\['a'\] of pong must have 1 to 16,777,216 values",
    ),
    (specs.BoundedArray((0,), np.int64, 0, 1), 'at least one number'),
    ((), 'at least one part'),
  ],
)
def test_specs_without_a_distribution_are_rejected(spec, message):
  with pytest.raises(ValueError, match=message):
    distributions.from_spec(spec, 'pong')

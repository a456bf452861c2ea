"""V-trace against trfl, against sums written out, and by hand."""

from dm_env import specs
import numpy as np
import pytest
import tensorflow as tf
import trfl

from ald_acme import distributions
from ald_acme.losses import vtrace

GAMMA = 0.9

ANY = distributions.from_spec(specs.DiscreteArray(5))


def _steps(length=7, batch=5, seed=0):
  """Arguments of `vtrace`, every step of which counts."""
  rng = np.random.RandomState(seed)
  shape = length, batch
  return {
    'values': rng.randn(length + 1, batch).astype(np.float32),
    'rewards': rng.randn(*shape).astype(np.float32),
    'discounts': rng.choice([0, 0.5, GAMMA], shape).astype(np.float32),
    'log_rhos': rng.randn(*shape).astype(np.float32),
    'mask': np.ones(shape, bool),
  }


def _masked(steps, seed=1):
  mask = np.random.RandomState(seed).rand(*steps['mask'].shape) < 0.7
  return steps | {'mask': mask}


def _part(steps, start, stop):
  """Steps start to stop, with the bootstrap."""
  part = {name: x[start:stop] for name, x in steps.items()}
  return part | {'values': steps['values'][start : stop + 1]}


def _slow(
  values,
  rewards,
  discounts,
  log_rhos,
  mask,
  clip_rho=1,
  clip_c=1,
  trace_decay=1,
):
  """v_s as a sum of products, for each step on its own."""
  rhos = np.exp(log_rhos.astype(np.float64))
  targets = values.astype(np.float64)
  errors = np.zeros(mask.shape)
  for start, b in np.ndindex(*mask.shape):
    trace = 1.0
    for t in range(start, len(mask)):
      if not mask[t, b]:
        break
      error = rewards[t, b] + discounts[t, b] * values[t + 1, b] - values[t, b]
      targets[start, b] += trace * min(clip_rho, rhos[t, b]) * error
      trace *= trace_decay * discounts[t, b] * min(clip_c, rhos[t, b])
  for t, b in np.argwhere(mask):
    decay = trace_decay if t + 1 < len(mask) else 1
    mixed = decay * targets[t + 1, b] + (1 - decay) * values[t + 1, b]
    errors[t, b] = rewards[t, b] + discounts[t, b] * mixed - values[t, b]
  return vtrace.VTrace(targets[:-1], errors)


def _assert_close(answer, expected):
  for mine, theirs in zip(answer, expected):
    np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-5)


def _gradient(loss, *xs):
  xs = [tf.convert_to_tensor(x, tf.float32) for x in xs]
  with tf.GradientTape() as tape:
    tape.watch(xs)
    answer = loss(*xs)
  gradients = tape.gradient(answer, xs)
  return answer, *gradients


@pytest.mark.parametrize('clip_rho', [1.0, 0.7, 2.5])
def test_matches_trfl(clip_rho):
  steps = _steps()
  answer = vtrace.vtrace(**steps, clip_rho=clip_rho)
  expected = trfl.vtrace_from_importance_weights(
    log_rhos=steps['log_rhos'],
    discounts=steps['discounts'],
    rewards=steps['rewards'],
    values=steps['values'][:-1],
    bootstrap_value=steps['values'][-1],
    clip_rho_threshold=clip_rho,
    clip_pg_rho_threshold=clip_rho,
  )
  weights = np.minimum(clip_rho, np.exp(steps['log_rhos']))
  _assert_close((answer.values, weights * answer.errors), expected)


@pytest.mark.parametrize(
  'clip_rho, clip_c, trace_decay',
  [(1, 1, 1), (0.5, 2, 1), (3, 0.4, 1), (1, 1, 0.9), (2, 0.5, 0)],
)
@pytest.mark.parametrize('length', [1, 2, 9])
@pytest.mark.parametrize('change', [dict, _masked])
def test_matches_the_definition(change, length, clip_rho, clip_c, trace_decay):
  steps = change(_steps(length))
  clips = {
    'clip_rho': clip_rho,
    'clip_c': clip_c,
    'trace_decay': trace_decay,
  }
  _assert_close(vtrace.vtrace(**steps, **clips), _slow(**steps, **clips))


def test_by_hand():
  def column(*x):
    return tf.constant(x)[:, tf.newaxis]

  values, errors = vtrace.vtrace(
    values=column(1.0, 2.0, 3.0),
    rewards=column(1.0, 1.0),
    discounts=column(0.5, 0.5),
    log_rhos=tf.math.log(column(2.0, 0.5)),
    mask=column(True, True),
  )
  # delta_1 = 0.5 (1 + 0.5 * 3 - 2) = 0.25 and delta_0 = 1 + 0.5 * 2 - 1 = 1.
  np.testing.assert_allclose(values[:, 0], [1 + 1 + 0.5 * 0.25, 2 + 0.25])
  np.testing.assert_allclose(errors[:, 0], [1 + 0.5 * 2.25 - 1, 1 + 1.5 - 2])


@pytest.mark.parametrize('discount', [0.0, GAMMA], ids=['ended', 'cut off'])
def test_an_episode_ends_within_an_unroll(discount):
  end = 3  # x_3 ends the episode and x_4 begins the next.
  steps = _steps(8)
  steps['discounts'][end - 1] = discount
  steps['mask'][end] = False
  whole = vtrace.vtrace(**steps)
  for start, stop in [(0, end), (end + 1, 8)]:
    part = vtrace.vtrace(**_part(steps, start, stop))
    _assert_close([x[start:stop] for x in whole], part)


@pytest.mark.parametrize('discount', [0.0, GAMMA], ids=['ended', 'cut off'])
def test_bootstrap_from_the_step_that_ends(discount):
  steps = _steps()
  steps['discounts'][2] = discount
  steps['mask'][3] = False
  before = vtrace.vtrace(**steps)
  steps['values'][3] += 1
  after = vtrace.vtrace(**steps)
  np.testing.assert_allclose(
    after.errors[2] - before.errors[2], discount, atol=1e-6
  )
  np.testing.assert_array_equal(after.values[3], steps['values'][3])
  for mine, theirs in zip(after, before):  # Nothing passes the end.
    np.testing.assert_array_equal(mine[4:], theirs[4:])


@pytest.mark.parametrize('content', [-1e30, 1e30])
@pytest.mark.parametrize('name', ['rewards', 'discounts', 'log_rhos'])
def test_steps_that_do_not_count_may_hold_anything(name, content):
  steps = _masked(_steps())
  before = vtrace.vtrace(**steps)
  steps[name][~steps['mask']] = content
  after = vtrace.vtrace(**steps)
  for mine, theirs in zip(after, before):
    np.testing.assert_array_equal(mine, theirs)
  np.testing.assert_array_equal(after.errors.numpy()[~steps['mask']], 0)


def test_targets_have_no_gradient():
  steps = _steps()
  mask = steps.pop('mask')
  for field in vtrace.VTrace._fields:
    _, *gradients = _gradient(
      lambda *xs, field=field: getattr(
        vtrace.vtrace(**dict(zip(steps, xs)), mask=mask), field
      ),
      *steps.values(),
    )
    assert gradients == [None] * len(steps)


def test_shapes_must_agree():
  steps = _steps()
  steps['values'] = steps['values'][:-1]
  with pytest.raises(ValueError, match='same shape'):
    vtrace.vtrace(**steps)


def _policy(seed=2, shape=(4, 3), num_actions=5):
  rng = np.random.RandomState(seed)
  logits = rng.randn(*shape, num_actions).astype(np.float32)
  action = rng.randint(num_actions, size=shape).astype(np.int32)
  pi = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
  return logits, action, pi, rng.rand(*shape) < 0.6, rng.randn(*shape)


def test_explained_variance():
  rng = np.random.RandomState(0)
  values, targets = rng.randn(2, 4, 3).astype(np.float32)
  mask = rng.rand(4, 3) < 0.6
  expected = 1 - np.var((targets - values)[mask]) / np.var(targets[mask])
  answer = vtrace.explained_variance(values, targets, mask)
  np.testing.assert_allclose(answer, expected, rtol=1e-5)
  perfect = vtrace.explained_variance(targets + 7, targets, mask)
  np.testing.assert_allclose(perfect, 1, atol=1e-5)  # But for a constant.
  for constant in (targets * 0, np.full_like(targets, 3)):
    assert vtrace.explained_variance(values, constant, mask) == 0


def test_value_loss():
  rng = np.random.RandomState(0)
  values, targets = rng.randn(2, 4, 3)
  mask = rng.rand(4, 3) < 0.6
  loss, of_values, of_targets = _gradient(
    lambda v, t: vtrace.value_loss(v, t, mask), values, targets
  )
  error = (values - targets) * mask
  np.testing.assert_allclose(loss, 0.5 * (error**2).sum() / mask.sum(), 1e-5)
  np.testing.assert_allclose(of_values, error / mask.sum(), atol=1e-6)
  assert of_targets is None


def test_losses_ignore_steps_that_do_not_count():
  def loss(x, mask):
    return vtrace.value_loss(x[..., 0], tf.zeros([4, 3]), mask)

  logits, _, _, mask, _ = _policy()
  answer, gradient = _gradient(lambda x: loss(x, mask), logits)
  logits[~mask] = 1e15
  again, gradient_again = _gradient(lambda x: loss(x, mask), logits)
  np.testing.assert_array_equal(answer, again)
  np.testing.assert_array_equal(gradient, gradient_again)
  np.testing.assert_array_equal(gradient.numpy()[~mask], 0)
  nothing, zero = _gradient(lambda x: loss(x, mask & False), logits)
  np.testing.assert_array_equal(nothing, 0)
  np.testing.assert_array_equal(zero, np.zeros_like(zero))


def test_graph_matches_eager():
  steps = _masked(_steps())
  graph = tf.function(vtrace.vtrace)
  _assert_close(graph(**steps), vtrace.vtrace(**steps))

  logits, _, _, mask, _ = _policy()
  arguments = logits[..., 0], logits[..., 1], mask
  for loss in (vtrace.value_loss, vtrace.explained_variance):
    np.testing.assert_allclose(
      tf.function(loss)(*arguments), loss(*arguments), 1e-6
    )


@pytest.mark.parametrize('length', [1, 2, 3, 64, 65, 200])
def test_any_length(length):
  steps = _masked(_steps(length))
  _assert_close(vtrace.vtrace(**steps), _slow(**steps))


def test_long_unrolls_make_a_small_graph():
  steps = _steps(length=3_000)
  function = tf.function(vtrace.vtrace, autograph=False)
  graph = function.get_concrete_function(**steps).graph
  assert len(graph.as_graph_def().node) < 500

"""Policies sample from the softmax and carry the recurrent state."""

from acme import specs
import dm_env
import numpy as np
import pytest
import tensorflow as tf
import tree

from ald_acme import distributions
from ald_acme import types
from ald_acme.acting import policies

FIRST, MID, LAST = (int(step_type) for step_type in dm_env.StepType)
LOGITS = np.log([0.1, 0.2, 0.7]).astype(np.float32)
ALWAYS_2 = np.float32([-1e9, -1e9, 0])


class Network:
  """Fixed logits; the state counts an episode's steps and holds the inputs."""

  trainable_variables = ()

  def __init__(self, logits):
    self._logits = logits
    self.distribution = distributions.from_spec(
      specs.DiscreteArray(len(logits))
    )

  def initial_state(self, batch_size):
    zeros = tf.zeros([batch_size])
    return {'steps': zeros, 'seen': tf.stack(4 * [zeros], axis=1)}

  def __call__(self, inputs, state):
    steps = tf.where(inputs.start_of_episode, 0.0, state['steps']) + 1.0
    logits = tf.tile(self._logits[np.newaxis], [steps.shape[0], 1])
    leaves = [tf.cast(leaf, tf.float32) for leaf in tree.flatten(inputs)]
    state = {'steps': steps, 'seen': tf.stack(leaves, axis=1)}
    return types.Outputs(logits, steps), state


def _policy(batch_size, seed=0, logits=LOGITS, **kwargs):
  spec = {'x': specs.Array((), np.int64)}
  return policies.BatchedPolicy(
    Network(logits), spec, batch_size, seed, **kwargs
  )


def _timestep(step_type, reward=None):
  step_type = np.array(step_type)
  reward = np.zeros(len(step_type)) if reward is None else np.array(reward)
  return dm_env.TimeStep(
    step_type=step_type,
    reward=reward.astype(np.float32),
    discount=np.ones(len(step_type), np.float32),
    observation={'x': np.arange(len(step_type))},
  )


def _act(policy, *step_types):
  """Actions `[steps, E]`."""
  decisions = [policy.step(policy.inputs(_timestep(s))) for s in step_types]
  return np.stack([decision.action for decision in decisions])


@pytest.mark.parametrize('offset', [0.0, 50.0, -50.0])
def test_frequencies_are_the_softmax(offset):
  size = 40_000
  policy = _policy(size, logits=LOGITS + np.float32(offset))
  first, second = _act(policy, *2 * [[MID] * size])
  both, _, _ = np.histogram2d(first, second, bins=3, range=[(-0.5, 2.5)] * 2)
  p = np.exp(LOGITS)  # Steps are independent, so joint odds are products.
  np.testing.assert_allclose(both / size, np.outer(p, p), atol=0.01)


def test_deterministic_policies_take_the_likeliest_action():
  actions = _act(_policy(50, deterministic=True), [MID] * 50)
  np.testing.assert_array_equal(actions, np.full_like(actions, 2))


def test_impossible_actions_are_never_sampled():
  actions = _act(_policy(1000, logits=ALWAYS_2), [MID] * 1000)
  np.testing.assert_array_equal(actions, 2)


@pytest.mark.parametrize('seed', [7, [7, 1], np.random.SeedSequence(7)])
def test_seeds_reproduce(seed):
  steps = 4 * [[MID] * 50]
  actions = _act(_policy(50, seed), *steps)
  np.testing.assert_array_equal(actions, _act(_policy(50, seed), *steps))
  assert (actions != _act(_policy(50, seed=8), *steps)).any()


def test_decisions():
  policy = _policy(4)
  decision = policy.step(policy.inputs(_timestep([MID] * 4)))
  assert (decision.action.dtype, decision.action.shape) == (np.int32, (4,))
  assert decision.policy.dtype == np.float32
  np.testing.assert_array_equal(decision.policy, [LOGITS] * 4)


def test_the_state_advances():
  policy = _policy(3)
  states = [policy.state]
  for step_type in ([FIRST] * 3, [MID, LAST, MID], [MID, FIRST, LAST]):
    _act(policy, step_type)
    states.append(policy.state)
  # A state that was taken before later steps is left as it was.
  np.testing.assert_array_equal(
    [state['steps'] for state in states],
    [[0, 0, 0], [1, 1, 1], [2, 2, 2], [3, 1, 3]],
  )


def test_the_network_receives_the_inputs():
  policy = _policy(4)
  rng = np.random.RandomState(0)
  for _ in range(5):
    inputs = policy.inputs(_timestep(rng.randint(3, size=4), rng.randn(4)))
    policy.step(inputs)
    np.testing.assert_array_equal(
      policy.state['seen'], np.stack(tree.flatten(inputs), axis=1)
    )


def test_inputs_contain_the_last_action_and_reward():
  policy = _policy(2, logits=ALWAYS_2)
  _act(policy, [FIRST, FIRST])
  timestep = _timestep([MID, LAST], [0.5, 1.0])
  inputs = policy.inputs(timestep)
  assert inputs.observation is timestep.observation
  assert inputs.action.dtype == np.int32
  np.testing.assert_array_equal(inputs.action, [2, 2])
  np.testing.assert_array_equal(inputs.reward, [0.5, 1.0])
  assert inputs.start_of_episode.dtype == bool
  np.testing.assert_array_equal(inputs.start_of_episode, [False, False])


def test_inputs_at_episode_starts():
  policy = _policy(2)
  inputs = policy.inputs(_timestep([FIRST, FIRST]))
  np.testing.assert_array_equal(inputs.start_of_episode, [True, True])
  np.testing.assert_array_equal(inputs.action, [0, 0])
  _act(policy, [FIRST, FIRST], [MID, LAST])
  inputs = policy.inputs(_timestep([MID, FIRST], [0.5, 0.0]))
  np.testing.assert_array_equal(inputs.start_of_episode, [False, True])
  np.testing.assert_array_equal(inputs.reward, [0.5, 0.0])


def test_reset_forgets():
  policy = _policy(3, logits=ALWAYS_2)
  for _ in range(2):
    np.testing.assert_array_equal(policy.state['steps'], np.zeros(3))
    inputs = policy.inputs(_timestep([MID] * 3))
    np.testing.assert_array_equal(inputs.action, np.zeros(3))
    _act(policy, [MID] * 3, [MID] * 3)
    policy.reset()


@pytest.mark.parametrize('bad', [np.nan, np.inf])
@pytest.mark.parametrize('deterministic', [False, True])
def test_a_policy_that_is_not_finite_is_an_error(bad, deterministic):
  policy = _policy(2, logits=np.float32([0, bad]), deterministic=deterministic)
  with pytest.raises(
    FloatingPointError,
    match=rf'must be finite, but 2 of 4 .* is {bad}, in environment 0',
  ):
    policy.step(policy.inputs(_timestep([FIRST, FIRST])))

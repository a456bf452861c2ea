"""Sampling actions from a recurrent network, many environments at a time."""

from typing import NamedTuple

import dm_env
import numpy as np
import tensorflow as tf
import tree

from ald_acme import types


class Decision(NamedTuple):
  """What a policy answers: int32 `[E]` and float32 `[E, A]`."""

  action: np.ndarray
  logits: np.ndarray


class BatchedPolicy:
  """Acts in E environments with one compiled inference a step.

  What a step needs of the step before (the recurrent state, the actions) stays
  in variables, out of Python's way, and XLA makes one kernel of the step: at
  E = 32 this takes half the time of a plain `tf.function`.
  """

  def __init__(self, network, environment_spec, batch_size: int, seed):
    """Begins with an empty state.

    Args:
      network: a `PolicyValueNetwork` whose variables exist.
      environment_spec: an `acme.specs.EnvironmentSpec` with discrete actions.
      batch_size: E.
      seed: of the actions' noise; anything that `np.random.default_rng` takes.
    """
    self._rng = np.random.default_rng(seed)
    self._initial_state = network.initial_state(batch_size)
    self._noise_shape = (batch_size, environment_spec.actions.num_values)
    self._state = tree.map_structure(
      lambda x: tf.Variable(x, trainable=False), self._initial_state
    )
    self._action = tf.Variable(tf.zeros([batch_size], tf.int32))

    # The Gumbel-max trick: noise from outside leaves the function pure.
    def act(observation, reward, start_of_episode, noise):
      inputs = types.Inputs(
        observation, self._action.read_value(), reward, start_of_episode
      )
      outputs, state = network(inputs, self.state)
      action = tf.argmax(outputs.logits + noise, -1, output_type=tf.int32)
      self._action.assign(action)
      tree.map_structure(lambda v, x: v.assign(x), self._state, state)
      return action, outputs.logits

    def spec(shape, dtype):
      return tf.TensorSpec([batch_size, *shape], tf.as_dtype(dtype))

    self._act = tf.function(
      act, autograph=False, jit_compile=True
    ).get_concrete_function(
      tree.map_structure(
        lambda s: spec(s.shape, s.dtype), environment_spec.observations
      ),
      spec((), tf.float32),
      spec((), tf.bool),
      spec(self._noise_shape[1:], tf.float32),
    )

  @property
  def state(self):
    """The recurrent state before the next step, leaves `[E, ...]`."""
    return tree.map_structure(lambda v: v.read_value(), self._state)

  def reset(self):
    """Forgets everything."""
    tree.map_structure(
      lambda v, x: v.assign(x), self._state, self._initial_state
    )
    self._action.assign(tf.zeros_like(self._action))

  def inputs(self, timestep: dm_env.TimeStep) -> types.Inputs:
    """What the network sees of a batched time step, leaves `[E, ...]`."""
    return types.Inputs(
      observation=timestep.observation,
      action=self._action.numpy(),
      reward=timestep.reward,
      start_of_episode=timestep.step_type == int(dm_env.StepType.FIRST),
    )

  def step(self, inputs: types.Inputs) -> Decision:
    """Samples actions and moves the state on.

    Args:
      inputs: as `inputs` gave them; the actions are those that this policy
        took.

    Returns:
      The actions and the logits that they were sampled from.
    """
    noise = self._rng.gumbel(size=self._noise_shape).astype(np.float32)
    action, logits = self._act(
      *tree.map_structure(
        tf.convert_to_tensor,
        (inputs.observation, inputs.reward, inputs.start_of_episode, noise),
      )
    )
    return Decision(action.numpy(), logits.numpy())

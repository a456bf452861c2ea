"""Sampling actions from a recurrent network, many environments at a time."""

from typing import Any, NamedTuple

import dm_env
import numpy as np
import tensorflow as tf

from ald_acme import types

State = Any


class Decision(NamedTuple):
  """What a policy answers: int32 `[E]`, float32 `[E, A]`, float32 `[E]`."""

  action: np.ndarray
  logits: np.ndarray
  value: np.ndarray


class BatchedPolicy:
  """Acts in E environments with one compiled inference a step.

  It keeps what a step needs of the step before: the recurrent state, the
  actions taken and the rewards received.
  """

  def __init__(self, network, num_actions: int, batch_size: int, seed):
    """Begins with an empty state.

    Args:
      network: a `PolicyValueNetwork` whose variables exist.
      num_actions: A.
      batch_size: E.
      seed: of the actions' noise; anything that `np.random.default_rng` takes.
    """
    self._network = network
    self._rng = np.random.default_rng(seed)
    self._shape = (batch_size, num_actions)
    self.reset()

    # The Gumbel-max trick: noise from outside keeps the function pure.
    def act(inputs, noise, state):
      outputs, state = network(inputs, state)
      action = tf.argmax(outputs.logits + noise, -1, output_type=tf.int32)
      return action, outputs, state

    self._act = tf.function(act, autograph=False)

  def reset(self):
    """Forgets everything."""
    self.state = self._network.initial_state(self._shape[0])
    self._action = np.zeros(self._shape[0], np.int32)

  def inputs(self, timestep: dm_env.TimeStep) -> types.Inputs:
    """What the network sees of a batched time step, leaves `[E, ...]`."""
    return types.Inputs(
      observation=timestep.observation,
      action=self._action,
      reward=timestep.reward,
      start_of_episode=timestep.step_type == int(dm_env.StepType.FIRST),
    )

  def step(self, inputs: types.Inputs) -> Decision:
    """Samples actions and moves the state on."""
    noise = self._rng.gumbel(size=self._shape).astype(np.float32)
    action, outputs, self.state = self._act(inputs, noise, self.state)
    self._action = action.numpy()
    return Decision(self._action, outputs.logits.numpy(), outputs.value.numpy())

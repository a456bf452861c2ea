"""The actor: steps E environments and writes unrolls."""

from collections.abc import Callable
from typing import Any

import acme
from acme.tf import variable_utils
from acme.utils import counting
from acme.utils import loggers
import dm_env
import numpy as np
import tensorflow as tf
import tree

from ald_acme import policies
from ald_acme import types
from ald_acme.environments import base
from ald_acme.replay import tables
from ald_acme.replay import writer as replay_writer

_LAST = int(dm_env.StepType.LAST)


class UnrollActor:
  """Acts in a batch of environments and writes an unroll every T steps.

  All E environments share one inference, and their T steps share one insert:
  Reverb and Python cost next to nothing per frame.
  """

  def __init__(
    self,
    environment: base.BatchedEnvironment,
    network,
    unroll_length: int,
    writer: replay_writer.Writer,
    variable_client: variable_utils.VariableClient,
    actor_updates: tf.Variable,
    seed: Any,
    stream: int = 0,
    counter: counting.Counter | None = None,
    logger: loggers.Logger | None = None,
  ):
    """Begins an episode in every environment.

    Args:
      environment: stepped by this actor alone.
      network: the acting `PolicyValueNetwork`.
      unroll_length: T.
      writer: of the replay server.
      variable_client: pulls the network's variables and `actor_updates`.
      actor_updates: int64, the age of the network's parameters.
      seed: of the actions.
      stream: number of this actor.
      counter: counts `frames` and `episodes`, and is asked for
        `learner_updates`; one that syncs at once gives the exact lag.
      logger: gets a row per unroll.
    """
    self._environment = environment
    self._length = unroll_length
    self._writer = writer
    self._variable_client = variable_client
    self._actor_updates = actor_updates
    self._stream, self._sequence = stream, 0
    self._counter = counter or counting.Counter()
    self._counts = self._counter.get_counts()
    self._logger = logger
    size = environment.batch_size
    spec = acme.make_environment_spec(environment)
    self._policy = policies.BatchedPolicy(network, spec, size, seed)
    self._timestep = environment.reset()
    self._returns = np.zeros(size)
    self._lengths = np.zeros(size, np.int64)
    self._unroll = self._allocate(size, spec.actions.num_values)

  def _allocate(self, size: int, num_actions: int) -> types.Unroll:
    inputs = self._policy.inputs(self._timestep)

    def per_step(*shape, dtype=np.float32):
      return np.zeros((self._length, size, *shape), dtype)

    return types.Unroll(
      inputs=tree.map_structure(
        lambda x: np.zeros((self._length + 1, *x.shape), x.dtype), inputs
      ),
      action=per_step(dtype=np.int32),
      reward=per_step(),
      discount=per_step(),
      is_last=per_step(dtype=bool),
      behaviour_logits=per_step(num_actions),
      actor_state=None,
      stamp=None,
    )

  def step(self) -> bool:
    """Acts for T steps and writes them; False if the program stopped."""
    actor_updates, learner_updates = self._ages()
    unroll, returns, lengths = self._act()
    numbers = (self._stream, self._sequence, actor_updates, learner_updates)
    stamp = types.Stamp(*(np.int64(number) for number in numbers))
    if not self._writer.write(
      unroll._replace(stamp=stamp), {tables.QUEUE: lambda x: x}
    ):
      return False
    self._sequence += 1
    frames = int((~unroll.is_last).sum())
    self._counts = self._counter.increment(frames=frames, episodes=len(returns))
    # Pulling here, after the wait, gives the next unroll the newest policy.
    self._variable_client.update_and_wait()
    if self._logger:
      now = self._ages()
      self._logger.write(
        {
          'frames': self._counts.get('frames', 0),
          'episodes': self._counts.get('episodes', 0),
          'return': float(np.mean(returns)) if returns else float('nan'),
          'episode_length': float(np.mean(lengths))
          if lengths
          else float('nan'),
          'policy_lag_actor_updates': now[0] - actor_updates,
          'policy_lag_learner_updates': now[1] - learner_updates,
        }
      )
    return True

  def _ages(self) -> tuple[int, int]:
    """Updates of the parameters that act, and of the learner by now."""
    learner_updates = int(self._counts.get('learner_updates', 0))
    return int(self._actor_updates), learner_updates

  def _act(self) -> tuple[types.Unroll, list[float], list[int]]:
    """Fills the unroll's buffers; also the finished episodes' results."""
    unroll, policy = self._unroll, self._policy
    unroll = unroll._replace(actor_state=policy.state)
    returns, lengths = [], []

    def store(t, inputs):
      tree.map_structure(
        lambda buffer, x: buffer.__setitem__(t, x), unroll.inputs, inputs
      )

    for t in range(self._length):
      if t:
        self._variable_client.update(wait=True)
      inputs = policy.inputs(self._timestep)
      store(t, inputs)
      unroll.is_last[t] = self._timestep.step_type == _LAST
      decision = policy.step(inputs)
      unroll.action[t] = decision.action
      unroll.behaviour_logits[t] = decision.logits
      self._timestep = self._environment.step(decision.action)
      unroll.reward[t] = self._timestep.reward
      unroll.discount[t] = self._timestep.discount
      self._returns += self._timestep.reward
      self._lengths += ~unroll.is_last[t]
      ended = np.flatnonzero(self._timestep.step_type == _LAST)
      if ended.size:
        returns.extend(self._returns[ended].tolist())
        lengths.extend(self._lengths[ended].tolist())
        self._returns[ended] = 0.0
        self._lengths[ended] = 0
    store(self._length, policy.inputs(self._timestep))
    return unroll, returns, lengths

  def run(self, should_stop: Callable[[], bool] = lambda: False):
    """Acts until told to stop."""
    while not should_stop() and self.step():
      pass

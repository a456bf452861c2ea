"""Trials: several episodes of one task, played with one memory.

The setting of RL^2 (Duan et al., 2016, https://arxiv.org/abs/1611.02779; Wang
et al., 2016, https://arxiv.org/abs/1611.05763): what an agent finds out about
its task in one episode pays in the next.
"""

from collections.abc import Sequence
from typing import Any

import dm_env
from dm_env import specs
import numpy as np

from ald_acme.environments import base
from ald_acme.environments import checks

_FIRST, _MID, _LAST = (int(step_type) for step_type in dm_env.StepType)


class Trials(base.BatchedEnvironment):
  """Joins several episodes of one task into one.

  A trial is an episode to the agent, so memory is kept throughout. The
  end of an episode within is a MID step with a discount of 1: the action that
  follows has no effect, and leads to the first step of the next episode, which
  is a MID step without reward. A trial ends with its last episode.

  Observations are a dictionary: `observation`, the environment's own, and
  `episode_end`, float32 `[1]`, 1 where an episode has just ended and else 0.
  That one flag is enough: the step after it begins an episode, and so does the
  step at which memory is reset. A flag at the beginnings instead would tell too
  late that the last reward was final and that the next action counts for
  nothing.
  """

  def __init__(self, environment: base.BatchedEnvironment, episodes: int):
    """Wraps the environment, which it owns from now on.

    Args:
      environment: E environments, whose tasks are kept from now on for a trial
        each. Where `keep_tasks` and `new_tasks` do nothing, the episodes of a
        trial have no more in common than any others.
      episodes: N, how many make a trial.

    Raises:
      ValueError: if `episodes` is out of its range.
    """
    checks.integer('episodes', episodes, 1)
    self._environment = environment
    environment.keep_tasks()
    size = environment.batch_size
    self._rows = np.arange(size)
    self._episode = np.zeros(size, np.int64)  # Its number within the trial.
    self._returns = np.zeros((size, episodes))  # Of the trial so far.
    self._finished_returns = np.full((size, episodes), np.nan)
    self._finished = np.ones(size, bool)  # The next step begins a trial.

  @property
  def batch_size(self) -> int:
    return len(self._rows)

  def observation_spec(self) -> dict[str, Any]:
    return {
      'observation': self._environment.observation_spec(),
      'episode_end': specs.BoundedArray(
        (1,), np.float32, 0.0, 1.0, name='episode_end'
      ),
    }

  def action_spec(self) -> Any:
    return self._environment.action_spec()

  def reward_spec(self) -> specs.Array:
    return self._environment.reward_spec()

  def discount_spec(self) -> specs.BoundedArray:
    return self._environment.discount_spec()

  def new_tasks(self, which: np.ndarray):
    """Does nothing: every trial draws a task of its own."""

  def restart(self, which: np.ndarray) -> bool:
    if not self._environment.restart(which):
      return False
    self._finished |= which
    return True

  @property
  def lost(self) -> np.ndarray:
    """As the environment has it; the trial then ends with the episode."""
    return self._environment.lost

  def reset(self) -> dm_env.TimeStep:
    self._finished[:] = True
    self._environment.new_tasks(self._finished.copy())
    return self._timestep(self._environment.reset())

  def step(self, action: Any) -> dm_env.TimeStep:
    if self._finished.any():
      self._environment.new_tasks(self._finished.copy())
    return self._timestep(self._environment.step(action))

  def _timestep(self, inner: dm_env.TimeStep) -> dm_env.TimeStep:
    """Counts the environment's step, and makes it one of the trial's."""
    begins, ends = inner.step_type == _FIRST, inner.step_type == _LAST
    first = self._finished
    self._episode = np.where(first, 0, self._episode + begins)
    self._returns[first] = 0.0
    self._returns[self._rows, self._episode] += inner.reward
    complete = ends & (self._episode == self._returns.shape[1] - 1)
    last = complete | self._environment.lost
    self._finished_returns[complete] = self._returns[complete]
    self._finished = last
    within = (begins & ~first) | (ends & ~last)
    return inner._replace(
      step_type=np.where(within, _MID, inner.step_type),
      discount=np.where(within, np.float32(1.0), inner.discount),
      observation={
        'observation': inner.observation,
        'episode_end': ends[:, np.newaxis].astype(np.float32),
      },
    )

  def metrics(self) -> dict[str, float]:
    """The environment's own, and what adapting has brought.

    `first_episode_return` and `last_episode_return` are those episodes' returns
    in the trial that each environment finished most recently: means over the
    environments, without those that have finished none; nan if none has.
    """
    trials = self._finished_returns[~np.isnan(self._finished_returns[:, 0])]
    means = trials.mean(0) if trials.size else self._finished_returns[0]
    return {
      **self._environment.metrics(),
      'first_episode_return': float(means[0]),
      'last_episode_return': float(means[-1]),
    }

  def action_names(self) -> Sequence[str] | None:
    return self._environment.action_names()

  def agent_in_window(self) -> tuple[int, int] | None:
    return self._environment.agent_in_window()

  def render(self, index: int = 0) -> np.ndarray:
    return self._environment.render(index)

  def close(self):
    self._environment.close()

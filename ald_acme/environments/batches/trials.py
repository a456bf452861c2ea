"""Trials: several episodes of one task, played with one memory.

The setting of RL^2 (Duan et al., 2016, https://arxiv.org/abs/1611.02779; Wang
et al., 2016, https://arxiv.org/abs/1611.05763): what an agent learns about its
task in one episode helps in the next.
"""

from collections.abc import Sequence
from typing import Any

import dm_env
from dm_env import specs
import numpy as np

from ald_acme import validation
from ald_acme.environments.interface import base

_FIRST, _MID, _LAST = (int(step_type) for step_type in dm_env.StepType)


class Trials(base.BatchedEnvironment):
  """Joins several episodes of one task into one.

  A trial is one episode to the agent, so memory is not reset within it. The end
  of an inner episode is a MID step with discount 1: the next action has no
  effect, and leads to the first step of the next episode, a MID step with
  reward 0. A trial ends with its last episode.

  Observations are a dictionary: `observation`, the environment's own, and
  `episode_end`, float32 `[1]`, 1 where an inner episode has just ended and
  otherwise 0. One flag is enough: an episode starts in the step after it, and
  where memory is reset. A flag at the start of episodes would come too late
  to show that the next action has no effect.
  """

  def __init__(
    self, environment: base.BatchedEnvironment, episodes: int
  ) -> None:
    """Wraps the environment and takes ownership.

    Args:
      environment: E environments; each task lasts for a trial. If `keep_tasks`
        and `new_tasks` do nothing, the episodes of a trial share no task.
      episodes: N, episodes per trial.

    Raises:
      ValueError: if `episodes` is out of its range.
    """
    validation.integer('episodes', episodes, 1)
    self._environment = environment
    environment.keep_tasks()
    size = environment.batch_size
    self._rows = np.arange(size)
    self._episode = np.zeros(size, np.int64)  # Index within the trial.
    self._returns = np.zeros((size, episodes))  # In the current trial.
    self._finished_returns = np.full((size, episodes), np.nan)
    self._finished = np.ones(size, bool)  # The next step starts a trial.

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

  def new_tasks(self, which: np.ndarray) -> None:
    """Does nothing: every trial draws its own task."""

  def restart(self, which: np.ndarray) -> bool:
    if not self._environment.restart(which):
      return False
    self._finished |= which
    return True

  @property
  def lost(self) -> np.ndarray:
    """As the environment; the trial then ends with the episode."""
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
    """Converts the environment's time step to the trial's."""
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
    """The environment's metrics, and returns of first and last episodes.

    `first_episode_return` and `last_episode_return` are means over the
    environments, each with its last completed trial; NaN if none has completed
    one.
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

  def close(self) -> None:
    self._environment.close()

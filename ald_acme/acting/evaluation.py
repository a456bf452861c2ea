"""Evaluation on whole episodes, without a bias towards short ones."""

from collections.abc import Callable
import math
from typing import NamedTuple

import dm_env
import numpy as np

from ald_acme import activity
from ald_acme.acting import policies
from ald_acme.environments.interface import base

MAX_STEPS = 10_000  # Default bound of an evaluated episode's length.
_Z = 1.959964  # 97.5% quantile of the standard normal distribution.


class Episodes(NamedTuple):
  """Results of episodes.

  Attributes:
    returns: float64 `[n]`.
    lengths: int64 `[n]`.
    cut: bool `[n]`, whether an episode was truncated at the step limit.
  """

  returns: np.ndarray
  lengths: np.ndarray
  cut: np.ndarray


class Stopped(Exception):
  """Raised when evaluation was stopped before all episodes had ended."""


class Rate(NamedTuple):
  """A share of episodes and its confidence interval, each in [0, 1]."""

  share: float
  low: float
  high: float


def play(
  environment: base.BatchedEnvironment,
  policy: policies.BatchedPolicy,
  max_steps: int = MAX_STEPS,
  should_stop: Callable[[], bool] = lambda: False,
) -> Episodes:
  """Plays exactly one episode in each environment.

  Taking the episodes that end first would favour short ones. An episode lost to
  a failure of its environment is replayed.

  Args:
    environment: E environments, which are reset.
    policy: acts in the batch of E, and is reset.
    max_steps: bound of an episode's length; longer ones are truncated.
    should_stop: called at each step; true stops the evaluation.

  Returns:
    The E episodes.

  Raises:
    Stopped: if `should_stop` returned true.
  """
  policy.reset()
  timestep = environment.reset()
  playing = np.ones(environment.batch_size, bool)
  returns = np.zeros(environment.batch_size)
  lengths = np.zeros(environment.batch_size, np.int64)
  for _ in range(max_steps):
    if should_stop():
      raise Stopped
    action = policy.step(policy.inputs(timestep)).action
    with activity.doing('environment'):
      timestep = environment.step(action)
    returns += np.where(playing, timestep.reward, 0.0)
    lengths += playing & (timestep.step_type != int(dm_env.StepType.FIRST))
    lost = playing & environment.lost
    returns[lost], lengths[lost] = 0.0, 0
    playing &= lost | (timestep.step_type != int(dm_env.StepType.LAST))
    if not playing.any():
      break
  return Episodes(returns, lengths, cut=playing)


def play_many(
  environment: base.BatchedEnvironment,
  policy: policies.BatchedPolicy,
  episodes: int,
  max_steps: int = MAX_STEPS,
  should_stop: Callable[[], bool] = lambda: False,
  after_round: Callable[[], None] = lambda: None,
) -> Episodes:
  """Plays a number of episodes, one in each environment at a time.

  Args:
    environment: E environments, which are reset.
    policy: acts in the batch of E, and is reset.
    episodes: how many; of the last round, those of the first environments
      count, however they ended.
    max_steps: bound of an episode's length; longer ones are truncated.
    should_stop: called at each step; true stops the evaluation.
    after_round: called when each environment has played one more episode.

  Returns:
    The episodes.

  Raises:
    Stopped: if `should_stop` returned true.
  """
  played = []
  for _ in range(math.ceil(episodes / environment.batch_size)):
    played.append(play(environment, policy, max_steps, should_stop))
    after_round()
  return Episodes(*(np.concatenate(part)[:episodes] for part in zip(*played)))


def success_rate(returns: np.ndarray, threshold: float) -> Rate:
  """How often a return is reached, with a 95% interval (Wilson, 1927).

  Unlike a bootstrap's, it does not shrink to a point where all episodes end
  alike.

  Args:
    returns: float `[n]`, at least one.
    threshold: the least return that is a success.
  """
  n = len(returns)
  successes = int(np.sum(returns >= threshold))
  share = successes / n
  centre = (successes + _Z**2 / 2) / (n + _Z**2)
  half = _Z / (n + _Z**2) * math.sqrt(n * share * (1 - share) + _Z**2 / 4)
  return Rate(share, max(0.0, centre - half), min(1.0, centre + half))

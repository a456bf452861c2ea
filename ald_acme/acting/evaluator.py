"""The evaluator: both policies in episodes of their own, as training goes."""

import collections
from collections.abc import Callable
import threading
import time
from typing import NamedTuple

from acme.utils import counting
from acme.utils import loggers
import numpy as np

from ald_acme.acting import evaluation
from ald_acme.acting import policies
from ald_acme.environments import base
from ald_acme.parameters import pulled


class Subject(NamedTuple):
  """A policy under evaluation.

  Attributes:
    environment: one environment for each episode of an evaluation.
    policy: acts in them.
    parameters: of the policy, pulled before each evaluation.
    period: seconds between the starts of evaluations.
  """

  environment: base.BatchedEnvironment
  policy: policies.BatchedPolicy
  parameters: pulled.PulledParameters
  period: float

  def play(self) -> evaluation.Episodes:
    """One episode in each environment with the newest parameters."""
    self.parameters.pull()
    self.policy.load(self.parameters.arrays)
    return evaluation.play(self.environment, self.policy)


class Evaluator:
  """Evaluates the actor's policy often and the learner's less so.

  Actions are sampled, as in acting. Each evaluation is one row of the log.
  """

  def __init__(
    self,
    actor: Subject,
    learner: Subject | None = None,
    counter: counting.Counter | None = None,
    logger: loggers.Logger | None = None,
    clock: Callable[[], float] = time.monotonic,
    remembered: int = 100,
  ):
    """Evaluates nothing yet.

    Args:
      actor: the policy that acts.
      learner: the policy that learns, if it is to be evaluated.
      counter: asked for `frames`.
      logger: gets a row per evaluation.
      clock: tells how long the run has lasted, in seconds.
      remembered: episodes of the actor that `final_return` is the mean of.
    """
    self._actor, self._learner = actor, learner
    self._counter = counter or counting.Counter()
    self._logger = logger or loggers.NoOpLogger()
    self._clock = clock
    self._recent = collections.deque(maxlen=remembered)
    self._lock = threading.Lock()
    self._next_learner = 0.0

  def evaluate(self) -> dict[str, float]:
    """Evaluates now; returns the row.

    The row holds the frames and the seconds of the run at the time the
    parameters were pulled, the mean return and length of the actor's episodes,
    `final_return` over the last episodes, the environment's own metrics, and
    the learner's return, nan where it was not its turn.
    """
    with self._lock:
      counts, seconds = self._counter.get_counts(), self._clock()
      actor = self._actor.play()
      self._recent.extend(actor.returns)
      learner_return = float('nan')
      now = time.monotonic()
      if self._learner and now >= self._next_learner:
        learner_return = float(np.mean(self._learner.play().returns))
        self._next_learner = now + self._learner.period
      row = {
        'frames': counts.get('frames', 0),
        'wall_seconds': seconds,
        'actor_updates': counts.get('actor_updates', 0),
        'learner_updates': counts.get('learner_updates', 0),
        'actor_return': float(np.mean(actor.returns)),
        'actor_episode_length': float(np.mean(actor.lengths)),
        'final_return': float(np.mean(self._recent)),
        'learner_return': learner_return,
        **self._actor.environment.metrics(),
      }
      self._logger.write(row)
    return row

  def run(self, wait: Callable[[float], bool] = lambda _: False):
    """Evaluates until told to stop.

    Args:
      wait: waits that many seconds; true means stop.
    """
    seconds = 0.0
    while not wait(seconds):
      began = time.monotonic()
      self.evaluate()
      seconds = max(0.0, self._actor.period - (time.monotonic() - began))

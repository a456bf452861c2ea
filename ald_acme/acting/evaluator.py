"""The evaluator: evaluates both policies during training."""

import collections
from collections.abc import Callable, Mapping
import contextlib
import math
import threading
import time
from typing import NamedTuple

from acme.utils import counting
from acme.utils import loggers
import numpy as np

from ald_acme import activity
from ald_acme.acting import evaluation
from ald_acme.acting import policies
from ald_acme.environments import base
from ald_acme.parameters import pulled

_POLL = 0.2  # Seconds between looks at the frames.


class Schedule(NamedTuple):
  """When evaluations begin.

  Attributes:
    frames: between the beginnings of evaluations, so that the curves of
      different methods have the same points.
    seconds: that lie between them at least, to bound what they cost.
  """

  frames: int
  seconds: float


class EvaluatedPolicy(NamedTuple):
  """A policy under evaluation.

  Attributes:
    environment: one environment for each episode of an evaluation.
    policy: acts in them.
    parameters: of the policy, pulled before each evaluation.
    schedule: of its evaluations.
  """

  environment: base.BatchedEnvironment
  policy: policies.BatchedPolicy
  parameters: pulled.PulledParameters
  schedule: Schedule


class _Turn:
  """When a policy is evaluated next."""

  def __init__(self, schedule: Schedule) -> None:
    self._schedule = schedule
    self._frames, self._time = 0, -math.inf

  def has_come(self, frames: float) -> bool:
    return frames >= self._frames and time.monotonic() >= self._time

  def begins(self, frames: float) -> None:
    step = self._schedule.frames
    self._frames = (int(frames) // step + 1) * step
    self._time = time.monotonic() + self._schedule.seconds


class Evaluator:
  """Evaluates the actor's policy often and the learner's less so.

  Actions are sampled, as in acting. Each evaluation is one row of the log.
  """

  def __init__(
    self,
    actor: EvaluatedPolicy,
    learner: EvaluatedPolicy | None = None,
    counter: counting.Counter | None = None,
    logger: loggers.Logger | None = None,
    clock: Callable[[], float] = time.monotonic,
    remembered: int = 100,
    max_steps: int = evaluation.MAX_STEPS,
  ) -> None:
    """Schedules the first evaluation.

    Args:
      actor: the policy that acts.
      learner: the policy that learns, if it is to be evaluated.
      counter: asked for `frames`.
      logger: gets a row per evaluation.
      clock: tells how long the run has lasted, in seconds.
      remembered: episodes of the actor that `final_return` is the mean of.
      max_steps: of an episode; those that take longer are cut.
    """
    self._actor, self._learner = actor, learner
    self._counter = counter or counting.Counter()
    self._logger = logger or loggers.NoOpLogger()
    self._clock = clock
    self._recent = collections.deque(maxlen=remembered)
    self._max_steps = max_steps
    self._lock = threading.Lock()
    self._last_asked = threading.Event()

  def evaluate(self) -> dict[str, float]:
    """Evaluates all policies now, and returns the row.

    For the end of a run: an evaluation under way is given up, and there is none
    after it.

    The row holds the frames and the seconds of the run at the time the
    parameters were pulled, the mean return and length of the actor's episodes,
    how many of these were cut, `final_return` over the last episodes, the
    environment's own metrics, the learner's return, nan where it was not its
    turn, and the seconds that the evaluation took.
    """
    self._last_asked.set()
    with self._lock:
      return self._evaluate(self._counter.get_counts(), True, lambda: False)

  def _evaluate(
    self,
    counts: Mapping[str, float],
    learner_too: bool,
    should_stop: Callable[[], bool],
  ) -> dict[str, float]:
    seconds, began = self._clock(), time.monotonic()
    actor = self._play(self._actor, should_stop)
    learner_return = float('nan')
    if self._learner and learner_too:
      learner = self._play(self._learner, should_stop)
      learner_return = float(np.mean(learner.returns))
    self._recent.extend(actor.returns)
    row = {
      'frames': counts.get('frames', 0),
      'wall_seconds': seconds,
      **self._updates(counts),
      'actor_return': float(np.mean(actor.returns)),
      'actor_episode_length': float(np.mean(actor.lengths)),
      'actor_episodes_cut': int(np.sum(actor.cut)),
      'final_return': float(np.mean(self._recent)),
      'learner_return': learner_return,
      'evaluation_seconds': time.monotonic() - began,
      **self._actor.environment.metrics(),
    }
    self._logger.write(row)
    return row

  def _updates(self, counts: Mapping[str, float]) -> dict[str, float]:
    """Updates so far; those of the actor where it is not what learns."""
    names = ['actor_updates'] if self._learner else []
    return {name: counts.get(name, 0) for name in [*names, 'learner_updates']}

  def _play(
    self, subject: EvaluatedPolicy, should_stop: Callable[[], bool]
  ) -> evaluation.Episodes:
    """One episode in each environment with the newest parameters."""
    subject.parameters.pull()
    subject.policy.load(subject.parameters.arrays)
    return evaluation.play(
      subject.environment, subject.policy, self._max_steps, should_stop
    )

  def run(self, wait: Callable[[float], bool] = lambda _: False) -> None:
    """Evaluates on schedule until stopped, or until the last was requested.

    Args:
      wait: waits that many seconds; true means stop.
    """
    actor = _Turn(self._actor.schedule)
    learner = self._learner and _Turn(self._learner.schedule)

    def should_stop():
      return self._last_asked.is_set() or wait(0.0)

    while not should_stop():
      with self._lock, contextlib.suppress(evaluation.Stopped):
        counts = self._counter.get_counts()
        frames = counts.get('frames', 0)
        if actor.has_come(frames):
          actor.begins(frames)
          learner_too = bool(learner) and learner.has_come(frames)
          if learner_too:
            learner.begins(frames)
          self._evaluate(counts, learner_too, should_stop)
      with activity.resting():
        wait(_POLL)
    with activity.resting():  # Its node stays, for the last evaluation.
      while not wait(_POLL):
        pass

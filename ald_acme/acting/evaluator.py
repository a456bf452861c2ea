"""Evaluates policies during training."""

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

_POLL = 0.2  # Seconds between reads of the frame count.


class Schedule(NamedTuple):
  """When evaluations start.

  Attributes:
    frames: frames between starts of evaluations, which gives the curves of
      different methods the same points.
    seconds: least time between starts, which bounds the cost.
  """

  frames: int
  seconds: float


class EvaluatedPolicy(NamedTuple):
  """A policy under evaluation.

  Attributes:
    environment: a batch of one environment per episode of an evaluation.
    policy: acts in them.
    parameters: the policy's parameters, pulled before each evaluation.
    schedule: schedule of its evaluations.
  """

  environment: base.BatchedEnvironment
  policy: policies.BatchedPolicy
  parameters: pulled.PulledParameters
  schedule: Schedule


class _Turn:
  """Decides when a policy is evaluated next."""

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
  """Evaluates the actor's policy, and less often the learner's.

  Actions are sampled, as during acting. Each evaluation logs one row.
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
    """Prepares the first evaluation.

    Args:
      actor: the acting policy.
      learner: the learner's policy; None to leave it out.
      counter: provides `frames`.
      logger: receives a row per evaluation.
      clock: returns seconds since the run started.
      remembered: `final_return` is the mean over this number of the actor's
        latest episodes.
      max_steps: bound of an episode's length; longer ones are truncated.
    """
    self._actor, self._learner = actor, learner
    self._counter = counter or counting.Counter()
    self._logger = logger or loggers.NoOpLogger()
    self._clock = clock
    self._recent: collections.deque[float] = collections.deque(
      maxlen=remembered
    )
    self._max_steps = max_steps
    self._lock = threading.Lock()
    self._last_asked = threading.Event()

  def evaluate(self) -> dict[str, float]:
    """Evaluates all policies now, and returns the row.

    Call it at the end of a run: it stops an evaluation in progress and is the
    last.

    The row holds the run's frames and seconds when the parameters were pulled,
    the mean return and length of the actor's episodes, how many of them were
    truncated, `final_return`, the environment's own metrics, the learner's
    return (NaN if it was not evaluated), and the duration of the evaluation in
    seconds.
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
      'final_return': float(np.mean(list(self._recent))),
      'learner_return': learner_return,
      'evaluation_seconds': time.monotonic() - began,
      **self._actor.environment.metrics(),
    }
    self._logger.write(row)
    return row

  def _updates(self, counts: Mapping[str, float]) -> dict[str, float]:
    """Updates so far; also of the actor if it is not the learner."""
    names = ['actor_updates'] if self._learner else []
    return {name: counts.get(name, 0) for name in [*names, 'learner_updates']}

  def _play(
    self, subject: EvaluatedPolicy, should_stop: Callable[[], bool]
  ) -> evaluation.Episodes:
    """Plays one episode per environment with the newest parameters."""
    subject.parameters.pull()
    subject.policy.load(subject.parameters.arrays)
    return evaluation.play(
      subject.environment, subject.policy, self._max_steps, should_stop
    )

  def run(self, wait: Callable[[float], bool] = lambda _: False) -> None:
    """Evaluates on schedule until stopped or until `evaluate` is called.

    Args:
      wait: sleeps for a number of seconds; true means stop.
    """
    actor = _Turn(self._actor.schedule)
    learner = _Turn(self._learner.schedule) if self._learner else None

    def should_stop() -> bool:
      return self._last_asked.is_set() or wait(0.0)

    while not should_stop():
      with self._lock, contextlib.suppress(evaluation.Stopped):
        counts = self._counter.get_counts()
        frames = counts.get('frames', 0)
        if actor.has_come(frames):
          actor.begins(frames)
          learner_too = False
          if learner and learner.has_come(frames):
            learner.begins(frames)
            learner_too = True
          self._evaluate(counts, learner_too, should_stop)
      with activity.resting():
        wait(_POLL)
    with activity.resting():  # The node stays up to serve `evaluate`.
      while not wait(_POLL):
        pass

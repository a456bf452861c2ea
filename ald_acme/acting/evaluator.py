"""Evaluates policies during training."""

import collections
from collections.abc import Callable, Mapping, Sequence
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
from ald_acme.environments.interface import base
from ald_acme.parameters import pulled

_POLL = 0.2  # Seconds between reads of the frame count.


class Schedule(NamedTuple):
  """When evaluations start, and their size.

  Attributes:
    frames: frames between starts of evaluations, which gives the curves of
      different methods the same points.
    seconds: least time between starts.
    episodes: episodes of the last evaluation, and the most of any other.
    share: evaluated steps per frame of training. It bounds the number of
      episodes, but every environment plays one.
  """

  frames: int
  seconds: float
  episodes: int
  share: float


class EvaluatedPolicy(NamedTuple):
  """A policy under evaluation.

  Attributes:
    environment: plays one episode per round in each of its environments.
    policy: acts in them.
    parameters: the policy's parameters, pulled before each evaluation.
    schedule: schedule of its evaluations.
  """

  environment: base.BatchedEnvironment
  policy: policies.BatchedPolicy
  parameters: pulled.PulledParameters
  schedule: Schedule


class _Turn:
  """Decides when a policy is evaluated next, and on how many episodes."""

  def __init__(self, subject: EvaluatedPolicy) -> None:
    self.subject = subject
    self._schedule = subject.schedule
    self._frames, self._time = 0, -math.inf
    self._length = math.inf  # Mean length of the latest episodes.

  def has_come(self, frames: float) -> bool:
    return frames >= self._frames and time.monotonic() >= self._time

  def begins(self, frames: float) -> None:
    step = self._schedule.frames
    self._frames = (int(frames) // step + 1) * step
    self._time = time.monotonic() + self._schedule.seconds

  def play(
    self, is_last: bool, max_steps: int, should_stop: Callable[[], bool]
  ) -> tuple[evaluation.Episodes, dict[str, float]]:
    """Plays episodes with the newest parameters.

    Returns:
      The episodes, and the environment's metrics, means over the rounds.
    """
    subject = self.subject
    metrics: list[Mapping[str, float]] = []
    subject.parameters.pull()
    subject.policy.load(subject.parameters.arrays)
    episodes = evaluation.play_many(
      subject.environment,
      subject.policy,
      self._schedule.episodes if is_last else self._affordable(),
      max_steps,
      should_stop,
      lambda: metrics.append(subject.environment.metrics()),
    )
    self._length = max(1.0, float(np.mean(episodes.lengths)))
    return episodes, _means(metrics)

  def _affordable(self) -> int:
    """Number of episodes that the share permits, for whole rounds.

    It is chosen beforehand, because stopping at a number of steps would favour
    short episodes.
    """
    batch = self.subject.environment.batch_size
    steps = self._schedule.share * self._schedule.frames
    rounds = max(1.0, steps // (batch * self._length))
    return int(min(self._schedule.episodes, batch * rounds))


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
    clock: Callable[[], float] | None = None,
    remembered: int = 100,
    max_steps: int = evaluation.MAX_STEPS,
  ) -> None:
    """Prepares the first evaluation.

    Args:
      actor: the acting policy.
      learner: the learner's policy; None to leave it out.
      counter: provides `frames`.
      logger: receives a row per evaluation.
      clock: returns seconds since the run started; by default since this
        object was created.
      remembered: `final_return` is the mean over this number of the actor's
        latest episodes.
      max_steps: bound of an episode's length; longer ones are truncated.
    """
    self._actor = _Turn(actor)
    self._learner = _Turn(learner) if learner else None
    self._counter = counter or counting.Counter()
    self._logger = logger or loggers.NoOpLogger()
    created = time.monotonic()
    self._clock = clock or (lambda: time.monotonic() - created)
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
    the mean return and length of the actor's episodes, their number, how many
    were truncated, `final_return`, the environment's own metrics, the learner's
    return (NaN if it was not evaluated), and the duration of the evaluation in
    seconds.
    """
    self._last_asked.set()
    with self._lock:
      counts = self._counter.get_counts()
      return self._evaluate(counts, True, True, lambda: False)

  def _evaluate(
    self,
    counts: Mapping[str, float],
    learner_too: bool,
    is_last: bool,
    should_stop: Callable[[], bool],
  ) -> dict[str, float]:
    seconds, began = self._clock(), time.monotonic()
    actor, metrics = self._actor.play(is_last, self._max_steps, should_stop)
    learner_return = float('nan')
    if self._learner and learner_too:
      learner, _ = self._learner.play(is_last, self._max_steps, should_stop)
      learner_return = float(np.mean(learner.returns))
    self._recent.extend(actor.returns)
    row = {
      'frames': counts.get('frames', 0),
      'wall_seconds': seconds,
      **self._updates(counts),
      'actor_return': float(np.mean(actor.returns)),
      'actor_episode_length': float(np.mean(actor.lengths)),
      'actor_episodes': len(actor.returns),
      'actor_episodes_cut': int(np.sum(actor.cut)),
      'final_return': float(np.mean(list(self._recent))),
      'learner_return': learner_return,
      'evaluation_seconds': time.monotonic() - began,
      **metrics,
    }
    self._logger.write(row)
    return row

  def _updates(self, counts: Mapping[str, float]) -> dict[str, float]:
    """Updates so far; also of the actor if it is not the learner."""
    names = ['actor_updates'] if self._learner else []
    return {name: counts.get(name, 0) for name in [*names, 'learner_updates']}

  def run(self, wait: Callable[[float], bool] = lambda _: False) -> None:
    """Evaluates on schedule until stopped or until `evaluate` is called.

    Args:
      wait: sleeps for a number of seconds; true means stop.
    """
    actor, learner = self._actor, self._learner

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
          self._evaluate(counts, learner_too, False, should_stop)
      with activity.resting():
        wait(_POLL)
    with activity.resting():  # The node stays up to serve `evaluate`.
      while not wait(_POLL):
        pass


def _means(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
  """The mean of each metric; NaN only if it always is."""
  means = {}
  for name in rows[0] if rows else ():
    known = [row[name] for row in rows if not math.isnan(row[name])]
    means[name] = float(np.mean(known)) if known else math.nan
  return means

"""The monitor: writes progress and checkpoints, and ends the run."""

from collections.abc import Callable, Mapping
import dataclasses
import math
import threading
import time
from typing import Any

from absl import logging

from ald_acme.runs import asking
from ald_acme.runs import checkpoints
from ald_acme.runs import counts as run_counts
from ald_acme.runs import files
from ald_acme.runs import folder as run_folder
from ald_acme.runs import gathering
from ald_acme.runs import heartbeats
from ald_acme.runs import indicators as run_indicators
from ald_acme.runs import solving
from ald_acme.runs import speed

_PERIOD = 0.5  # Seconds between reads of the counts.
_COUNTING = 5.0  # Seconds for the counter's reply.
_BRIEF = 2.0  # As `_COUNTING`, at the end.
_SETTLED = 1.5  # Seconds without an update after which parameters are final.
_SETTLING = 15.0  # Longest wait for final parameters, in seconds.
_UNSETTLED = 10.0  # Seconds for a node to report a compilation.
_LAST_EVALUATION = 60.0  # Seconds; more if evaluations are slow.
_FIRST_CHECKPOINT = 5.0  # At most so many seconds after the first frames.
_TROUBLE = 60.0  # Seconds of failing writes before the run ends.
_SHOWN = 2.0  # Seconds between writes of progress during calls.


@dataclasses.dataclass
class Goal:
  """When a run ends, and which returns are recorded.

  Attributes:
    max_frames: environment frames; 0: no limit.
    target_return: return of an evaluation of the actor; None: no target.
    solved_return: the task is solved after three consecutive evaluations of the
      actor with this return; None: unknown.
    stall_warning: seconds without progress after which a node is reported.
    stall_limit: seconds without progress after which the run ends; 0: never.
    last_episodes: episodes of the last evaluation, which may have more than
      others; 0: no more.
  """

  max_frames: int = 0
  target_return: float | None = None
  solved_return: float | None = None
  stall_warning: float = 40.0
  stall_limit: float = 0.0
  last_episodes: int = 0


@dataclasses.dataclass
class Sources:
  """The nodes that the monitor calls.

  Attributes:
    counter: an `acme` counter of the whole program.
    savers: parts with `save`, by their names in a checkpoint.
    evaluator: does the last evaluation.
  """

  counter: Any
  savers: Mapping[str, Any]
  evaluator: Any


class Monitor:
  """Receives all nodes' reports; writes progress, checkpoints, summary.

  A checkpoint holds the states of all parts in one file. They are requested in
  parallel, and the parts continue meanwhile.
  """

  def __init__(
    self,
    folder: run_folder.RunFolder,
    sources: Sources,
    goal: Goal,
    indicators: run_indicators.Indicators,
    checkpoint_period: float,
    checkpoints_kept: int,
    launched: float | None = None,
    earlier: dict[str, Any] | None = None,
    earlier_counts: Mapping[str, float] | None = None,
    on_end: Callable[[], None] = lambda: None,
  ) -> None:
    """Starts the clocks.

    Args:
      folder: the run's folder.
      sources: the nodes to request counts and states from.
      goal: when the run ends.
      indicators: the agent's values in progress and summary.
      checkpoint_period: seconds between checkpoints.
      checkpoints_kept: number of checkpoints to keep.
      launched: time of the launch, seconds since the epoch; by default now.
      earlier: the monitor's state in the checkpoint that the run resumes from.
      earlier_counts: the counts in it, from which ratios are measured.
      on_end: called last; it stops the program.
    """
    self._folder, self._sources, self._goal = folder, sources, goal
    self._indicators = indicators
    self._checkpoints = checkpoints.CheckpointFolder(
      folder.checkpoints, checkpoints_kept
    )
    self._gatherer = gathering.Gatherer(
      sources.savers, sources.counter, self._checkpoints, indicators.counts
    )
    self._checkpoint_period = checkpoint_period
    self._on_end = on_end
    earlier = earlier or {}
    self._earlier_seconds = float(earlier.get('wall_seconds', 0.0))
    self._solving = solving.Solving(goal.solved_return, earlier)
    self._launched = launched or time.time()
    self._speed = speed.Speed()
    self._heartbeats = heartbeats.Heartbeats(
      min(goal.stall_warning, goal.stall_limit or math.inf)
    )
    self._trouble_since: dict[str, float] = {}  # By what could not be written.
    self._longest_evaluation = 0.0  # Seconds, for the last one's episodes.
    self._reports: dict[str, dict[str, float]] = {}
    self._counts: dict[str, float] = {}
    self._earlier_counts = dict(earlier_counts or {})
    self._stop_reason: str | None = None
    self._failed = ''
    self._stalled = False
    self._shown_at = -math.inf  # Monotonic seconds.
    self._stop_requested = threading.Event()
    self._ended = threading.Event()

  # --- Called by other processes.

  def report(self, node: str, row: Mapping[str, float]) -> None:
    """Receives the newest row of a node's log."""
    self._reports.setdefault(node, {}).update(
      {k: v for k, v in row.items() if not math.isnan(v)}
    )
    if node == 'evaluator':
      self._take_evaluation(row)

  def _take_evaluation(self, row: Mapping[str, float]) -> None:
    seconds = row.get('evaluation_seconds', 0.0)
    if 'actor_episodes' in row:
      seconds *= max(1.0, self._goal.last_episodes / row['actor_episodes'])
    self._longest_evaluation = max(self._longest_evaluation, seconds)
    self._solving.take(row, self._stop_reason == 'target_return')
    target = self._goal.target_return
    if target is not None and row['actor_return'] >= target:
      self.request_stop('target_return')

  def beat(self, node: str, *told: Any) -> None:
    """Receives a node's heartbeat; arguments as of `Heartbeats.beat`."""
    self._heartbeats.beat(node, *told)

  def request_stop(self, reason: str, failed: str = '') -> None:
    """Ends the run; the first reason counts, and any failed node.

    Args:
      reason: for the summary.
      failed: name of a node that has ended or stalled; '' if there is none.
    """
    if self._stop_reason is None:
      self._stop_reason = reason
    self._failed = self._failed or failed
    self._stop_requested.set()

  def wait_for_end(self, seconds: float) -> bool:
    """Waits for the end of the run; false on timeout."""
    return self._ended.wait(seconds)

  # --- The node's own loop.

  def run(self, should_stop: Callable[[], bool] = lambda: False) -> None:
    """Monitors until the goal is reached or a stop is requested."""
    next_checkpoint = math.inf
    while not self._stop_requested.wait(_PERIOD):
      if should_stop():  # Stopped from outside: the other nodes have ended.
        self._write_end('terminated')
        return
      self._count()
      if self._goal.max_frames and self._frames >= self._goal.max_frames:
        self.request_stop('max_frames')
      now = time.monotonic()
      if self._speed.has_begun and next_checkpoint == math.inf:
        next_checkpoint = now + min(self._checkpoint_period, _FIRST_CHECKPOINT)
      self._look_for_stalls()
      self._try(self._write_progress, 'progress.json')
      if now >= next_checkpoint:
        self._try(self._save, 'a checkpoint')
        next_checkpoint = time.monotonic() + self._checkpoint_period
    self._end()

  @property
  def _frames(self) -> int:
    return int(self._counts.get('frames', 0))

  def _count(self) -> None:
    ending = self._stop_reason is not None
    answers, errors = asking.ask_all(
      {'counts': self._sources.counter.get_counts},
      _BRIEF if ending else _COUNTING,
      lambda: not ending and self._stop_requested.is_set(),
    )
    if errors:  # The launcher notices if it has ended.
      logging.warning('The counter does not respond: %s', errors['counts'])
      return
    self._take_counts(dict(answers['counts']))

  def _take_counts(self, counts: dict[str, float]) -> None:
    self._counts = counts
    self._speed.count(self._frames)

  def _look_for_stalls(self) -> bool:
    """Checks for stalled nodes; returns whether the run must end."""
    limit = self._goal.stall_limit
    for stall in self._heartbeats.stalls():
      if limit and stall.seconds > limit:
        self._stalled = True
        # Only responsive nodes are asked for their states.
        self.request_stop(str(stall), stall.node if stall.silent else '')
    return self._stop_requested.is_set()

  def _try(self, write: Callable[[], Any], what: str) -> None:
    """Writes; ends the run if that fails for long."""
    try:
      write()
      self._trouble_since.pop(what, None)
    except OSError as error:
      now = time.monotonic()
      if what not in self._trouble_since:
        self._trouble_since[what] = now
        logging.warning(
          'Cannot write %s (%s); the run ends if that lasts %.0f s.',
          what,
          error,
          _TROUBLE,
        )
      elif now - self._trouble_since[what] > _TROUBLE:
        self.request_stop(f'{what} cannot be written ({error})')

  def _save(self) -> None:
    """Writes a checkpoint, unless too few parts respond.

    Raises:
      OSError: if it cannot be written.
    """
    ending = self._stop_reason is not None
    state = self._gatherer.gather(
      self._is_gone,
      bool(self._failed) or self._stalled,
      self._counts,
      # A stop requested meanwhile retries, with a shorter timeout.
      self._with_progress(lambda: not ending and self._look_for_stalls()),
    )
    if state is None:
      return
    self._take_counts(state[gathering.COUNTS])
    state['run'] = {
      'wall_seconds': self._wall_seconds(),
      **self._solving.saved,
    }
    logging.info('Saved %s', self._checkpoints.save(state))

  def _is_gone(self, part: str) -> bool:
    """Whether a part belongs to the failed node; nodes count from 0."""
    return self._failed in (part, f'{part}_0')

  def _end(self) -> None:
    """Stops acting, evaluates, saves and writes the summary, in this order.

    Raises:
      OSError: if the summary cannot be written.
    """
    if not self._is_gone('counter'):
      stop = {run_counts.STOP_ACTING: 1}
      asking.ask_all(
        {'counter': lambda: self._sources.counter.increment(**stop)}, _BRIEF
      )
    self._try(self._write_progress, 'progress.json')
    if not self._failed and self._stop_reason in run_folder.GOALS:
      self._settle()
      self._evaluate()
    self._try(self._save, 'a checkpoint')
    try:
      self._write_end(self._outcome())
    finally:
      self._ended.set()
      self._on_end()

  def _settle(self) -> None:
    """Waits until the queues are drained and updates have stopped.

    If there was no update, the first may still be compiling.
    """
    counts, began = None, time.monotonic()
    while not self._failed:
      self._count()
      self._show_progress()
      learned, now = self._has_learned(), time.monotonic()
      waits = not learned and self._heartbeats.preparing()
      if counts != self._counts or waits:
        counts, since = self._counts, now
      longest = _SETTLING if learned else heartbeats.PREPARING
      if now >= min(
        began + longest, since + (_SETTLED if learned else _UNSETTLED)
      ):
        return
      time.sleep(_PERIOD)

  def _has_learned(self) -> bool:
    """Whether the learner has updated in this launch, or need not."""
    done, before = (
      counts.get('learner_updates', 0)
      for counts in (self._counts, self._earlier_counts)
    )
    return done > before or not self._indicators.first_update

  def _outcome(self) -> str:
    """The reason for the end of the run, for the summary."""
    if self._stop_reason == 'max_frames' and not self._has_learned():
      return (
        f'the learner did no update in {self._frames:,} frames; the first '
        f'needs {self._indicators.first_update}. Lower one of these, or raise '
        'max_frames'
      )
    return self._stop_reason or ''

  def _evaluate(self) -> None:
    patience = max(
      _LAST_EVALUATION, 5 * self._longest_evaluation, self._wall_seconds() / 10
    )
    answers, errors = asking.ask_all(
      {'evaluation': self._sources.evaluator.evaluate},
      patience,
      self._with_progress(lambda: bool(self._failed)),
    )
    if errors:  # The summary must still be written.
      logging.warning('No last evaluation: %s', errors['evaluation'])
    else:
      self.report('evaluator', answers['evaluation'])

  # --- Progress and summary.

  def _wall_seconds(self) -> float:
    return self._earlier_seconds + time.time() - self._launched

  def _newest(self, node: str, name: str) -> float | None:
    return self._reports.get(node, {}).get(name)

  def _write_progress(self, state: str = '') -> None:
    self._shown_at = time.monotonic()
    if not state:
      state = 'running' if self._speed.has_begun else 'starting'
      state = 'ending' if self._stop_reason is not None else state
    frames, recent = self._frames, self._speed.recent
    eta = None
    if self._goal.max_frames and recent:
      eta = max(0.0, (self._goal.max_frames - frames) / recent)
    progress = {
      'state': state,
      'frames': frames,
      'max_frames': self._goal.max_frames,
      'frames_per_second': round(recent, 1),
      'actor_return': self._newest('evaluator', 'actor_return'),
      'learner_return': self._newest('evaluator', 'learner_return'),
      'eta_seconds': eta,
      'stalls': {s.node: str(s) for s in self._heartbeats.stalls()},
      'preparing': self._heartbeats.preparing(),
      'wall_seconds': round(self._wall_seconds(), 1),
      **self._indicators.progress(
        self._counts, self._earlier_counts, self._reports
      ),
    }
    files.write_json(self._folder.progress, progress)

  def _show_progress(self) -> None:
    """Writes progress if due, during calls to other nodes.

    Otherwise the launcher would report the monitor as stalled.
    """
    if time.monotonic() >= self._shown_at + _SHOWN:
      self._try(self._write_progress, 'progress.json')

  def _with_progress(
    self, should_stop: Callable[[], bool]
  ) -> Callable[[], bool]:
    """Adds `_show_progress` to a condition that is polled during a call."""

    def polled() -> bool:
      self._show_progress()
      return should_stop()

    return polled

  def _write_end(self, reason: str) -> None:
    files.write_json(
      self._folder.summary,
      {
        'frames': self._frames,
        'wall_seconds': round(self._wall_seconds(), 1),
        'frames_per_second': round(self._speed.overall, 1),
        'final_return': self._newest('evaluator', 'final_return'),
        'learner_return': self._newest('evaluator', 'learner_return'),
        **self._solving.summary,
        **self._indicators.summary(self._counts, self._earlier_counts),
        'stopped_because': reason,
      },
    )
    self._write_progress('ended')

"""The monitor: watches a run, saves it, and decides when it is over."""

from collections.abc import Callable, Mapping
import dataclasses
import math
import threading
import time
from typing import Any

from absl import logging
import numpy as np
import tree

from ald_acme.runs import checkpoints
from ald_acme.runs import files
from ald_acme.runs import folder as run_folder
from ald_acme.runs import indicators as run_indicators

_PERIOD = 0.5  # Seconds between looks at the counts.
_SOLVED_AT = ('solved_at_frames', 'solved_at_seconds')


@dataclasses.dataclass
class Goal:
  """When a run is over; 0 means never.

  Attributes:
    max_frames: environment frames.
    target_return: of an evaluation of the actor.
    solved_return: of an evaluation of the actor; the run goes on, and its
      summary says when this was reached.
  """

  max_frames: int = 0
  target_return: float = 0.0
  solved_return: float = 0.0


@dataclasses.dataclass
class Sources:
  """Whom the monitor asks.

  Attributes:
    counter: an `acme` counter of the whole program.
    savers: parts with `save`, by the name that their state has in a
      checkpoint.
    evaluator: asked for one last evaluation.
  """

  counter: Any
  savers: Mapping[str, Any]
  evaluator: Any


class Monitor:
  """Takes reports of all nodes; writes progress, checkpoints and the end.

  A checkpoint holds the states of all parts, asked for one after the other
  while they go on, in one file.
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
  ):
    """Begins to watch.

    Args:
      folder: of the run.
      sources: whom to ask for counts and states.
      goal: when the run is over.
      indicators: what progress and summary show of the agent.
      checkpoint_period: seconds between checkpoints.
      checkpoints_kept: how many to keep.
      launched: when the program was launched, seconds since the epoch; by
        default now.
      earlier: the monitor's part of the checkpoint that the run goes on from.
      earlier_counts: the counts in it; ratios are measured from there on.
      on_end: called last; it stops the program.
    """
    self._folder, self._sources, self._goal = folder, sources, goal
    self._indicators = indicators
    self._checkpoints = checkpoints.CheckpointFolder(
      folder.checkpoints, checkpoints_kept
    )
    self._checkpoint_period = checkpoint_period
    self._on_end = on_end
    earlier = earlier or {}
    self._earlier_seconds = float(earlier.get('wall_seconds', 0.0))
    self._solved_at = {
      name: float(earlier.get(name, math.nan)) for name in _SOLVED_AT
    }
    self._launched = launched or time.time()
    self._first_frames: tuple[float, int] | None = None  # (time, frames)
    self._reports: dict[str, dict[str, float]] = {}
    self._counts: dict[str, float] = {}
    self._earlier_counts = dict(earlier_counts or {})
    self._stop_reason: str | None = None
    self._failed = ''
    self._stop_requested = threading.Event()
    self._ended = threading.Event()

  # --- Called by other processes.

  def report(self, node: str, row: Mapping[str, float]):
    """Takes the newest row of a node's log."""
    self._reports.setdefault(node, {}).update(
      {k: v for k, v in row.items() if not math.isnan(v)}
    )
    if node != 'evaluator':
      return
    actor_return = row['actor_return']
    solved = self._goal.solved_return
    if (
      solved
      and actor_return >= solved
      and math.isnan(self._solved_at[_SOLVED_AT[0]])
    ):
      self._solved_at = dict(
        zip(_SOLVED_AT, (row['frames'], row['wall_seconds']))
      )
    target = self._goal.target_return
    if target and actor_return >= target:
      self.request_stop('target_return')

  def request_stop(self, reason: str, failed: str = ''):
    """Ends the run; the first reason counts.

    Args:
      reason: for the summary.
      failed: name of a node that is gone, '' if all are there.
    """
    if self._stop_reason is None:
      self._stop_reason, self._failed = reason, failed
    self._stop_requested.set()

  def wait_for_end(self, seconds: float) -> bool:
    """Waits until the end is written; false if that takes longer."""
    return self._ended.wait(seconds)

  # --- The node's own loop.

  def run(self, should_stop: Callable[[], bool] = lambda: False):
    """Watches until the goal is reached or a stop is asked for."""
    next_checkpoint = time.monotonic() + self._checkpoint_period
    while not self._stop_requested.wait(_PERIOD):
      if should_stop():  # Stopped from outside: there is nobody left to ask.
        self._write_end('terminated')
        return
      self._count()
      frames = self._counts.get('frames', 0)
      if self._goal.max_frames and frames >= self._goal.max_frames:
        self.request_stop('max_frames')
      self._write_progress('running' if frames else 'starting')
      if time.monotonic() >= next_checkpoint:
        self._save()
        next_checkpoint = time.monotonic() + self._checkpoint_period
    self._write_progress('ending')
    self._end()

  def _count(self):
    try:
      self._counts = self._sources.counter.get_counts()
    except Exception as error:  # The launcher will see that it is gone.
      logging.warning('The counter does not answer: %s', error)
      return
    frames = int(self._counts.get('frames', 0))
    if self._first_frames is None or frames == self._first_frames[1]:
      self._first_frames = (time.time(), frames)

  def _save(self) -> str | None:
    """Writes a checkpoint, or warns why not and gives None."""
    try:
      counts = dict(self._sources.counter.get_counts())
      state = {
        name: saver.save() for name, saver in self._sources.savers.items()
      }
    except Exception as error:  # A node may be gone; its error can be any.
      logging.warning(
        'No checkpoint: a node does not answer, or refuses (%s).', error
      )
      return None
    # The next update will find out; until then the last one is the good one.
    for name, part in state.items():
      if not all(np.isfinite(x).all() for x in tree.flatten(part)):
        logging.warning('No checkpoint: %s is not finite.', name)
        return None
    # Nodes report their counts with delay; their states are exact.
    for count, part in self._indicators.counts.items():
      if 'updates' in state.get(part, {}):
        counts[count] = int(state[part]['updates'])
    self._counts = counts
    state['counts'] = counts
    state['run'] = {
      'wall_seconds': self._wall_seconds(),
      **self._solved_at,
    }
    path = self._checkpoints.save(state)
    logging.info('Saved %s', path)
    return path

  def _end(self):
    if not self._failed and self._stop_reason in (
      'max_frames',
      'target_return',
    ):
      try:
        self.report('evaluator', self._sources.evaluator.evaluate())
      except Exception as error:  # As above; the end must be written.
        logging.warning('No last evaluation: %s', error)
    self._save()
    self._write_end(self._stop_reason)
    self._ended.set()
    self._on_end()

  # --- What people read.

  def _wall_seconds(self) -> float:
    return self._earlier_seconds + time.time() - self._launched

  def _frames_per_second(self) -> float:
    if self._first_frames is None:
      return 0.0
    since, frames = self._first_frames
    seconds = time.time() - since
    if seconds < 1.0:
      return 0.0
    return (self._counts.get('frames', 0) - frames) / seconds

  def _newest(self, node: str, name: str) -> float | None:
    return self._reports.get(node, {}).get(name)

  def _write_progress(self, state: str):
    frames = int(self._counts.get('frames', 0))
    speed = self._frames_per_second()
    eta = None
    if self._goal.max_frames and speed:
      eta = max(0.0, (self._goal.max_frames - frames) / speed)
    progress = {
      'state': state,
      'frames': frames,
      'max_frames': self._goal.max_frames,
      'frames_per_second': round(speed, 1),
      'actor_return': self._newest('evaluator', 'actor_return'),
      'learner_return': self._newest('evaluator', 'learner_return'),
      'eta_seconds': eta,
      'wall_seconds': round(self._wall_seconds(), 1),
      **self._indicators.progress(
        self._counts, self._earlier_counts, self._reports
      ),
    }
    files.write_json(self._folder.progress, progress)

  def _write_end(self, reason: str):
    files.write_json(
      self._folder.summary,
      {
        'frames': int(self._counts.get('frames', 0)),
        'wall_seconds': round(self._wall_seconds(), 1),
        'frames_per_second': round(self._frames_per_second(), 1),
        'final_return': self._newest('evaluator', 'final_return'),
        'learner_return': self._newest('evaluator', 'learner_return'),
        **{k: _none_if_nan(v) for k, v in self._solved_at.items()},
        **self._indicators.summary(self._counts, self._earlier_counts),
        'stopped_because': reason,
      },
    )
    self._write_progress('ended')


def _none_if_nan(x: float) -> float | None:
  return None if math.isnan(x) else x

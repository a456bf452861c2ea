"""Runs a pool of jobs to completion, with a display."""

import signal
import time

import numpy as np
from rich import console as rich_console
from rich import text as rich_text

from ald_acme.runs import progress
from launch.campaigns import jobs

_POLL = 0.25  # Seconds between polls of the processes.


def run(pool: jobs.Pool, console: rich_console.Console) -> bool:
  """Runs and displays a pool to completion; False if interrupted."""
  interrupted = False

  def interrupt(*_: object) -> None:
    nonlocal interrupted
    interrupted = True

  earlier = {
    number: signal.signal(number, interrupt)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
  }
  try:
    with Display(console) as display:
      while not interrupted and pool.step():
        display.show(pool)
        time.sleep(_POLL)
      display.show_failures(pool)
    if interrupted:
      console.print('Stopping: the runs save a checkpoint.')
  finally:  # Leaves no process, even after an error.
    pool.stop()
    for number, handler in earlier.items():
      signal.signal(number, handler)
  return not interrupted


class Display:
  """Displays the progress of a pool, and failures as they occur."""

  def __init__(self, console: rich_console.Console) -> None:
    self._console = console
    self._screen = progress.Screen(console)
    self._failures_shown = 0

  def __enter__(self) -> 'Display':
    self._screen.__enter__()
    return self

  def __exit__(self, *exception: object) -> None:
    self._screen.__exit__(*exception)

  def show(self, pool: jobs.Pool) -> None:
    self.show_failures(pool)
    lines = state(pool)
    self._screen.show(rich_text.Text('\n  '.join(lines)), '  '.join(lines))

  def show_failures(self, pool: jobs.Pool) -> None:
    """Prints new failures."""
    for job, why in pool.failed[self._failures_shown :]:
      self._console.print(f'{job.label} failed: {why}')
    self._failures_shown = len(pool.failed)


def state(pool: jobs.Pool) -> list[str]:
  """Lines about the progress of a pool and of its running jobs."""
  ended = len(pool.done) + len(pool.failed)
  total = ended + len(pool.running) + len(pool.waiting)
  first = f'{len(pool.done)} of {total} done'
  if pool.failed:
    first += f', {len(pool.failed)} failed'
  left = _seconds_left(pool)
  if left is not None:
    first += f', ETA {progress.duration(left)}'
  lines = [first]
  for job, _ in pool.running:
    at = job.progress() or {}
    line = job.label
    if at.get('max_frames'):
      share = at['frames'] / at['max_frames']
      line += f' {at["frames"]:,} of {at["max_frames"]:,} ({share:.0%})'
    lines.append(line)
  return lines


def _seconds_left(pool: jobs.Pool) -> float | None:
  """Estimates it from the durations of other seeds; None without any."""
  if not pool.took:
    return None
  expected = {kind: np.mean(seconds) for kind, seconds in pool.took.items()}
  usual = np.mean(list(expected.values()))
  left = sum(expected.get(job.kind, usual) for job in pool.waiting)
  for job, _ in pool.running:
    eta = (job.progress() or {}).get('eta_seconds')
    left += expected.get(job.kind, usual) if eta is None else eta
  return left / max(1, len(pool.running))

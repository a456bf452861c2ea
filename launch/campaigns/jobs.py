"""A pool of commands, of which a few run at a time, each in a process."""

import abc
from collections.abc import Sequence
import os
import signal
import subprocess
from typing import Any


class Job(abc.ABC):
  """A command and its result.

  Attributes:
    label: name in messages, unique in a pool.
  """

  label: str

  @property
  @abc.abstractmethod
  def kind(self) -> str:
    """Jobs of one kind take about the same time."""

  @property
  @abc.abstractmethod
  def log(self) -> str:
    """Path of the file for its output."""

  @property
  def after(self) -> Sequence[str]:
    """Labels of jobs that must end first."""
    return ()

  @abc.abstractmethod
  def command(self) -> list[str]:
    """The command line."""

  @abc.abstractmethod
  def is_done(self) -> bool:
    """Whether the result exists.

    Raises:
      ValueError: if the result is of another job.
    """

  def prepare(self) -> None:
    """Prepares the place of the result.

    Raises:
      ValueError: if that is impossible.
    """
    return

  def seconds(self) -> float | None:
    """How long the finished job took; None if unknown."""
    return None

  def progress(self) -> dict[str, Any] | None:
    """The contents of a run's progress.json, if it exists."""
    return None


class FileJob(Job):
  """A job whose result is a file or folder, with the log beside it.

  Attributes:
    path: path of the result.
  """

  path: str

  @property
  def kind(self) -> str:
    """The label without its last part; shared by all seeds."""
    return os.path.dirname(self.label)

  @property
  def log(self) -> str:
    return f'{self.path}.log'


class Pool:
  """Runs the jobs whose results do not exist yet.

  Attributes:
    waiting: jobs that have not started, in order.
    running: jobs and their processes.
    done: jobs whose results exist.
    took: durations of the finished jobs in seconds, by kind.
    failed: jobs that ended without a result, and why.
  """

  def __init__(self, jobs: Sequence[Job], workers: int) -> None:
    """Looks for finished jobs; starts nothing.

    Args:
      jobs: jobs in the order in which to run them; of several with the same
        label, the first is used.
      workers: number of jobs that run at a time.

    Raises:
      ValueError: if a result is of another job.
    """
    self._workers = workers
    self.waiting: list[Job] = []
    self.running: list[tuple[Job, subprocess.Popen]] = []
    self.done: list[Job] = []
    self.took: dict[str, list[float]] = {}
    self.failed: list[tuple[Job, str]] = []
    unique: dict[str, Job] = {}
    for job in jobs:
      unique.setdefault(job.label, job)
    for job in unique.values():
      if not self._is_done(job):
        self.waiting.append(job)

  def step(self) -> bool:
    """Collects finished jobs and starts others; False when all have ended."""
    for job, process in list(self.running):
      status = process.poll()
      if status is not None:
        self.running.remove((job, process))
        self._take_in(job, status)
    while len(self.running) < self._workers and (ready := self._next()):
      self.waiting.remove(ready)
      self._start(ready)
    return bool(self.running)

  def _next(self) -> Job | None:
    """The first job whose predecessors have ended, even if they failed."""
    open_jobs = [*self.waiting, *(job for job, _ in self.running)]
    labels = {job.label for job in open_jobs}
    ready = (job for job in self.waiting if not labels.intersection(job.after))
    return next(ready, None)

  def stop(self) -> None:
    """Interrupts the running jobs, and waits until they end."""
    for _, process in self.running:
      process.send_signal(signal.SIGINT)
    for _, process in self.running:
      process.wait()
    self.running.clear()

  def _is_done(self, job: Job) -> bool:
    """Whether a job is done; records it if so."""
    if not job.is_done():
      return False
    self.done.append(job)
    seconds = job.seconds()
    if seconds is not None:
      self.took.setdefault(job.kind, []).append(seconds)
    return True

  def _start(self, job: Job) -> None:
    try:
      if self._is_done(job):  # By another program, meanwhile.
        return
      job.prepare()
      os.makedirs(os.path.dirname(job.log), exist_ok=True)
      with open(job.log, 'w', encoding='utf-8') as log:
        process = subprocess.Popen(
          job.command(),
          stdin=subprocess.DEVNULL,
          stdout=log,
          stderr=subprocess.STDOUT,
          # Not a terminal's Ctrl-C: a second SIGINT ends it at once.
          start_new_session=True,
        )
    except (OSError, ValueError) as error:
      self.failed.append((job, str(error)))
    else:
      self.running.append((job, process))

  def _take_in(self, job: Job, status: int) -> None:
    try:
      if self._is_done(job):  # The result counts, not the exit status.
        return
      says = _last_line(job.log)
    except (OSError, ValueError) as error:
      says = str(error)
    self.failed.append(
      (job, f'ended with status {status}; the end of its log {job.log}: {says}')
    )


def _last_line(path: str) -> str:
  with open(path, encoding='utf-8', errors='replace') as file:
    lines = [line.strip() for line in file if line.strip()]
  return (lines or ['nothing'])[-1][:300]

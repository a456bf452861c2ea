"""What each thread does, for heartbeats and timelines.

A loop reports its progress (`moved`) and what it is about to wait for; the
node's heartbeat reads that. A report costs a microsecond. Named spans of time
can be recorded (`runs.timelines`).
"""

from collections.abc import Callable, Iterator
import contextlib
import os
import sys
import threading
import time
import traceback
from typing import Any, NamedTuple, Protocol

_own = threading.local()


class Span(NamedTuple):
  """A named span of time of one thread.

  Attributes:
    name: name of the work.
    began: seconds since the epoch.
    seconds: duration.
    cpu_seconds: CPU time of the whole process during the span.
    thread: the thread's identifier.
  """

  name: str
  began: float
  seconds: float
  cpu_seconds: float
  thread: int


_record: Callable[[Span], None] | None = None


class _Wait(NamedTuple):
  """What a thread waits for.

  Attributes:
    what: description for people.
    on_others: whether other nodes can end the wait.
    compiles: whether it is a compilation.
  """

  what: str | Callable[[], str]
  on_others: bool
  compiles: bool


class Activity:
  """The activity of one thread: written by it, read by others."""

  def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
    """Creates the activity of the calling thread.

    Args:
      clock: seconds now.
    """
    self._clock = clock
    self._thread = threading.get_ident()
    self._waits: list[_Wait] = []
    self._mirror: Callable[[str], None] | None = None
    self._resting = False
    self._started = False
    self._moved_at = clock()

  def moved(self) -> None:
    """Reports that the loop has done a step."""
    self._moved_at = self._clock()
    self._started = True

  def mirror(self, write: Callable[[str], None]) -> None:
    """Reports each wait as it begins, for another process to read.

    Args:
      write: takes the description, '' when the wait is over.
    """
    self._mirror = write

  def waiting(
    self,
    what: str | Callable[[], str],
    on_others: bool = False,
    name: str = '',
  ) -> contextlib.AbstractContextManager[None]:
    """Declares what the body waits for; the innermost wait counts.

    Args:
      what: description for people, or a function that returns it.
      on_others: whether other nodes can end the wait.
      name: name of the span; '' to record none.
    """
    return self._within(_Wait(what, on_others, False), name)

  @contextlib.contextmanager
  def compiling(self, what: str) -> Iterator[None]:
    """Declares that the body compiles, so that it is not reported as a hang.

    Args:
      what: name of what is compiled, for people.
    """
    with self._within(_Wait(f'compiling {what}', False, True), 'compile'):
      yield
    self.moved()

  @contextlib.contextmanager
  def _within(self, wait: _Wait, name: str) -> Iterator[None]:
    self._waits.append(wait)
    if self._mirror and isinstance(wait.what, str):
      self._mirror(wait.what)
    try:
      if name:
        with doing(name):
          yield
      else:
        yield
    finally:
      self._waits.pop()
      if self._mirror:
        self._mirror('')

  @contextlib.contextmanager
  def resting(self) -> Iterator[None]:
    """Declares that the body may idle without being reported as a hang."""
    self._resting = True
    try:
      yield
    finally:
      self._resting = False
      self.moved()

  @property
  def idle(self) -> float:
    """Seconds since the last step; 0 while it rests."""
    return 0.0 if self._resting else self._clock() - self._moved_at

  @property
  def _wait(self) -> _Wait:
    """The innermost wait."""
    waits = list(self._waits)
    return waits[-1] if waits else _Wait('', False, False)

  @property
  def waits_on_others(self) -> bool:
    """Whether other nodes can end its wait."""
    return self._wait.on_others

  @property
  def prepares(self) -> bool:
    """Whether it compiles, or has not done its first step.

    It may also wait before that step, for example for an environment.
    """
    starts = not (self._started or self._waits or self._resting)
    return starts or self._wait.compiles

  def describe(self) -> str:
    """What it waits for, and its place in the code."""
    what = self._wait.what
    what = what() if callable(what) else what
    frame = sys._current_frames().get(self._thread)
    if frame is None:
      return what
    stack = traceback.extract_stack(frame)
    place = stack[-1]
    where = f'{place.name}, {os.path.basename(place.filename)}:{place.lineno}'
    return f'{what} (in {where})' if what else f'in {where}'


def current() -> Activity:
  """The activity of the calling thread."""
  if not hasattr(_own, 'activity'):
    _own.activity = Activity()
  return _own.activity


def moved() -> None:
  """Reports that the calling thread's loop has done a step."""
  current().moved()


def waiting(
  what: str | Callable[[], str], on_others: bool = False, name: str = ''
) -> contextlib.AbstractContextManager[None]:
  """As `Activity.waiting`, of the calling thread."""
  return current().waiting(what, on_others, name)


def resting() -> contextlib.AbstractContextManager[None]:
  """As `Activity.resting`, of the calling thread."""
  return current().resting()


def compiling(what: str) -> contextlib.AbstractContextManager[None]:
  """As `Activity.compiling`, of the calling thread."""
  return current().compiling(what)


class _Function(Protocol):
  """A `tf.function`."""

  def __call__(self, *arguments: Any) -> Any:
    """Runs it."""

  def get_concrete_function(self, *arguments: Any) -> Any:
    """Makes its graph."""


class Compiled:
  """A `tf.function` whose first call is reported as a compilation."""

  def __init__(self, function: _Function, what: str) -> None:
    """Wraps the function.

    Args:
      function: a `tf.function`, always called with the same shapes.
      what: its name, for people.
    """
    self._function, self._what = function, what
    self._is_compiled = False

  def prepare(self, *arguments: Any) -> None:
    """Traces the graph without running it.

    Args:
      *arguments: of the shapes and structure of later calls.
    """
    with compiling(self._what):
      self._function.get_concrete_function(*arguments)

  def __call__(self, *arguments: Any) -> Any:
    if self._is_compiled:
      return self._function(*arguments)
    with compiling(self._what):
      result = self._function(*arguments)
    self._is_compiled = True
    return result


def record(to: Callable[[Span], None] | None) -> None:
  """Records all spans of this process from now on.

  Args:
    to: called with each span when it ends, in the span's thread; None stops
      recording.
  """
  global _record
  _record = to


@contextlib.contextmanager
def doing(name: str) -> Iterator[None]:
  """Records the body as a named span; spans may be nested."""
  if _record is None:
    yield
    return
  began, at, cpu = time.time(), time.perf_counter(), time.process_time()
  try:
    yield
  finally:
    to = _record
    if to is not None:
      seconds = time.perf_counter() - at
      used = time.process_time() - cpu
      to(Span(name, began, seconds, used, threading.get_ident()))

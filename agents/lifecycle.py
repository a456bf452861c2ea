"""Start and shutdown of a node of a Launchpad program."""

from collections.abc import Callable, Sequence
import multiprocessing
import os
import signal
import threading
import time
import traceback
from typing import Any

from absl import logging
import launchpad as lp

from ald_acme import activity
from ald_acme.runs import heartbeats
from ald_acme.runs import timelines

_LINGER = 3.0  # Seconds; of the ten that Launchpad waits for threads.
_GRACE = 1.0  # Seconds to end by itself; Launchpad kills after ten.
# Libraries that call other nodes; Courier raises errors of pybind11_abseil.
_CALLS = ('pybind11_abseil', 'courier', 'reverb')
_CALLS_IN_TENSORFLOW = (
  'AbortedError',
  'CancelledError',
  'DeadlineExceededError',
  'UnavailableError',
)


class Lifecycle:
  """Shutdown handling of a node; create one first of all.

  In a process of its own a node ignores Ctrl-C (the launcher sees to an
  orderly end), ends when its launcher does, however that ends, and ends within
  seconds of a SIGTERM even if it is stuck in a call that Python cannot
  interrupt.
  """

  def __init__(
    self,
    name: str = '',
    watcher: Any = None,
    serves: bool = False,
    timeline: str = '',
  ) -> None:
    """Installs signal handlers and starts the heartbeat.

    Args:
      name: of the node.
      watcher: a monitor, or a handle of one; None sends no heartbeat.
      serves: whether the node has no loop of its own that could stop.
      timeline: path of a file for the spans of what it does; '' for none.
    """
    self._stop = lp.stop_event()
    self._at_end: list[Callable[[], None]] = []
    self._ending = threading.Lock()
    if timeline:
      timelines.start(name, timeline)
    if watcher is not None:
      heartbeats.start(name, watcher.beat, activity.current(), serves)
    if threading.current_thread() is threading.main_thread():
      signal.signal(signal.SIGINT, signal.SIG_IGN)
      signal.signal(signal.SIGTERM, lambda *_: self._stop.set())
      # A Python handler waits for the main thread; the wake-up pipe does not.
      self._woken, wake = os.pipe()
      os.set_blocking(wake, False)
      signal.set_wakeup_fd(wake)
      threading.Thread(target=self._await_signal, daemon=True).start()
      launcher = multiprocessing.parent_process()
      if launcher:
        threading.Thread(
          target=self._await_end_of, args=(launcher,), daemon=True
        ).start()

  def _await_signal(self) -> None:
    while signal.SIGTERM not in os.read(self._woken, 1):
      pass
    self._stop.set()
    time.sleep(_GRACE)
    self._end()
    logging.info('Still busy after %.0f s: ending the hard way.', _GRACE)
    logging.flush()
    os._exit(0)

  def _await_end_of(self, launcher: Any) -> None:
    launcher.join()
    os.kill(os.getpid(), signal.SIGTERM)

  def should_stop(self) -> bool:
    """Whether the program is ending."""
    return self._stop.is_set()

  def wait(self, seconds: float | None) -> bool:
    """Waits, with None until the end; true if the program is ending."""
    return self._stop.wait(seconds)

  def at_end(self, close: Callable[[], None]) -> None:
    """Has a function called when the node ends, even if it is stuck.

    Args:
      close: flushes what is buffered, within seconds.
    """
    self._at_end.append(close)

  def _end(self) -> None:
    with self._ending:  # Another thread may be closing: wait for it.
      while self._at_end:
        try:
          self._at_end.pop()()
        except Exception:
          logging.warning('Closing failed as the node ended.', exc_info=True)

  def guard(self, run: Callable[[], object]) -> None:
    """Runs a node's loop.

    Calls to nodes that have ended first fail at the program's end. Such an
    error is logged; any other is raised, at whatever time it comes.
    """
    try:
      run()
    except Exception as error:
      # The node that was called may end shortly before this one is told to.
      if not (_is_of_a_call(error) and self._stop.wait(2.0)):
        raise
      logging.info('Ended while a call was under way.', exc_info=True)
    finally:
      self._end()


def _is_of_a_call(error: Exception) -> bool:
  """Whether an error may come from a call to another node."""
  kind = type(error)
  library = kind.__module__.partition('.')[0]
  if library == 'tensorflow':
    return kind.__name__ in _CALLS_IN_TENSORFLOW
  frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
  raised_in = frames[-1].f_globals.get('__name__', '').partition('.')[0]
  return library in _CALLS or (kind is RuntimeError and raised_in in _CALLS)


def _named(name: str, method: Callable[..., Any]) -> Callable[..., Any]:
  """Wraps a method so that timelines show when it serves."""

  def serve(*arguments: Any, **options: Any) -> Any:
    with activity.doing(f'serve {name}'):
      return method(*arguments, **options)

  return serve


class Service:
  """The object of a `CourierNode`: some methods of a part, and its loop."""

  def __init__(
    self, part: Any, methods: Sequence[str], run: Callable[[], object]
  ) -> None:
    """Wraps a part.

    Args:
      part: of the system.
      methods: names of its methods that other nodes may call.
      run: the node's loop; the node ends with it.
    """
    self._run = run
    for method in methods:
      setattr(self, method, _named(method, getattr(part, method)))

  def run(self) -> None:
    self._run()
    if threading.current_thread() is not threading.main_thread():
      # Nodes are threads here, and a call to one that is gone never ends:
      # stay until the calls of other nodes have returned.
      time.sleep(_LINGER)

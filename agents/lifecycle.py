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

_LINGER = 3.0  # Seconds; Launchpad waits ten for threads.
_GRACE = 1.0  # Seconds to end cleanly; Launchpad kills after ten.
# Libraries that make remote calls; Courier raises errors of pybind11_abseil.
_CALLS = ('pybind11_abseil', 'courier', 'reverb')
_CALLS_IN_TENSORFLOW = (
  'AbortedError',
  'CancelledError',
  'DeadlineExceededError',
  'UnavailableError',
)


class Lifecycle:
  """Shutdown handling of a node; create it before anything else.

  In its own process a node ignores Ctrl-C (the launcher shuts down in order),
  ends when its launcher ends or is killed, and ends within seconds of a SIGTERM
  even during a call that Python cannot interrupt.
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
      name: name of the node.
      watcher: a monitor or its handle; None sends no heartbeat.
      serves: whether the node has no loop that could hang.
      timeline: path of the file to record spans in; '' for none.
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
      # A Python handler needs the main thread; the wake-up pipe does not.
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
    logging.info('Still busy after %.0f s: forcing the exit.', _GRACE)
    logging.flush()
    os._exit(0)

  def _await_end_of(self, launcher: Any) -> None:
    launcher.join()
    os.kill(os.getpid(), signal.SIGTERM)

  def should_stop(self) -> bool:
    """Whether the program is ending."""
    return self._stop.is_set()

  def wait(self, seconds: float | None) -> bool:
    """Waits for seconds, or with None until the end; true if ending."""
    return self._stop.wait(seconds)

  def at_end(self, close: Callable[[], None]) -> None:
    """Registers a function to call when the node ends, even if it is stuck.

    Args:
      close: flushes buffers; must return within seconds.
    """
    self._at_end.append(close)

  def _end(self) -> None:
    with self._ending:  # Wait for another thread that is closing.
      while self._at_end:
        try:
          self._at_end.pop()()
        except Exception:
          logging.warning('Closing failed as the node ended.', exc_info=True)

  def guard(self, run: Callable[[], object]) -> None:
    """Runs a node's loop.

    At the program's end, calls to nodes that have already ended fail. Such
    errors are logged; all others are raised.
    """
    try:
      run()
    except Exception as error:
      # The called node may end shortly before this one is stopped.
      if not (_is_of_a_call(error) and self._stop.wait(2.0)):
        raise
      logging.info('Ended during a remote call.', exc_info=True)
    finally:
      self._end()


def _is_of_a_call(error: Exception) -> bool:
  """Whether an error may come from a remote call."""
  kind = type(error)
  library = kind.__module__.partition('.')[0]
  if library == 'tensorflow':
    return kind.__name__ in _CALLS_IN_TENSORFLOW
  frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
  raised_in = frames[-1].f_globals.get('__name__', '').partition('.')[0]
  return library in _CALLS or (kind is RuntimeError and raised_in in _CALLS)


def _named(name: str, method: Callable[..., Any]) -> Callable[..., Any]:
  """Wraps a method so that timelines show its calls."""

  def serve(*arguments: Any, **options: Any) -> Any:
    with activity.doing(f'serve {name}'):
      return method(*arguments, **options)

  return serve


class Service:
  """The object of a `CourierNode`: a part's served methods, and its loop."""

  def __init__(
    self, part: Any, methods: Sequence[str], run: Callable[[], object]
  ) -> None:
    """Wraps a part.

    Args:
      part: the part of the agent that runs in the node.
      methods: names of its methods that other nodes may call.
      run: the node's loop; the node ends when it returns.

    Raises:
      TypeError: if the part lacks one of the methods.
    """
    lacks = [method for method in methods if not hasattr(part, method)]
    if lacks:
      raise TypeError(
        f'{type(part).__name__} must have the methods {", ".join(methods)}, '
        f'which other nodes call, but lacks {", ".join(lacks)}; define them.'
      )
    self._run = run
    for method in methods:
      setattr(self, method, _named(method, getattr(part, method)))

  def run(self) -> None:
    self._run()
    if threading.current_thread() is not threading.main_thread():
      # Nodes are threads here, and a call to one that has ended never returns,
      # so stay until the other nodes' calls have returned.
      time.sleep(_LINGER)

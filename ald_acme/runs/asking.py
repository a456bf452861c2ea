"""Calls to several nodes in parallel, with one timeout."""

from collections.abc import Callable, Mapping
import threading
import time
from typing import Any

_POLL = 0.05  # Seconds between checks for replies.


def ask_all(
  calls: Mapping[str, Callable[[], Any]],
  seconds: float,
  should_stop: Callable[[], bool] = lambda: False,
) -> tuple[dict[str, Any], dict[str, Exception]]:
  """Makes calls, each in its own thread.

  Args:
    calls: functions by name. The replies of late calls are lost.
    seconds: timeout for all of them.
    should_stop: called while waiting; true ends the wait.

  Returns:
    The replies, and an error for each of the other calls, by name.
  """
  answers: dict[str, Any] = {}
  errors: dict[str, Exception] = {}

  def ask(name: str, call: Callable[[], Any]) -> None:
    try:
      answers[name] = call()
    except Exception as error:  # A remote call may raise anything.
      errors[name] = error

  threads = [
    threading.Thread(target=ask, args=item, daemon=True)
    for item in calls.items()
  ]
  for thread in threads:
    thread.start()
  deadline = time.monotonic() + seconds
  # One look at each thread: it may end between two.
  while threads := [thread for thread in threads if thread.is_alive()]:
    if time.monotonic() > deadline or should_stop():
      break
    threads[0].join(_POLL)
  # Copied, so that late replies do not change them.
  answers, errors = dict(answers), dict(errors)
  for name in calls:
    if name not in answers and name not in errors:
      errors[name] = TimeoutError(f'no reply in {seconds:.0f} s')
  return answers, errors

"""Timelines of nodes, as files for Chrome's trace viewer.

A node's file is a JSON list without its closing bracket, which the viewer
accepts, so that it can be appended to. Times are microseconds since the epoch,
so that files of several nodes can be joined. In addition to the spans of
`activity` it holds the process's CPU time and memory once per second.
"""

from collections.abc import Iterable, Iterator
import json
import os
import queue
import resource
import threading
import time
from typing import Any, TextIO

from ald_acme import activity
from ald_acme.runs import files

_PERIOD = 1.0  # Seconds between writes.


def start(node: str, path: str, period: float = _PERIOD) -> threading.Thread:
  """Records the spans of this process from now on.

  Args:
    node: name of the node.
    path: path of the file, which is overwritten.
    period: seconds between writes.
  """
  spans: queue.SimpleQueue[activity.Span] = queue.SimpleQueue()
  files.make_folders(os.path.dirname(path))
  with open(path, 'w', encoding='utf-8') as file:
    file.write('[\n')
    pid = os.getpid()
    _write(
      file,
      [{'ph': 'M', 'name': 'process_name', 'pid': pid, 'args': {'name': node}}],
    )

  def run() -> None:
    while True:
      time.sleep(period)
      taken = [spans.get() for _ in range(spans.qsize())]
      with open(path, 'a', encoding='utf-8') as file:
        _write(file, [_event(span, pid) for span in taken] + [_usage(pid)])

  activity.record(spans.put)
  thread = threading.Thread(target=run, name='timeline', daemon=True)
  thread.start()
  return thread


def _event(span: activity.Span, pid: int) -> dict[str, Any]:
  return {
    'ph': 'X',
    'name': span.name,
    'ts': round(span.began * 1e6),
    'dur': round(span.seconds * 1e6, 1),
    'tdur': round(span.cpu_seconds * 1e6, 1),
    'pid': pid,
    'tid': span.thread,
  }


def _usage(pid: int) -> dict[str, Any]:
  used = {
    'cpu': time.process_time(),
    'peak_mb': resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
  }
  now = round(time.time() * 1e6)
  return {'ph': 'C', 'name': 'usage', 'ts': now, 'pid': pid, 'args': used}


def _write(file: TextIO, events: Iterable[dict[str, Any]]) -> None:
  file.writelines(json.dumps(event) + ',\n' for event in events)


def read(path: str) -> Iterator[dict[str, Any]]:
  """The events of a file, even if its node was killed during a write."""
  with open(path, encoding='utf-8') as file:
    next(file)
    for line in file:
      if line.endswith(',\n'):
        yield json.loads(line[:-2])

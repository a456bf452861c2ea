"""Time that each node spends computing, waiting, pulling and serving.

  uv run benchmarks/timeline.py --seconds=30 --trace=timeline.json

runs `launch/local.py` and prints, for each node and each of its spans, the
share of wall-clock, the share of a core that its process used meanwhile, the
count per second, and the duration in milliseconds. 'rest' is the time outside
all spans. The trace is for chrome://tracing or ui.perfetto.dev. Flags of
local.py come after `--`. A span's time leaves out the spans within it.
"""

import argparse
import collections
import json
import os
import signal
import subprocess
import sys
import tempfile
import time

# In a clone, the imports are one folder up.
sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from launch import bootstrap

bootstrap.prepare()

from ald_acme.runs import curves
from ald_acme.runs import files
from ald_acme.runs import folder as run_folder
from ald_acme.runs import timelines

_LOCAL = os.path.join(bootstrap.ROOT, 'launch', 'local.py')
_START = 300  # Seconds for the start.
_COLUMNS = ('policy_lag', 'teacher_lag', 'learner_age')


def main():
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--seconds', type=float, default=30.0)
  parser.add_argument('--warm_up', type=float, default=10.0, help='seconds')
  parser.add_argument('--trace', default='', help='path of a file to write')
  parser.add_argument('flags', nargs='*', help='of launch/local.py, after --')
  arguments = parser.parse_args()
  with tempfile.TemporaryDirectory() as scratch:
    folder = run_folder.RunFolder(os.path.join(scratch, 'run'))
    command = [sys.executable, _LOCAL, f'--workdir={folder.path}']
    command += ['--config.timeline=True', '--max_frames=0', *arguments.flags]
    began = time.monotonic()
    run = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
      first = _until_frames(run, folder, began)
      time.sleep(arguments.warm_up)
      window = _watch(folder, arguments.seconds)
    finally:
      run.send_signal(signal.SIGINT)
      run.wait()
    print(f'the command to the first frame seen: {first:.1f} s')
    _report(folder, window)
    if arguments.trace:
      _join(folder, arguments.trace)


def _frames(folder) -> float:
  try:
    return files.read_json(folder.progress).get('frames', 0)
  except FileNotFoundError:
    return 0


def _until_frames(run, folder, began: float) -> float:
  """Seconds until the run reports frames."""
  while not _frames(folder):
    if run.poll() is not None or time.monotonic() - began > _START:
      sys.exit('error: the run did not start; try the same with local.py')
    time.sleep(0.05)
  return time.monotonic() - began


def _watch(folder, seconds: float) -> tuple[float, float, float]:
  """Start and end of a window, and the frames in it."""
  frames, began = _frames(folder), time.time()
  time.sleep(seconds)
  return began, time.time(), _frames(folder) - frames


def _report(folder, window: tuple[float, float, float]):
  began, ended, frames = window
  seconds, total = ended - began, 0.0
  print(f'{frames / seconds:,.0f} frames/s in {seconds:.0f} s')
  for column in _COLUMNS:
    for name, values in _logged(folder, column):
      print(f'{name} {column}: {values:.1f}')
  print(f'{"node":18}{"what":28}{"wall":>7}{"cores":>8}{"times/s":>9}{"ms":>9}')
  for name in sorted(os.listdir(folder.timelines)):
    events = list(timelines.read(os.path.join(folder.timelines, name)))
    node = name.removesuffix('.json')
    cores = _cores(events, began, ended)
    total += cores
    print(f'{node:18}{"(all threads)":28}{"":>7}{cores:8.1%}')
    rows = _own_times(events, began * 1e6, ended * 1e6)
    for what, (wall, cpu, times) in sorted(rows.items(), key=_by_wall):
      print(
        f'{"":18}{what:28}{wall / seconds / 1e6:7.1%}'
        f'{cpu / seconds / 1e6:8.1%}{times / seconds:9.1f}'
        f'{wall / times / 1e3:9.2f}'
      )
    known = sum(w for k, (w, _, _) in rows.items() if not _serves(k))
    print(f'{"":18}{"rest":28}{1 - known / seconds / 1e6:7.1%}')
  print(
    f'all nodes: {total:.1%} of a core, '
    f'{total * seconds / max(frames, 1) * 1e6:.0f} us of CPU a frame'
  )


def _by_wall(row) -> tuple[bool, float]:
  what, (wall, _, _) = row
  return _serves(what), -wall


def _serves(what: str) -> bool:
  """Whether a span is of another thread than the node's loop."""
  return what.startswith('serve ')


def _cores(events: list[dict], began: float, ended: float) -> float:
  """Share of a core that a process used in the window."""
  used = [
    (event['ts'] / 1e6, event['args']['cpu'])
    for event in events
    if event['name'] == 'usage' and began <= event['ts'] / 1e6 <= ended
  ]
  if len(used) < 2:
    return 0.0
  (first, before), (last, after) = used[0], used[-1]
  return (after - before) / (last - first)


def _own_times(events, began: float, ended: float) -> dict[str, list[float]]:
  """Time, CPU time and count by span name, without inner spans."""
  rows = collections.defaultdict(lambda: [0.0, 0.0, 0])
  spans = [e for e in events if e['ph'] == 'X' and began <= e['ts'] <= ended]
  open_spans = collections.defaultdict(list)  # By thread, innermost last.
  # Spans that start first are the outer ones.
  for span in sorted(spans, key=lambda e: (e['ts'], -e['dur'])):
    outer = open_spans[span['tid']]
    while outer and outer[-1]['ts'] + outer[-1]['dur'] <= span['ts']:
      outer.pop()
    if outer:
      row = rows[outer[-1]['name']]
      row[0] -= span['dur']
      row[1] -= span['tdur']
    row = rows[span['name']]
    row[0] += span['dur']
    row[1] += span['tdur']
    row[2] += 1
    outer.append(span)
  return rows


def _logged(folder, column: str):
  """Means of a column of the nodes' logs over the run's second half."""
  for name in sorted(os.listdir(folder.logs)):
    node = name.removesuffix('.csv')
    log = curves.read(folder, node)
    if column in log and len(log[column]):
      values = log[column][len(log[column]) // 2 :]
      yield node, float(sum(values) / len(values))


def _join(folder, path: str):
  events = [
    event
    for name in sorted(os.listdir(folder.timelines))
    for event in timelines.read(os.path.join(folder.timelines, name))
  ]
  with open(path, 'w', encoding='utf-8') as file:
    json.dump(events, file)
  print(f'written: {path}')


if __name__ == '__main__':
  main()

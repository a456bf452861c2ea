"""What a long run gathers: memory, descriptors, threads and disk of each node.

  uv run benchmarks/soak.py --minutes=60

runs the tiny preset (the more updates, the more is to be seen), and prints the
slope of each node's memory after a warm-up, in MB an hour and in bytes for each
of its updates, with the standard error of the fit.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time

# In a clone what it imports lies one folder up.
sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from launch import bootstrap

bootstrap.prepare()

import numpy as np
import psutil

from ald_acme.runs import files
from ald_acme.runs import folder as run_folder

_LOCAL = os.path.join(bootstrap.ROOT, 'launch', 'local.py')
_START = 300  # Seconds that the start may take.
_LEAST = 8  # Samples of a fit.
# Which count of a node's own says how much it did.
_UPDATES = {
  'learner': 'learner_updates',
  'learner_runner': 'learner_updates',
  'distiller': 'actor_updates',
}


def main():
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--minutes', type=float, default=60.0)
  parser.add_argument('--warm_up', type=float, default=3.0, help='minutes')
  parser.add_argument('--period', type=float, default=5.0, help='seconds')
  parser.add_argument('flags', nargs='*', help='of launch/local.py, after --')
  arguments = parser.parse_args()
  with tempfile.TemporaryDirectory() as scratch:
    folder = run_folder.RunFolder(os.path.join(scratch, 'run'))
    command = [sys.executable, _LOCAL, f'--workdir={folder.path}']
    command += ['--preset=tiny', '--max_frames=0', '--num_actors=2']
    command += ['--num_distillers=2', *arguments.flags]
    run = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
      rows = _watch(run, folder, arguments)
    finally:
      run.send_signal(signal.SIGINT)
      run.wait()
  _report(rows, arguments.warm_up * 60)


def _watch(run, folder, arguments) -> list[dict]:
  """Samples until the time is over: seconds, counts, disk and nodes."""
  began = time.monotonic()
  while not _progress(folder).get('frames'):
    if run.poll() is not None or time.monotonic() - began > _START:
      sys.exit('error: the run did not start; try the same with local.py')
    time.sleep(1.0)
  nodes = {}
  for process in psutil.Process(run.pid).children(recursive=True):
    log = os.readlink(f'/proc/{process.pid}/fd/1')
    if log.endswith('.log'):
      nodes[os.path.basename(log).removesuffix('.log')] = process
  rows, began = [], time.monotonic()
  while time.monotonic() - began < 60 * (arguments.minutes + arguments.warm_up):
    time.sleep(arguments.period)
    rows.append(
      {
        'seconds': time.monotonic() - began,
        'progress': _progress(folder),
        'disk': _size(folder.path),
        'nodes': {name: _sample(node) for name, node in nodes.items()},
      }
    )
  return rows


def _progress(folder) -> dict:
  try:
    return files.read_json(folder.progress)
  except FileNotFoundError:
    return {}


def _sample(process) -> tuple[int, int, int]:
  """Bytes of memory, descriptors and threads."""
  with process.oneshot():
    memory = process.memory_info().rss
    return memory, process.num_fds(), process.num_threads()


def _size(path: str) -> int:
  return sum(
    os.lstat(os.path.join(within, name)).st_size
    for within, _, names in os.walk(path)
    for name in names
    if os.path.lexists(os.path.join(within, name))
  )


def _report(rows: list[dict], warm_up: float):
  rows = [row for row in rows if row['seconds'] > warm_up]
  if len(rows) < _LEAST:
    sys.exit(f'error: only {len(rows)} samples; give more --minutes')
  hours = np.array([row['seconds'] for row in rows]) / 3_600
  print(
    f'{"node":22}{"MB now":>8}{"MB/hour":>10}{"+-":>7}{"bytes/update":>14}'
    f'{"descriptors":>13}{"threads":>9}'
  )
  for name in rows[0]['nodes']:
    memory, descriptors, threads = np.transpose(
      [row['nodes'][name] for row in rows]
    )
    slope, error = _fit(hours, memory)
    done = _done(rows, name)
    updates = '-' if not done else f'{slope * np.ptp(hours) / done:,.0f}'
    now, slope, error = memory[-1] / 1e6, slope / 1e6, error / 1e6
    print(
      f'{name:22}{now:8,.0f}{slope:10,.1f}{error:7,.1f}{updates:>14}'
      f'{_change(descriptors):>13}{_change(threads):>9}'
    )
  slope, error = _fit(hours, np.array([row['disk'] for row in rows]))
  print(f'disk: {slope / 1e6:,.1f} +- {error / 1e6:,.1f} MB/hour')


def _done(rows: list[dict], name: str) -> float:
  """Updates of a node between the first row and the last."""
  count = _UPDATES.get(name.rstrip('_0123456789'))
  if count is None:
    return 0.0
  done = rows[-1]['progress'].get(count, 0) - rows[0]['progress'].get(count, 0)
  alike = sum(n.startswith('distiller') for n in rows[0]['nodes'])
  return done / alike if count == 'actor_updates' else done


def _fit(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
  """Slope of a line, and its standard error."""
  (slope, _), covariance = np.polyfit(x, y, 1, cov=True)
  return slope, float(np.sqrt(covariance[0, 0]))


def _change(values: np.ndarray) -> str:
  return f'{values[-1]} ({values[-1] - values[0]:+d})'


if __name__ == '__main__':
  main()

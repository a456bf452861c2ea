"""Resource growth of a long run: memory, descriptors, threads and disk.

  uv run benchmarks/soak.py --minutes=60

runs the tiny preset (more updates show leaks sooner), and prints the slope of
each node's memory after a warm-up, in MB/hour and in bytes per update (of the
learner, if a node has none), with the standard error of the fit. The table is
printed every minute and at the end, also at Ctrl-C and SIGTERM.
"""

import argparse
from collections.abc import Iterator
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

import numpy as np
import psutil

from ald_acme.runs import files
from ald_acme.runs import folder as run_folder

_LOCAL = os.path.join(bootstrap.ROOT, 'launch', 'local.py')
_START = 300  # Seconds for the start.
_LEAST = 8  # Least number of samples of a fit.
_REPORT = 60  # Seconds between tables.


def main():
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--minutes', type=float, default=60.0)
  parser.add_argument('--warm_up', type=float, default=3.0, help='minutes')
  parser.add_argument('--period', type=float, default=5.0, help='seconds')
  parser.add_argument('flags', nargs='*', help='of launch/local.py, after --')
  arguments = parser.parse_args()
  signal.signal(signal.SIGTERM, signal.default_int_handler)
  with tempfile.TemporaryDirectory() as scratch:
    folder = run_folder.RunFolder(os.path.join(scratch, 'run'))
    command = [sys.executable, _LOCAL, f'--workdir={folder.path}']
    command += ['--preset=tiny', '--max_frames=0', '--num_actors=2']
    command += ['--num_distillers=2', *arguments.flags]
    run = subprocess.Popen(
      command, stdout=subprocess.DEVNULL, start_new_session=True
    )
    rows, reported = [], 0.0
    try:
      for row in _watch(run, folder, arguments):
        rows.append(row)
        if row['seconds'] - reported > _REPORT:
          reported = row['seconds']
          _report(rows, arguments.warm_up * 60)
    except KeyboardInterrupt:
      print('Interrupted.')
    finally:
      run.send_signal(signal.SIGINT)
      run.wait()
  _report(rows, arguments.warm_up * 60)


def _watch(run, folder, arguments) -> Iterator[dict]:
  """Samples until the time is over: seconds, counts, disk and nodes."""
  began = time.monotonic()
  while not _progress(folder).get('frames'):
    if run.poll() is not None or time.monotonic() - began > _START:
      sys.exit('error: the run did not start; try the same with local.py')
    time.sleep(1.0)
  began = time.monotonic()
  while time.monotonic() - began < 60 * (arguments.minutes + arguments.warm_up):
    time.sleep(arguments.period)
    try:
      yield {
        'seconds': time.monotonic() - began,
        'progress': _progress(folder),
        'disk': _size(folder.path),
        'nodes': {name: _sample(node) for name, node in _nodes(run).items()},
      }
    except (psutil.Error, OSError) as error:  # A node has ended.
      print(f'The run has ended: {error}.')
      return


def _nodes(run) -> dict[str, psutil.Process]:
  """The nodes' processes by their names."""
  nodes = {}
  for process in psutil.Process(run.pid).children(recursive=True):
    log = os.readlink(f'/proc/{process.pid}/fd/1')
    if log.endswith('.log'):
      nodes[os.path.basename(log).removesuffix('.log')] = process
  return nodes


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
  kept = [row for row in rows if row['seconds'] > warm_up]
  seconds = rows[-1]['seconds'] if rows else 0.0
  if len(kept) < _LEAST:
    print(
      f'{seconds:.0f} s: {len(kept)} samples after {warm_up:.0f} s of warm-up; '
      f'a slope needs {_LEAST}.',
      flush=True,
    )
    return
  hours = np.array([row['seconds'] for row in kept]) / 3_600
  print(
    f'\n{seconds:.0f} s\n'
    f'{"node":22}{"MB now":>8}{"MB/hour":>10}{"+-":>7}{"bytes/update":>14}'
    f'{"+-":>7}{"descriptors":>13}{"threads":>9}'
  )
  for name in kept[0]['nodes']:
    memory, descriptors, threads = np.transpose(
      [row['nodes'][name] for row in kept]
    )
    fit = np.array(_fit(hours, memory))
    (slope, error), now = fit / 1e6, memory[-1] / 1e6
    done = _done(kept, name)
    each = fit * np.ptp(hours) / done if done else fit * np.nan
    print(
      f'{name:22}{now:8,.0f}{slope:10,.1f}{error:7,.1f}{each[0]:14,.0f}'
      f'{each[1]:7,.0f}{_change(descriptors):>13}{_change(threads):>9}'
    )
  slope, error = _fit(hours, np.array([row['disk'] for row in kept]))
  print(f'disk: {slope / 1e6:,.1f} +- {error / 1e6:,.1f} MB/hour', flush=True)


def _done(rows: list[dict], name: str) -> float:
  """Updates of a node between the first row and the last."""
  kind = name.rstrip('_0123456789')
  count = 'actor_updates' if kind == 'distiller' else 'learner_updates'
  done = rows[-1]['progress'].get(count, 0) - rows[0]['progress'].get(count, 0)
  alike = sum(n.startswith('distiller') for n in rows[0]['nodes'])
  return done / alike if kind == 'distiller' else done


def _fit(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
  """Slope of a line, and its standard error.

  Memory changes in steps, so samples are correlated: the error is for the
  effective number of independent samples.
  """
  (slope, offset), covariance = np.polyfit(x, y, 1, cov=True)
  residuals = y - slope * x - offset
  square = np.sum(residuals**2)
  alike = np.sum(residuals[1:] * residuals[:-1]) / square if square else 0.0
  alike = np.clip(alike, 0.0, 0.99)
  return slope, float(np.sqrt(covariance[0, 0] * (1 + alike) / (1 - alike)))


def _change(values: np.ndarray) -> str:
  return f'{values[-1]} ({values[-1] - values[0]:+d})'


if __name__ == '__main__':
  main()

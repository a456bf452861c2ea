"""What becomes of a run when something breaks: a campaign of faults.

Each trial starts a small run, breaks something at a random time after the first
frames, and notes how the run ends: the seconds that takes, whether the launcher
names what broke, the frames that no checkpoint holds, and what is left behind.

Example:
  python benchmarks/faults.py --trials=100 --seed=1 --output=docs/faults.md
"""

import argparse
import collections
from collections.abc import Callable, Sequence
import contextlib
import dataclasses
import fcntl
import json
import os
import pty
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import termios
import time

import numpy as np
import psutil

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, ROOT)

from ald_acme.runs import checkpoints
from ald_acme.runs import folder as run_folder

NODES = (
  'replay_0',
  'counter_0',
  'learner_0',
  'learner_runner_0',
  'actor_parameters_0',
  'distiller_0',
  'distiller_1',
  'evaluator_0',
  'actor_0',
  'actor_1',
  'monitor_0',
)
_STALL = 30.0  # Seconds without a move after which a run ends here.
_START = 300.0  # Seconds that a start may take on a busy machine.
_END = 240.0  # Seconds that an end may take.
_SETTLE = 8.0  # Seconds after the end in which leftovers may still go.


@dataclasses.dataclass
class Result:
  """What became of a run.

  Attributes:
    kind: of the fault.
    seconds: from the fault to the launcher's end.
    named: whether the launcher said what broke.
    lost: frames that no checkpoint holds.
    left: processes and files that are left.
    said: the launcher's last line.
  """

  kind: str
  seconds: float
  named: bool
  lost: int
  left: list[str]
  said: str


class Run:
  """A launcher on a terminal of its own, and its nodes."""

  def __init__(self, folder: str, *flags: str):
    self.folder = run_folder.RunFolder(folder)
    self.temporary = f'{folder}.tmp'
    os.mkdir(self.temporary)
    self.before = self._files()
    self._master, slave = pty.openpty()
    self.output = open(f'{folder}.out', 'w+', encoding='utf-8')
    self.process = subprocess.Popen(
      [
        sys.executable,
        os.path.join(ROOT, 'launch', 'local.py'),
        f'--workdir={folder}',
        '--preset=tiny',
        '--environment_kwargs=size=5',
        '--max_frames=1000000000',
        '--num_actors=2',
        '--num_distillers=2',
        '--config.evaluation_episodes=10',
        *flags,
      ],
      stdin=slave,
      stdout=self.output,
      stderr=self.output,
      env={**os.environ, 'TMPDIR': self.temporary},
      start_new_session=True,
      preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(slave)
    self.processes: list[psutil.Process] = []

  def close_terminal(self):
    """As a person does who closes its window."""
    with contextlib.suppress(OSError):
      os.close(self._master)

  def progress(self) -> dict:
    with contextlib.suppress(FileNotFoundError, ValueError):
      with open(self.folder.progress, encoding='utf-8') as file:
        return json.load(file)
    return {}

  def wait_for_frames(self):
    """Waits until the run has begun.

    Raises:
      RuntimeError: if it ends, or takes too long.
    """
    deadline = time.monotonic() + _START
    while self.progress().get('state') != 'running':
      if self.process.poll() is not None or time.monotonic() > deadline:
        raise RuntimeError(f'The run did not begin: {self.said()}')
      time.sleep(0.2)
    launcher = psutil.Process(self.process.pid)
    self.processes = [launcher, *launcher.children(recursive=True)]

  def pid(self, node: str) -> int:
    """The process of a node, or of the fork server."""
    log = f'{node}.log'
    for process in self.processes:
      with contextlib.suppress(psutil.Error, OSError):
        command = ' '.join(process.cmdline())
        if node == 'fork_server':
          parent = process.ppid() == self.process.pid
          if parent and 'forkserver' in command:
            return process.pid
        elif os.readlink(f'/proc/{process.pid}/fd/1').endswith(f'/{log}'):
          return process.pid
    raise RuntimeError(f'There is no node {node}.')

  def said(self) -> str:
    """All that the launcher has printed."""
    self.output.flush()
    with open(self.output.name, encoding='utf-8') as file:
      return file.read()

  def left(self) -> list[str]:
    """What is left of the run some seconds after its end."""
    deadline = time.monotonic() + _SETTLE
    while True:
      found = [
        f'process {p.pid}' for p in self.processes if _is_running(p)
      ] + sorted(self._files() - self.before)
      if not found or time.monotonic() > deadline:
        return found
      time.sleep(0.2)

  def _files(self) -> set[str]:
    """Files outside of the run's folder."""
    return {
      os.path.join(folder, name)
      for folder in ('/dev/shm', self.temporary)
      for name in os.listdir(folder)
    }

  def clean_up(self):
    self.close_terminal()
    self.output.close()
    for process in self.processes:
      with contextlib.suppress(psutil.NoSuchProcess):
        process.kill()
    self.process.kill()
    self.process.wait()


def _is_running(process: psutil.Process) -> bool:
  with contextlib.suppress(psutil.NoSuchProcess):
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
  return False


# --- The faults. Each breaks something and gives the words that name it.


def _kill(node: str) -> Callable[[Run], Sequence[str]]:
  def break_it(run: Run) -> Sequence[str]:
    os.kill(run.pid(node), signal.SIGKILL)
    return (f'node {node} failed (signal 9)',)

  return break_it


def _hang(node: str) -> Callable[[Run], Sequence[str]]:
  def break_it(run: Run) -> Sequence[str]:
    os.kill(run.pid(node), signal.SIGSTOP)
    # The replay server is named by what waits for it.
    return ('replay',) if node == 'replay_0' else (f'node {node}',)

  return break_it


def _interrupt(times: int) -> Callable[[Run], Sequence[str]]:
  def break_it(run: Run) -> Sequence[str]:
    for _ in range(times):
      os.killpg(run.process.pid, signal.SIGINT)
      time.sleep(0.5)
    return ('Stopping',)

  return break_it


def _close_terminal(run: Run) -> Sequence[str]:
  run.close_terminal()
  return ('Stopping',)


def _fill_disk(run: Run) -> Sequence[str]:
  """The monitor can write nothing any more."""
  _, hard = resource.prlimit(run.pid('monitor_0'), resource.RLIMIT_FSIZE)
  resource.prlimit(run.pid('monitor_0'), resource.RLIMIT_FSIZE, (0, hard))
  return ('cannot be written', 'monitor_0')


def _fill_disk_for_a_while(run: Run) -> Sequence[str]:
  """The same, and then it can; the run is to go on until Ctrl-C."""
  monitor = run.pid('monitor_0')
  limits = resource.prlimit(monitor, resource.RLIMIT_FSIZE)
  resource.prlimit(monitor, resource.RLIMIT_FSIZE, (0, limits[1]))
  time.sleep(8.0)
  resource.prlimit(monitor, resource.RLIMIT_FSIZE, limits)
  time.sleep(2.0)
  if run.process.poll() is None:
    os.killpg(run.process.pid, signal.SIGINT)
  return ('interrupted',)


def _kill_launcher(run: Run) -> Sequence[str]:
  run.process.kill()
  return ('',)  # Nobody is left to say anything.


def faults() -> dict[str, Callable[[Run], Sequence[str]]]:
  """All kinds of faults by name."""
  nodes = (*NODES, 'fork_server')
  return {
    **{f'kill {node}': _kill(node) for node in nodes},
    **{f'hang {node}': _hang(node) for node in NODES},
    'Ctrl-C': _interrupt(1),
    'Ctrl-C twice': _interrupt(2),
    'terminal closed': _close_terminal,
    'disk full': _fill_disk,
    'disk full for 8 s': _fill_disk_for_a_while,
    'kill launcher': _kill_launcher,
  }


def trial(kind: str, wait: float, folder: str) -> Result:
  """Breaks one run.

  Args:
    kind: of the fault.
    wait: seconds after the first frames.
    folder: for the run; it must not exist.
  """
  hangs = kind.startswith('hang')
  run = Run(
    folder,
    f'--config.stall_warning={_STALL / 2 if hangs else 40.0}',
    f'--config.stall_limit={_STALL if hangs else 0.0}',
  )
  try:
    run.wait_for_frames()
    time.sleep(wait)
    frames = run.progress()['frames']
    began = time.monotonic()
    words = faults()[kind](run)
    with contextlib.suppress(subprocess.TimeoutExpired):
      run.process.wait(_END)
    seconds = time.monotonic() - began
    left = run.left()
    said = run.said()
    saved = checkpoints.CheckpointFolder(run.folder.checkpoints).latest()
    kept = int(saved.state['counts']['frames']) if saved else 0
    lines = [line for line in said.splitlines() if line.strip()]
    return Result(
      kind,
      seconds,
      any(word in said for word in words),
      max(0, frames - kept),
      left,
      lines[-1] if lines else '',
    )
  finally:
    run.clean_up()


def table(results: Sequence[Result]) -> str:
  """Markdown: a row for each kind of fault, and one for all kills."""
  by_kind = collections.defaultdict(list)
  for result in results:
    by_kind[result.kind].append(result)
  rows = dict(sorted(by_kind.items()))
  kills = [r for r in results if r.kind.startswith('kill ')]
  if kills:
    rows['**all kills**'] = kills
  lines = [
    '| fault | trials | seconds to the end: median, worst | named '
    '| frames lost: median, worst | left behind |',
    '|---|---|---|---|---|---|',
  ]
  for kind, found in rows.items():
    seconds = [r.seconds for r in found]
    lost = [r.lost for r in found]
    lines.append(
      f'| {kind} | {len(found)} | {np.median(seconds):.1f}, {max(seconds):.1f} '
      f'| {sum(r.named for r in found)} | {np.median(lost):,.0f}, '
      f'{max(lost):,} | {sum(bool(r.left) for r in found)} |'
    )
  return '\n'.join(lines)


def _arguments() -> argparse.Namespace:
  parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
  parser.add_argument('--trials', type=int, default=20)
  parser.add_argument('--seed', type=int, default=0)
  parser.add_argument('--only', default='', help='Kinds that hold this text.')
  parser.add_argument('--output', help='Markdown file for the table.')
  return parser.parse_args()


def main():
  arguments = _arguments()
  rng = random.Random(arguments.seed)
  kinds = [kind for kind in faults() if arguments.only in kind]
  if not kinds:
    sys.exit(f'--only={arguments.only} is in none of: {", ".join(faults())}')
  signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # Cleans up.
  results = []
  folder = tempfile.mkdtemp(prefix='faults-')
  try:
    deck: list[str] = []
    for number in range(arguments.trials):
      deck = deck or rng.sample(kinds, len(kinds))
      result = trial(
        deck.pop(), rng.uniform(0.0, 12.0), os.path.join(folder, str(number))
      )
      results.append(result)
      print(json.dumps(dataclasses.asdict(result)), flush=True)
  finally:
    shutil.rmtree(folder, ignore_errors=True)
  print(table(results))
  if arguments.output:
    with open(arguments.output, 'w', encoding='utf-8') as file:
      file.write(table(results) + '\n')


if __name__ == '__main__':
  main()

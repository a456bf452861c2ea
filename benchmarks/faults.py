"""Fault injection: how runs react to failures.

Each trial starts a small run, injects a fault at a random time after the first
frames, and records how the run ends: how many seconds that takes, whether the
launcher's last line names the fault, the frames that no checkpoint holds, and
any leftovers. Each trial is a line of a file, from which an interrupted
campaign resumes.

Example:
  python benchmarks/faults.py --trials=100 --results=faults.jsonl
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
import textwrap
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
# Helper processes of the launcher, and parts of their commands.
_HELPERS = {
  'fork_server': 'multiprocessing.forkserver',
  'guardian': 'guardian.py',
  'resource_tracker': 'multiprocessing.resource_tracker',
}
_STALL = 12.0  # `stall_limit` of the trials, in seconds.
_HEADING = '## Last run'  # Heading of the table in the page.
_ATTEMPTS = 3  # Per trial.
_WAIT = 8.0  # Longest time from the first frames to a fault, in seconds.
_START = 300.0  # Seconds for a start on a busy machine.
_END = 240.0  # Seconds for an end.
_SETTLE = 8.0  # Seconds after the end before leftovers count.


@dataclasses.dataclass
class Result:
  """The outcome of a run.

  Attributes:
    number: index of the trial.
    kind: kind of the fault.
    wait: seconds from the first frames to the fault.
    seconds: time from the fault to the launcher's end.
    status: exit status of the launcher, or minus its signal; None if it did not
      end.
    named: whether the launcher's last line named the fault.
    lost: frames that no checkpoint holds.
    left: leftover processes and files.
    said: the launcher's last line.
  """

  number: int
  kind: str
  wait: float
  seconds: float
  status: int | None
  named: bool
  lost: int
  left: list[str]
  said: str


class Run:
  """A launcher on its own terminal, and its nodes."""

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
    """Closes the terminal."""
    with contextlib.suppress(OSError):
      os.close(self._master)

  def progress(self) -> dict:
    with contextlib.suppress(FileNotFoundError, ValueError):
      with open(self.folder.progress, encoding='utf-8') as file:
        return json.load(file)
    return {}

  def wait_for_frames(self):
    """Waits until the run has started.

    Raises:
      RuntimeError: if it ends or takes too long.
    """
    deadline = time.monotonic() + _START
    while self.progress().get('state') != 'running':
      if self.process.poll() is not None or time.monotonic() > deadline:
        raise RuntimeError(f'The run did not begin: {self.said()}')
      time.sleep(0.2)
    launcher = psutil.Process(self.process.pid)
    self.processes = [launcher, *launcher.children(recursive=True)]

  def pid(self, node: str) -> int:
    """The process of a node, or of one of the launcher's helpers."""
    log = f'{node}.log'
    for process in self.processes:
      with contextlib.suppress(psutil.Error, OSError):
        command = ' '.join(process.cmdline())
        if node in _HELPERS:
          parent = process.ppid() == self.process.pid
          if parent and _HELPERS[node] in command:
            return process.pid
        elif os.readlink(f'/proc/{process.pid}/fd/1').endswith(f'/{log}'):
          return process.pid
    raise RuntimeError(f'There is no node {node}.')

  def said(self) -> str:
    """The launcher's output."""
    self.output.flush()
    with open(self.output.name, encoding='utf-8') as file:
      return file.read()

  def left(self) -> list[str]:
    """Leftovers of the run some seconds after its end."""
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


# --- The faults. Each injects a fault and returns the words that name it.


def _kill(node: str) -> Callable[[Run], str]:
  def break_it(run: Run) -> str:
    os.kill(run.pid(node), signal.SIGKILL)
    return f'node {node} failed (signal 9)'

  return break_it


def _hang(node: str) -> Callable[[Run], str]:
  def break_it(run: Run) -> str:
    os.kill(run.pid(node), signal.SIGSTOP)
    return f'node {node} '

  return break_it


def _harmless(helper: str, number: int) -> Callable[[Run], str]:
  """The run must continue without the helper, and end at Ctrl-C."""

  def break_it(run: Run) -> str:
    os.kill(run.pid(helper), number)
    time.sleep(3.0)
    if run.process.poll() is None:
      os.killpg(run.process.pid, signal.SIGINT)
    return 'interrupted'

  return break_it


def _interrupt(times: int) -> Callable[[Run], str]:
  def break_it(run: Run) -> str:
    for _ in range(times):
      os.killpg(run.process.pid, signal.SIGINT)
      time.sleep(0.5)
    return 'Stopping' if times > 1 else 'interrupted'

  return break_it


def _close_terminal(run: Run) -> str:
  run.close_terminal()
  return 'interrupted'


def _limit_files(run: Run, size: int):
  """Limits the size of the files that the nodes write from now on.

  The launcher is not limited, because its output goes to a file here. So it
  cannot report why a node failed to write, as it does on a full disk.
  """
  for process in run.processes[1:]:
    with contextlib.suppress(ProcessLookupError):
      _, hard = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
      resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (size, hard))


def _fill_disk(run: Run) -> str:
  """Makes all writes of nodes fail."""
  _limit_files(run, 0)
  return 'cannot be written'


def _fill_disk_for_a_while(run: Run) -> str:
  """The same for some time; the run must continue until Ctrl-C."""
  _limit_files(run, 0)
  time.sleep(8.0)
  _limit_files(run, resource.RLIM_INFINITY)
  time.sleep(2.0)
  if run.process.poll() is None:
    os.killpg(run.process.pid, signal.SIGINT)
  return 'interrupted'


def _kill_launcher(run: Run) -> str:
  run.process.kill()
  return ''  # It can say nothing.


_KILLS = {f'kill {name}': _kill(name) for name in (*NODES, 'fork_server')}
_HANGS = {f'hang {node}': _hang(node) for node in NODES}
_OTHERS = {
  'hang fork_server, Ctrl-C': _harmless('fork_server', signal.SIGSTOP),
  'kill guardian, Ctrl-C': _harmless('guardian', signal.SIGKILL),
  'kill resource_tracker, Ctrl-C': _harmless(
    'resource_tracker', signal.SIGKILL
  ),
  'Ctrl-C': _interrupt(1),
  'Ctrl-C twice': _interrupt(2),
  'terminal closed': _close_terminal,
  'disk full': _fill_disk,
  'disk full for 8 s, Ctrl-C': _fill_disk_for_a_while,
  'kill launcher': _kill_launcher,
}
FAULTS = {**_KILLS, **_HANGS, **_OTHERS}


def plan(number: int, seed: int, only: str = '') -> list[tuple[str, float]]:
  """The kinds of trials, kills twice as often as others, and their waits.

  Args:
    number: number of trials.
    seed: seed of the order.
    only: text that the names of the kinds contain.

  Raises:
    ValueError: if no name contains it.
  """
  rng = random.Random(seed)
  kinds = [kind for kind in (*_KILLS, *FAULTS) if only in kind]
  if not kinds:
    raise ValueError(f'--only={only} is in none of: {", ".join(FAULTS)}')
  trials, deck = [], []
  for _ in range(number):
    deck = deck or rng.sample(kinds, len(kinds))
    trials.append((deck.pop(), rng.uniform(0.0, _WAIT)))
  return trials


def trial(number: int, kind: str, wait: float, folder: str) -> Result:
  """Runs one trial.

  Args:
    number: index of the trial.
    kind: kind of the fault.
    wait: seconds after the first frames.
    folder: folder of the run, which must not exist.
  """
  limit = _STALL if kind in _HANGS else 0.0
  run = Run(
    folder,
    f'--config.stall_warning={limit / 2 or 40.0}',
    f'--config.stall_limit={limit}',
  )
  try:
    run.wait_for_frames()
    time.sleep(wait)
    frames = run.progress()['frames']
    began = time.monotonic()
    words = FAULTS[kind](run)
    with contextlib.suppress(subprocess.TimeoutExpired):
      run.process.wait(_END)
    seconds = time.monotonic() - began
    left = run.left()
    said = [line for line in run.said().splitlines() if line.strip()]
    summary = _summary(run)
    saved = checkpoints.CheckpointFolder(run.folder.checkpoints).latest()
    kept = int(saved.state['counts']['frames']) if saved else 0
    # A closed terminal shows nothing: the reason is in the summary.
    last = said[-1] if said else ''
    told = f'{last} {" ".join(said[-3:])}'
    if words == 'interrupted':
      told = summary
    elif words == 'Stopping':  # The end that follows has lines of its own.
      told = ' '.join(said)
    return Result(
      number,
      kind,
      round(wait, 1),
      round(seconds, 1),
      run.process.poll(),
      words in told,
      max(0, frames - kept),
      left,
      last,
    )
  finally:
    run.clean_up()


def _summary(run: Run) -> str:
  """Why the run stopped, from its summary; '' without one."""
  with contextlib.suppress(FileNotFoundError, ValueError):
    with open(run.folder.summary, encoding='utf-8') as file:
      return json.load(file)['stopped_because']
  return ''


def table(results: Sequence[Result]) -> str:
  """Markdown: a row for each kind of fault, and one for all kills."""
  by_kind = collections.defaultdict(list)
  for result in results:
    by_kind[result.kind].append(result)
  rows = dict(sorted(by_kind.items()))
  for name, kinds in (
    ('**all kills of nodes**', _KILLS),
    ('**all hangs of nodes**', _HANGS),
    ('**all**', FAULTS),
  ):
    found = [result for result in results if result.kind in kinds]
    if found:
      rows[name] = found
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
  parser.add_argument(
    '--only', default='', help='Only kinds that contain this text.'
  )
  parser.add_argument(
    '--results',
    help='File of the trials, from which a campaign resumes.',
  )
  parser.add_argument(
    '--table',
    help=f'Page for the table, which replaces all after "{_HEADING}".',
  )
  return parser.parse_args()


def main():
  arguments = _arguments()
  signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # Cleans up.
  trials = plan(arguments.trials, arguments.seed, arguments.only)
  results = _read(arguments.results)
  done = {result.number for result in results}
  began, made = time.monotonic(), 0
  folder = tempfile.mkdtemp(prefix='faults-')
  try:
    for number, (kind, wait) in enumerate(trials):
      if number in done:
        continue
      result = _try(number, kind, wait, os.path.join(folder, str(number)))
      results.append(result)
      made += 1
      each = (time.monotonic() - began) / made
      left = each * (len(trials) - len(results)) / 60
      print(
        f'{number + 1}/{len(trials)} {kind}: {result.seconds:.1f} s, '
        f'{"" if result.named else "not "}named, {result.lost:,} frames lost, '
        f'left: {result.left or "nothing"}; {each:.0f} s a trial, '
        f'{left:.0f} min to go\n    {result.said}',
        flush=True,
      )
      if arguments.results:
        with open(arguments.results, 'a', encoding='utf-8') as file:
          file.write(json.dumps(dataclasses.asdict(result)) + '\n')
      if arguments.table:
        _write_table(arguments, results)
  finally:
    shutil.rmtree(folder, ignore_errors=True)
  print(table(results))


def _try(number: int, kind: str, wait: float, folder: str) -> Result:
  """Runs a trial; repeats it if its run does not start on a busy machine."""
  for attempt in range(1, _ATTEMPTS):
    try:
      return trial(number, kind, wait, f'{folder}-{attempt}')
    except RuntimeError as error:
      print(f'{kind}: {error}\nOnce more.', flush=True)
  return trial(number, kind, wait, f'{folder}-{_ATTEMPTS}')


def _write_table(arguments: argparse.Namespace, results: Sequence[Result]):
  text = ''
  if os.path.exists(arguments.table):
    with open(arguments.table, encoding='utf-8') as file:
      text = file.read().partition(_HEADING)[0]
  said = (
    f'{len(results)} trials, of `python benchmarks/faults.py '
    f'--trials={arguments.trials} --seed={arguments.seed}`. "Left behind" '
    'counts the trials that left a process or a file behind.'
  )
  with open(arguments.table, 'w', encoding='utf-8') as file:
    file.write(
      f'{text}{_HEADING}\n\n{textwrap.fill(said, 80)}\n\n{table(results)}\n'
    )


def _read(path: str | None) -> list[Result]:
  """The trials in a file; none if it does not exist."""
  if not path or not os.path.exists(path):
    return []
  with open(path, encoding='utf-8') as file:
    return [Result(**json.loads(line)) for line in file]


if __name__ == '__main__':
  main()

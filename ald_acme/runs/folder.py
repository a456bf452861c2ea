"""The layout of a run's folder."""

import dataclasses
import fcntl
import os
import shutil
import time
from typing import TextIO

from ald_acme.runs import files

# Required and optional entries of config.json.
_CONFIG: dict[str, type] = {
  'config': dict,
  'environment': str,
  'environment_kwargs': str,
}
_MORE_CONFIG: dict[str, type] = {
  'agent': str,
  'git_commit': str,
  'network_factory': str,
  'resumed': int,
  'wandb_project': str,
}
# Values of `stopped_because` in summary.json for a run that reached its goal.
GOALS = ('max_frames', 'target_return')
# Files of a cluster's dry run, beside the configuration.
_JOBS = ('slurm', 'vertex_ai')


@dataclasses.dataclass(frozen=True)
class RunFolder:
  """Paths within a run's folder.

  Attributes:
    path: path of the folder.
  """

  path: str

  def _join(self, *names: str) -> str:
    return os.path.join(self.path, *names)

  @property
  def config(self) -> str:
    """The whole configuration, versions, seed and commit (JSON)."""
    return self._join('config.json')

  @property
  def logs(self) -> str:
    """One CSV file for each node."""
    return self._join('logs')

  @property
  def tensorboard(self) -> str:
    return self._join('tensorboard')

  @property
  def checkpoints(self) -> str:
    return self._join('checkpoints')

  @property
  def node_logs(self) -> str:
    """The nodes' output, one folder per launch."""
    return self._join('node_logs')

  @property
  def timelines(self) -> str:
    """Timelines of the nodes, if recorded."""
    return self._join('timelines')

  @property
  def progress(self) -> str:
    """The progress of the run, written twice a second (JSON)."""
    return self._join('progress.json')

  @property
  def summary(self) -> str:
    """The results of the run, written at its end (JSON)."""
    return self._join('summary.json')

  @property
  def learning_curve(self) -> str:
    return self._join('learning_curve.png')

  def exists(self) -> bool:
    """Whether the folder holds a run."""
    return os.path.exists(self.config)

  def create(self) -> TextIO:
    """Creates the folder for a new run, and locks it.

    Files of a dry run are removed.

    Returns:
      The lock; the folder is in use while it is open.

    Raises:
      ValueError: if it holds a run or other files, or cannot be written.
    """
    earlier = set(_JOBS) | {'config.json'} if self._is_dry_run() else set()
    if self.exists() and not earlier:
      if os.path.exists(self._join('.lock')):
        self._lock().close()  # Raises if the run is in use.
      raise ValueError(
        f'workdir {self.path!r} holds another run; choose a new folder, or '
        'resume that run.'
      )
    there = os.listdir(self.path) if os.path.isdir(self.path) else []
    # A launch that failed early leaves only these.
    others = set(there) - {'.lock', os.path.basename(self.logs)} - earlier
    if others:
      raise ValueError(
        f'workdir {self.path!r} must be new or empty, but holds other files, '
        f'such as {min(others)!r}; choose another folder.'
      )
    lock = self._lock()
    for name in earlier & set(_JOBS):
      shutil.rmtree(self._join(name), ignore_errors=True)
    files.make_folders(self.logs)
    return lock

  def _is_dry_run(self) -> bool:
    """Whether the folder holds only a dry run: no node was started."""
    if not self.exists() or os.path.exists(self.node_logs):
      return False
    try:
      return self.read_config().get('dry_run') is True
    except ValueError:
      return False

  def reopen(self) -> TextIO:
    """Locks the folder to continue its run.

    Returns:
      The lock; the folder is in use while it is open.

    Raises:
      ValueError: if it holds no run, is in use, or cannot be written.
    """
    if not self.exists():
      raise ValueError(
        f'workdir {self.path!r} holds no run to resume (no config.json); check '
        'the path, or start a new run there.'
      )
    lock = self._lock()
    self.remove_leftovers()
    return lock

  def remove_leftovers(self) -> None:
    """Removes incomplete files of killed nodes.

    Call it while no node runs.
    """
    for folder in (self.path, self.checkpoints):
      files.remove_leftovers(folder)

  def _lock(self) -> TextIO:
    try:
      files.make_folders(self.path)
      lock = open(self._join('.lock'), 'w', encoding='utf-8')
    except OSError as error:
      raise ValueError(
        f'workdir {self.path!r} cannot be written ({error.strerror}); choose '
        'another folder.'
      ) from error
    try:
      fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
      raise ValueError(
        f'workdir {self.path!r} is in use by a run that has not ended; wait '
        'for it, or choose another folder.'
      ) from error
    except OSError as error:
      raise ValueError(
        f'workdir {self.path!r} cannot be locked ({error.strerror}): its file '
        'system has no locks; choose a folder elsewhere.'
      ) from error
    return lock

  def next_node_logs(self) -> str:
    """Creates a folder for the output of this launch's nodes."""
    files.make_folders(self.node_logs)
    numbers = [
      int(name[7:])
      for name in os.listdir(self.node_logs)
      if name.startswith('launch-') and name[7:].isdigit()
    ]
    path = os.path.join(self.node_logs, f'launch-{max(numbers, default=0) + 1}')
    os.makedirs(path)
    return path

  def read_config(self) -> dict:
    """The contents of config.json.

    Raises:
      ValueError: if it is damaged, or not the configuration of a run.
    """
    try:
      saved = files.read_json(self.config)
    except (OSError, UnicodeDecodeError) as error:
      raise ValueError(f'{self.config} cannot be read: {error}') from error
    if not isinstance(saved, dict):
      saved = {}
    for name, kind in _CONFIG.items():
      if not isinstance(saved.get(name), kind):
        raise ValueError(
          f'{self.config} is not the configuration of a run: it has no '
          f'{name!r}; restore the file, or start a new run.'
        )
    for name, kind in _MORE_CONFIG.items():
      if not isinstance(saved.get(name), (kind, type(None))):
        raise ValueError(
          f'{self.config} is not the configuration of a run: {name} must be of '
          f'type {kind.__name__}, but received {str(saved[name])[:60]!r}; '
          'restore the file, or start a new run.'
        )
    return saved


def make_default(name: str) -> str:
  """Creates a new folder under `runs/` and returns its path."""
  stamp = time.strftime('%Y%m%d-%H%M%S')
  number = 0
  while True:
    number += 1
    suffix = f'-{number}' if number > 1 else ''
    path = os.path.join('runs', f'{name}-{stamp}{suffix}')
    try:
      os.makedirs(path)
      return path
    except FileExistsError:
      continue
    except OSError as error:
      raise ValueError(
        f'workdir {path!r} cannot be written ({error.strerror}); choose '
        'another folder.'
      ) from error

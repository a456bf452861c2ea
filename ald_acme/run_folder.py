"""A run is a folder: what is where in it."""

import dataclasses
import os
import time

from ald_acme import files


@dataclasses.dataclass(frozen=True)
class RunFolder:
  """Paths within a run's folder.

  Attributes:
    path: of the folder.
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
    """What the nodes printed, a folder for each launch."""
    return self._join('node_logs')

  @property
  def progress(self) -> str:
    """Where the run stands, written anew each second (JSON)."""
    return self._join('progress.json')

  @property
  def summary(self) -> str:
    """What came of the run, written at its end (JSON)."""
    return self._join('summary.json')

  @property
  def learning_curve(self) -> str:
    return self._join('learning_curve.png')

  def exists(self) -> bool:
    """Whether the folder holds a run."""
    return os.path.exists(self.config)

  def create(self):
    """Makes the folder for a new run.

    Raises:
      ValueError: if it holds a run already, or cannot be written.
    """
    if self.exists():
      raise ValueError(
        f'workdir {self.path!r} holds another run; choose a new folder, or '
        'give --resume to continue that run.'
      )
    self._make_writable()

  def reopen(self):
    """Prepares to continue the folder's run.

    Raises:
      ValueError: if it holds none, or cannot be written.
    """
    if not self.exists():
      raise ValueError(
        f'workdir {self.path!r} holds no run to resume (no config.json); check '
        'the path, or leave --resume out to begin a new run there.'
      )
    self._make_writable()

  def _make_writable(self):
    try:
      os.makedirs(self.logs, exist_ok=True)
      probe = self._join('.writable')
      with open(probe, 'w', encoding='utf-8'):
        pass
      os.remove(probe)
    except OSError as error:
      raise ValueError(
        f'workdir {self.path!r} cannot be written ({error.strerror}); choose '
        'another with --workdir.'
      ) from error

  def next_node_logs(self) -> str:
    """A new folder for what this launch's nodes print."""
    os.makedirs(self.node_logs, exist_ok=True)
    path = os.path.join(
      self.node_logs, f'launch-{len(os.listdir(self.node_logs)) + 1}'
    )
    os.makedirs(path)
    return path

  def read_config(self) -> dict:
    """The contents of config.json; ValueError if it is damaged."""
    return files.read_json(self.config)


def default_path(name: str) -> str:
  """A folder under `runs/` that does not exist yet."""
  stamp = time.strftime('%Y%m%d-%H%M%S')
  path = base = os.path.join('runs', f'{name}-{stamp}')
  number = 1
  while os.path.exists(path):
    number += 1
    path = f'{base}-{number}'
  return path

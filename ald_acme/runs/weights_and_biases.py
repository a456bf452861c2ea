"""Rows in Weights & Biases, through a logger factory.

`wandb` is an extra: `pip install "ald-acme[wandb]"`.
"""

from collections.abc import Callable, Mapping
import dataclasses
import hashlib
import importlib
import math
import os
import threading
from typing import Any

from acme.utils import loggers

# Loggers of this process that have a run; nodes may be threads.
_OPEN: set['WandbLogger'] = set()
_LOCK = threading.Lock()


def check() -> None:
  """Raises ValueError if the package `wandb` cannot be imported."""
  try:
    importlib.import_module('wandb')
  except ImportError as error:
    raise ValueError(
      f'Weights & Biases needs the package wandb, which cannot be imported '
      f'({error}); install it with: pip install -c requirements.txt wandb.'
    ) from error


class WandbLogger(loggers.Logger):
  """Writes rows to a run of Weights & Biases; skips NaN.

  Rows are buffered: without `close` the last ones are lost.
  """

  def __init__(
    self, make_run: Callable[[], Any], steps_key: str | None = None
  ) -> None:
    """Starts no run yet, because a node may never write.

    Args:
      make_run: calls `wandb.init`, at the first row.
      steps_key: name of the column that curves are drawn against; None for the
        number of the row.
    """
    self._make_run, self._steps_key = make_run, steps_key
    self._run: Any = None

  def write(self, data: Mapping[str, Any]) -> None:
    if self._run is None:
      self._run = self._make_run()
      with _LOCK:
        _OPEN.add(self)
      if self._steps_key:
        self._run.define_metric('*', step_metric=self._steps_key)
    self._run.log({k: v for k, v in data.items() if not _is_nan(v)})

  def close(self) -> None:
    if self._run is None:
      return
    self._run.finish()
    with _LOCK:
      _OPEN.discard(self)
      last = not _OPEN
    if last:
      import wandb

      # Wait for the process that writes the files, because a node's process
      # group is killed at its end.
      wandb.teardown()


def _is_nan(value: Any) -> bool:
  return isinstance(value, float) and math.isnan(value)


@dataclasses.dataclass(frozen=True)
class WandbLoggerFactory:
  """A `metrics.LoggerFactory`: each node has its own run, in one group.

  It is picklable. `WANDB_MODE=offline` only writes files.

  Attributes:
    project: name of the project.
    group: name of the group, which is that of the training run.
    folder: folder for the files of `wandb`.
    config: configuration shown for each run.
  """

  project: str
  group: str
  folder: str
  config: Mapping[str, Any] = dataclasses.field(default_factory=dict)

  def __call__(
    self, label: str, steps_key: str | None = None, task_instance: int = 0
  ) -> WandbLogger:
    check()
    return WandbLogger(
      lambda: self._make_run(label, f'{self.group}-{label}-{task_instance}'),
      steps_key,
    )

  def run_id(self, name: str) -> str:
    """The id of a node's run: folders of the same name have runs of their own.

    Args:
      name: name of the run.
    """
    folder = os.path.abspath(self.folder).encode()
    return f'{name}-{hashlib.sha256(folder).hexdigest()[:8]}'

  def _make_run(self, label: str, name: str) -> Any:
    import wandb

    return wandb.init(
      project=self.project,
      group=self.group,
      job_type=label,
      name=name,
      id=self.run_id(name),
      resume='allow',  # A resumed run continues the same curves.
      dir=self.folder,
      config=dict(self.config),
      reinit='create_new',  # Nodes may be threads of one process.
      settings=wandb.Settings(console='off', disable_git=True),
    )

"""Requested runs: their folders, and whether they have finished."""

from collections.abc import Mapping
import dataclasses
import os
import shutil
import sys
from typing import Any

from agents import settings
from ald_acme.runs import files
from ald_acme.runs import folder as run_folder
from launch.campaigns import jobs

LAUNCHER = os.path.join(
  os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'local.py'
)
_FINISHED = ('max_frames', 'target_return')


@dataclasses.dataclass(frozen=True)
class Run(jobs.FileJob):
  """A run of the launcher.

  Attributes:
    label: task, method and seed, such as 'i_maze_9/ald/seed_0'.
    path: path of its folder.
    agent: as the launcher's --agent.
    environment: as --environment.
    environment_kwargs: as --environment_kwargs.
    fields: fields of the configuration that are not the default; nested fields
      have dots, such as 'networks.lstm'.
    network_factory: as --network_factory.
  """

  label: str
  path: str
  agent: str
  environment: str
  environment_kwargs: str
  fields: Mapping[str, Any]
  network_factory: str | None = None

  @property
  def folder(self) -> run_folder.RunFolder:
    return run_folder.RunFolder(self.path)

  def command(self) -> list[str]:
    """The launcher's command; its path is relative, as the run stores it."""
    return [
      sys.executable,
      os.path.relpath(LAUNCHER),
      f'--agent={self.agent}',
      f'--environment={self.environment}',
      f'--environment_kwargs={self.environment_kwargs}',
      f'--workdir={self.path}',
      *(
        [f'--network_factory={self.network_factory}']
        if self.network_factory
        else []
      ),
      *(
        f'--config.{name}={"none" if value is None else value}'
        for name, value in self.fields.items()
      ),
    ]

  def is_done(self) -> bool:
    """Whether the run has finished.

    Raises:
      ValueError: if another run has finished in this folder.
    """
    try:
      summary = files.read_json(self.folder.summary)
    except FileNotFoundError:
      return False
    if summary.get('stopped_because') not in _FINISHED:
      return False
    self._check(self.folder.read_config())
    return True

  def prepare(self) -> None:
    """Removes the folder of an unfinished run.

    It is not resumed: curves are of uninterrupted runs.

    Raises:
      ValueError: if that run is still in progress.
    """
    if self.folder.exists():
      self.folder.reopen().close()  # Raises if it is in use.
      shutil.rmtree(self.path)

  def seconds(self) -> float | None:
    """How long the finished run took."""
    return files.read_json(self.folder.summary).get('wall_seconds')

  def commit(self) -> str | None:
    """The commit that made the run, if it is known."""
    return self.folder.read_config().get('git_commit')

  def progress(self) -> dict[str, Any] | None:
    """The contents of progress.json; None before it exists."""
    try:
      return files.read_json(self.folder.progress)
    except FileNotFoundError:
      return None

  def _check(self, saved: dict[str, Any]) -> None:
    """Rejects a run of another agent, environment or configuration."""
    config = settings.make(self.agent, settings.nest(self.fields)).flat()
    asked = settings.flatten(
      {
        'agent': self.agent,
        'environment': self.environment,
        'environment_kwargs': self.environment_kwargs,
        'network_factory': self.network_factory,
        **config,
      }
    )
    # Older runs may lack the agent's name and newer fields.
    found = settings.flatten(
      {'agent': 'ald', **settings.BEFORE, **saved, **saved['config']}
    )
    for name, value in asked.items():
      if name in found and found[name] != value:
        raise ValueError(
          f'config.json of the run in {self.path} has {name}={found[name]!r}, '
          f'but this command requires {value!r}; delete that folder to rerun '
          'it, or give another --folder.'
        )

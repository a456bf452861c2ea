"""Runs of other projects' agents, each in a separate Python environment."""

import csv
import dataclasses
import os
import sys

from launch import bootstrap
from launch.campaigns import jobs

_FOLDER = os.path.join(bootstrap.ROOT, 'benchmarks', 'peers')


@dataclasses.dataclass(frozen=True)
class Peer:
  """An agent of another project.

  Attributes:
    title: name in figures and tables.
    colour: colour in figures.
    script: script in `benchmarks/peers`, next to its requirements.
  """

  title: str
  colour: str
  script: str


PEERS = {
  'sample_factory': Peer(
    'Sample Factory (LSTM)', '#000000', 'sample_factory_lstm'
  ),
  'recurrent_ppo': Peer('RecurrentPPO', '#F0C000', 'recurrent_ppo'),
}


@dataclasses.dataclass(frozen=True)
class PeerRun(jobs.FileJob):
  """A run of a peer with its documented defaults: one CSV file.

  Attributes:
    label: task, peer and seed.
    path: path of the file without its extension.
    peer: a key of `PEERS`.
    environment: as the launcher's --environment.
    environment_kwargs: as its --environment_kwargs.
    frames: length of the run in frames.
    seed: seed of the run.
  """

  label: str
  path: str
  peer: str
  environment: str
  environment_kwargs: str
  frames: int
  seed: int

  @property
  def curve(self) -> str:
    """Path of the CSV file."""
    return f'{self.path}.csv'

  def command(self) -> list[str]:
    script = os.path.join(_FOLDER, PEERS[self.peer].script)
    return [
      'uv',
      'run',
      '--isolated',
      '--no-project',
      f'--python={sys.version_info.major}.{sys.version_info.minor}',
      f'--with-requirements={script}.txt',
      f'{script}.py',
      self.environment,
      self.environment_kwargs,
      str(self.frames),
      str(self.seed),
      self.curve,
    ]

  def is_done(self) -> bool:
    """Whether the file exists.

    Raises:
      ValueError: if the run is shorter than asked for.
    """
    if not os.path.exists(self.curve):
      return False
    frames = self._last()['frames']
    # The last episode of each environment may be unfinished.
    if frames < 0.9 * self.frames:
      raise ValueError(
        f'{self.curve} ends at {frames:,.0f} frames, but this command requires '
        f'{self.frames:,}; delete it to rerun, or give another --folder.'
      )
    return True

  def seconds(self) -> float | None:
    """How long the finished run took, without its start-up."""
    return self._last()['wall_seconds']

  def final_return(self) -> float:
    """Mean over the last 100 training episodes."""
    return self._last()['return']

  def _last(self) -> dict[str, float]:
    with open(self.curve, encoding='utf-8', newline='') as file:
      rows = list(csv.DictReader(file))
    if not rows:
      raise ValueError(
        f'{self.curve} has no rows, because no episode ended; delete it to '
        'rerun.'
      )
    return {name: float(value) for name, value in rows[-1].items()}

"""Loads trained agents from the folders of their runs.

It locks and writes nothing, so the run may still be going on.
"""

from __future__ import annotations

import dataclasses
import typing
from typing import Any

from agents import catalogue
from agents import experiment as experiments
from agents import settings
from ald_acme.environments import registry
from ald_acme.environments.interface import base
from ald_acme.runs import checkpoints
from ald_acme.runs import folder as run_folder

if typing.TYPE_CHECKING:
  import acme

  from ald_acme.acting import evaluation
  from ald_acme.networks import protocols

POLICIES = ('actor', 'learner')
_BATCH = 100  # Episodes played in parallel.


@dataclasses.dataclass(frozen=True)
class Run:
  """A run's config.json.

  Attributes:
    folder: the run's folder.
    agent: the agent's name, one of `catalogue.NAMES`.
    environment: name of the environment.
    environment_kwargs: the environment's arguments, as given on the command
      line.
    config: the agent's configuration.
    experiment: the run's configuration.
    network_factory: import path of the network factory; None for the default
      networks.
    commit: commit of the program that started the run; None if not known.
  """

  folder: run_folder.RunFolder
  agent: str
  environment: str
  environment_kwargs: str
  config: Any
  experiment: experiments.ExperimentConfig
  network_factory: str | None
  commit: str | None

  @property
  def solved_return(self) -> float | None:
    """The mean return at which the run's task counts as solved, if any."""
    if self.experiment.solved_return is not None:
      return self.experiment.solved_return
    arguments = registry.parse_arguments(self.environment_kwargs)
    return registry.solved_return(self.environment, arguments)

  def make_environment(
    self, batch_size: int, seed: int
  ) -> base.BatchedEnvironment:
    """Creates the run's environments; as `registry.make`."""
    arguments = registry.parse_arguments(self.environment_kwargs)
    return registry.make(self.environment, arguments, batch_size, seed)


@dataclasses.dataclass(frozen=True)
class Trained:
  """A trained agent, loaded from a checkpoint.

  Attributes:
    run: the run of the checkpoint.
    checkpoint: path of the checkpoint.
    frames: number of frames that the agent had been trained on.
    environment_spec: spec of the run's environment.
    networks: networks with the checkpoint's parameters.
  """

  run: Run
  checkpoint: str
  frames: int
  environment_spec: acme.specs.EnvironmentSpec
  networks: Any

  def network(self, policy: str) -> protocols.Network:
    """The network of a policy.

    Args:
      policy: one of `POLICIES`: the acting network's, or the learner's.

    Raises:
      ValueError: if there is no such policy.
    """
    if policy not in POLICIES:
      raise ValueError(
        f'policy must be one of {", ".join(POLICIES)}, but received {policy!r}.'
      )
    return getattr(self.networks, policy)

  def play(
    self,
    policy: str,
    episodes: int,
    seed: int = 0,
    deterministic: bool = False,
    max_steps: int | None = None,
  ) -> evaluation.Episodes:
    """Plays episodes in new environments.

    Args:
      policy: one of `POLICIES`.
      episodes: number of episodes; up to 100 are played in parallel.
      seed: seed of episodes and actions.
      deterministic: whether to take the distribution's mode instead of samples.
      max_steps: bound of an episode's length; by default as in the run's
        evaluations.

    Raises:
      ValueError: if there is no such policy.
    """
    from ald_acme.acting import evaluation
    from ald_acme.acting import policies

    batch = min(episodes, _BATCH)
    acting = policies.BatchedPolicy(
      self.network(policy),
      self.environment_spec.observations,
      batch,
      seed,
      deterministic,
    )
    environment = self.run.make_environment(batch, seed)
    try:
      return evaluation.play_many(
        environment,
        acting,
        episodes,
        max_steps or self.run.experiment.evaluation_max_steps,
      )
    finally:
      environment.close()


def read(workdir: str) -> Run:
  """Reads a run's config.json.

  Args:
    workdir: the run's folder.

  Raises:
    ValueError: if there is no run, or its config.json cannot be used.
  """
  folder = run_folder.RunFolder(workdir)
  if not folder.exists():
    raise ValueError(
      f'workdir {workdir!r} holds no run (no config.json); check the path.'
    )
  saved = folder.read_config()
  # Early runs do not name their agent.
  agent = saved.get('agent', catalogue.ALD)
  if agent not in catalogue.NAMES:
    raise ValueError(
      f'{folder.config} is not of this version of ald_acme: agent must be one '
      f'of {", ".join(catalogue.NAMES)}, but received {agent!r}.'
    )
  found = settings.read(agent, saved)
  return Run(
    folder=folder,
    agent=agent,
    environment=saved['environment'],
    environment_kwargs=saved['environment_kwargs'],
    config=found.config,
    experiment=found.experiment,
    network_factory=saved.get('network_factory'),
    commit=saved.get('git_commit'),
  )


def load(run: Run) -> Trained:
  """Loads the newest checkpoint that can be read.

  Args:
    run: the agent's run; the checkpoint must match its environment and config.

  Raises:
    ValueError: if there is no readable checkpoint, if it does not match the
      run, or if the environment cannot be created.
  """
  checkpoint = _newest_checkpoint(run)
  import acme  # Takes seconds, so only after the checks.

  environment = run.make_environment(batch_size=1, seed=0)
  spec = acme.make_environment_spec(environment)
  environment.close()
  builder = catalogue.make_builder(run.agent, run.config, run.network_factory)
  networks = builder.make_networks(spec)
  try:
    builder.load_networks(networks, checkpoint.state)
  except ValueError as error:
    raise ValueError(
      f'checkpoint {checkpoint.path} does not fit the agent {run.agent} on '
      f'{run.environment}({run.environment_kwargs}): {error} Give the '
      'environment that it was trained in.'
    ) from error
  return Trained(
    run=run,
    checkpoint=checkpoint.path,
    frames=checkpoint.frames,
    environment_spec=spec,
    networks=networks,
  )


def _newest_checkpoint(run: Run) -> checkpoints.Checkpoint:
  folder = checkpoints.CheckpointFolder(run.folder.checkpoints)
  checkpoint = folder.latest()
  if checkpoint:
    return checkpoint
  if folder.paths():
    raise ValueError(
      f'no checkpoint in {run.folder.checkpoints} can be read: all are '
      'damaged; restore one, or train again in another workdir.'
    )
  raise ValueError(
    f'the run in {run.folder.path!r} has no checkpoint yet; wait until it '
    'saves one (every '
    f'{run.experiment.checkpoint_period:g} s, and at its end).'
  )

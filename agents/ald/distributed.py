"""The distributed ALD agent: the generic program with ALD's builder."""

from collections.abc import Sequence

from agents import builders
from agents import experiment as experiments
from agents import program
from agents.ald import builder as ald_builder
from agents.ald import config as ald_config
from agents.ald import networks as ald_networks
from ald_acme.acting import observing
from ald_acme.runs import folder as run_folder
from ald_acme.runs import metrics


class DistributedALD(program.DistributedAgent):
  """A Launchpad program of an ALD agent; `build` wires its nodes."""

  def __init__(
    self,
    environment_factory: builders.EnvironmentFactory,
    workdir: str,
    config: ald_config.ALDConfig | None = None,
    experiment: experiments.ExperimentConfig | None = None,
    network_factory: ald_networks.NetworkFactory | None = None,
    checkpoint: str | None = None,
    logger_factory: metrics.LoggerFactory | None = None,
    evaluator_factories: Sequence[builders.EvaluatorFactory] = (),
    observer_factory: observing.ObserverFactory | None = None,
  ) -> None:
    """Creates the builder; nothing starts before the program is launched.

    Args:
      environment_factory: creates E environments from (batch_size, seed);
        `ald_acme.environments.stack` does it with a `dm_env` factory.
      workdir: folder of the run's logs, checkpoints and summary.
      config: the agent's configuration; by default `ALDConfig()`.
      experiment: the run's configuration; by default `ExperimentConfig()`.
      network_factory: creates `ALDNetworks` from an `acme.EnvironmentSpec`; by
        default an LSTM and a GTrXL with the config's sizes.
      checkpoint: path of a checkpoint to resume from; None for a new run.
      logger_factory: as `DistributedAgent`.
      evaluator_factories: as `DistributedAgent`.
      observer_factory: as `ALDBuilder`.
    """
    super().__init__(
      ald_builder.ALDBuilder(
        config or ald_config.ALDConfig(),
        network_factory,
        observer_factory=observer_factory,
      ),
      environment_factory,
      run_folder.RunFolder(workdir),
      experiment or experiments.ExperimentConfig(),
      checkpoint=checkpoint,
      logger_factory=logger_factory,
      evaluator_factories=evaluator_factories,
    )

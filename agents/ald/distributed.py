"""The distributed ALD agent: the generic program with ALD's builder."""

import time

from agents import program
from agents.ald import builder as ald_builder
from agents.ald import config as ald_config
from agents.ald import networks as ald_networks
from ald_acme.runs import folder as run_folder


class DistributedALD(program.DistributedAgent):
  """A Launchpad program of an ALD agent; `build` wires its nodes."""

  def __init__(
    self,
    environment_factory: ald_builder.EnvironmentFactory,
    workdir: str,
    config: ald_config.ALDConfig | None = None,
    network_factory: ald_networks.NetworkFactory | None = None,
    checkpoint: str | None = None,
  ):
    """Nothing starts before the program is launched.

    Args:
      environment_factory: makes E environments from (batch_size, seed);
        `ald_acme.environments.base.stack` makes them of a `dm_env` factory.
      workdir: folder for logs, checkpoints and the summary of the run.
      config: of the agent; by default that of `ALDConfig()`.
      network_factory: makes `ALDNetworks` from an `acme.EnvironmentSpec`; by
        default an LSTM and a GTrXL of the config's sizes.
      checkpoint: path of a checkpoint to go on from.
    """
    builder = ald_builder.ALDBuilder(
      config or ald_config.ALDConfig(), network_factory
    )
    super().__init__(
      builder,
      builder.make_networks,
      environment_factory,
      run_folder.RunFolder(workdir),
      checkpoint,
      time.time(),
    )

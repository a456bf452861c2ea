"""ALD in a single process, for debugging."""

from collections.abc import Callable

from acme import specs
from acme.utils import counting
from acme.utils import loggers

from agents.actor_critic import agent
from agents.ald import builder as ald_builder
from agents.ald import config as ald_config
from agents.ald import networks as ald_networks


class ALD(agent.ActorCritic):
  """An ALD agent for `acme.EnvironmentLoop`.

  Deterministic for a given `config.seed` and networks made with a seed.
  """

  def __init__(
    self,
    environment_spec: specs.EnvironmentSpec,
    networks: ald_networks.ALDNetworks,
    config: ald_config.ALDConfig | None = None,
    counter: counting.Counter | None = None,
    logger: loggers.Logger | None = None,
    make_builder: Callable[
      [ald_config.ALDConfig], ald_builder.ALDBuilder
    ] = ald_builder.ALDBuilder,
  ) -> None:
    """Creates the parts; as `agents.actor_critic.ActorCritic`."""
    super().__init__(
      environment_spec,
      networks,
      config or ald_config.ALDConfig(),
      counter,
      logger,
      make_builder,
    )

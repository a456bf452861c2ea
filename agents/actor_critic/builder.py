"""The builder of actor-critics: ALD's parts without those that distil."""

from __future__ import annotations

import typing

import acme

from agents.ald import builder as ald_builder
from agents.ald import config as ald_config

if typing.TYPE_CHECKING:
  from agents.ald import networks as ald_networks


class ActorCriticBuilder(ald_builder.ALDBuilder):
  """What acts is what learns, or a part of it.

  Same loops, tables and losses as ALD's. Actors pull from the learner, and
  nothing is distilled.
  """

  distils = False

  def __init__(self, config: ald_config.ALDConfig, kind: str):
    """Keeps what the parts are made from.

    Args:
      config: as ALD's; what distillation alone reads has no effect.
      kind: one of `agents.actor_critic.networks.KINDS`.
    """
    super().__init__(config)
    self._kind = kind

  def _make_networks(
    self, environment_spec: acme.specs.EnvironmentSpec
  ) -> ald_networks.ALDNetworks:
    from agents.actor_critic import networks

    sizes = self._config.networks
    return networks.make_networks(self._kind, environment_spec, sizes)

  def _acting_variables(self, networks: ald_networks.ALDNetworks) -> list:
    from agents.actor_critic import networks as own_networks

    return own_networks.acting_variables(networks)

"""The agents by name."""

from __future__ import annotations

import typing

if typing.TYPE_CHECKING:
  from agents.ald import builder as ald_builder
  from agents.ald import config as ald_config

ALD = 'ald'
NAMES = (ALD, 'lstm', 'gtrxl', 'asymmetric', 'memoryless')


def make_builder(
  name: str, config: ald_config.ALDConfig
) -> ald_builder.ALDBuilder:
  """The builder of an agent's parts.

  Args:
    name: one of `NAMES`: ALD; an LSTM or a GTrXL that acts and learns; an
      LSTM that acts with a GTrXL as its critic; or a network without a memory.
    config: of the agent.

  Raises:
    ValueError: if there is no such agent.
  """
  if name not in NAMES:
    raise ValueError(
      f'name must be one of {", ".join(NAMES)}, but received {name!r}.'
    )
  # Here, so that the names can be read without waiting for Acme.
  from agents.actor_critic import builder as actor_critic_builder
  from agents.ald import builder as ald_builder

  if name == ALD:
    return ald_builder.ALDBuilder(config)
  return actor_critic_builder.ActorCriticBuilder(config, name)

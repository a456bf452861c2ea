"""The registry of agents by name."""

from __future__ import annotations

from collections.abc import Callable
import typing
from typing import Any, NamedTuple

if typing.TYPE_CHECKING:
  from agents.actor_critic import builder

ALD = 'ald'


class Agent(NamedTuple):
  """An entry of the registry.

  Attributes:
    about: one line of help.
    config: gives the class of its configuration.
    builder: makes its builder from a configuration and a network factory, or
      None for the agent's own networks.
    attends: whether what learns has a GTrXL.
  """

  about: str
  config: Callable[[], type]
  builder: Callable[[Any, Any], builder.ActorCriticBuilder]
  attends: bool


# Imports are within functions, so that the names alone import nothing.
def _ald_config() -> type:
  from agents.ald import config

  return config.ALDConfig


def _ald(config: Any, network_factory: Any) -> builder.ActorCriticBuilder:
  from agents.ald import builder

  return builder.ALDBuilder(config, network_factory)


def _config() -> type:
  from agents.actor_critic import config

  return config.ActorCriticConfig


def _asymmetric_config() -> type:
  from agents.actor_critic import config

  return config.AsymmetricConfig


def _asymmetric(
  config: Any, network_factory: Any
) -> builder.ActorCriticBuilder:
  from agents.actor_critic import asymmetric

  return asymmetric.AsymmetricBuilder(config, network_factory)


def _actor_critic(
  kind: str,
) -> Callable[[Any, Any], builder.ActorCriticBuilder]:
  def make(config: Any, network_factory: Any) -> builder.ActorCriticBuilder:
    from agents.actor_critic import builder

    return builder.ActorCriticBuilder(config, kind, network_factory)

  return make


_AGENTS = {
  ALD: Agent(
    'an LSTM acts, a GTrXL learns, and distillers teach the LSTM',
    _ald_config,
    _ald,
    attends=True,
  ),
  'lstm': Agent(
    'an LSTM acts and learns', _config, _actor_critic('lstm'), attends=False
  ),
  'gtrxl': Agent(
    'a GTrXL acts and learns', _config, _actor_critic('gtrxl'), attends=True
  ),
  'asymmetric': Agent(
    'an LSTM acts and learns with a GTrXL as its critic',
    _asymmetric_config,
    _asymmetric,
    attends=True,
  ),
  'memoryless': Agent(
    'a network without memory acts and learns: a lower bound',
    _config,
    _actor_critic('memoryless'),
    attends=False,
  ),
}
NAMES = tuple(_AGENTS)


def about(name: str) -> str:
  """A description of an agent in one line."""
  return _AGENTS[name].about


def attends(name: str) -> bool:
  """Whether what learns has a GTrXL, whose memory grows with T x (M + T)."""
  return _AGENTS[name].attends


def config_class(name: str) -> type:
  """The class of an agent's configuration.

  Raises:
    ValueError: if there is no such agent.
  """
  if name not in NAMES:
    raise ValueError(
      f'name must be one of {", ".join(NAMES)}, but received {name!r}.'
    )
  return _AGENTS[name].config()


def make_builder(
  name: str, config: Any, network_factory: str | None = None
) -> builder.ActorCriticBuilder:
  """The builder of an agent's parts.

  Args:
    name: one of `NAMES`.
    config: of the agent, a `config_class(name)`.
    network_factory: import path of a function that makes the networks from an
      `acme.EnvironmentSpec`, 'package.module:function'; None for the agent's
      own networks. It is imported when networks are made.

  Raises:
    ValueError: if there is no such agent.
    TypeError: if the configuration is another agent's.
  """
  wanted = config_class(name)
  if type(config) is not wanted:  # A subclass has other defaults.
    raise TypeError(
      f'the config of agent {name!r} must be of class {wanted.__name__}, but '
      f'received one of {type(config).__name__}.'
    )
  factory = None
  if network_factory is not None:
    from agents import imported

    factory = imported.ImportedNetworks(network_factory)
  return _AGENTS[name].builder(config, factory)

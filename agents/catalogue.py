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
    config: returns the class of its configuration.
    builder: creates its builder from a configuration and a network factory, or
      None for the default networks.
    attends: whether the learner's network has a GTrXL.
  """

  about: str
  config: Callable[[], type]
  builder: Callable[[Any, Any], builder.ActorCriticBuilder]
  attends: bool


# Imports are inside functions, so that reading the names imports nothing.
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
    'an LSTM acts, a GTrXL learns, and is distilled into the LSTM',
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
    'a memoryless network acts and learns: a lower-bound baseline',
    _config,
    _actor_critic('memoryless'),
    attends=False,
  ),
}
NAMES = tuple(_AGENTS)


def about(name: str) -> str:
  """A one-line description of an agent."""
  return _AGENTS[name].about


def attends(name: str) -> bool:
  """Whether the learner has a GTrXL; its memory use grows with T x (M + T)."""
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
  """Creates an agent's builder.

  Args:
    name: one of `NAMES`.
    config: the agent's configuration, a `config_class(name)`.
    network_factory: import path, 'package.module:function', of a function that
      creates the networks from an `acme.EnvironmentSpec`; None for the default
      networks. It is imported when networks are created.

  Raises:
    ValueError: if there is no such agent.
    TypeError: if the configuration is another agent's.
  """
  wanted = config_class(name)
  if type(config) is not wanted:  # A subclass has other defaults.
    raise TypeError(
      f'the config of agent {name!r} must be a {wanted.__name__}, but received '
      f'a {type(config).__name__}.'
    )
  factory = None
  if network_factory is not None:
    from agents import imported

    factory = imported.ImportedNetworks(network_factory)
  return _AGENTS[name].builder(config, factory)

"""The default pair of networks: an LSTM that acts, a GTrXL that learns."""

from acme import specs

from agents.actor_critic import networks as actor_critic_networks
from ald_acme.environments import observed

ALDNetworks = actor_critic_networks.ActorCriticNetworks
NetworkFactory = actor_critic_networks.NetworkFactory
Sizes = actor_critic_networks.Sizes


def make_default_networks(
  environment_spec: specs.EnvironmentSpec,
  sizes: Sizes | None = None,
  actor_observations: str = '',
) -> ALDNetworks:
  """Makes an LSTM actor and a GTrXL learner for an environment.

  Args:
    environment_spec: of one environment.
    sizes: of both networks; by default the `small` preset.
    actor_observations: entries of the observation that the actor sees, as
      `environments.observed.parse`; the learner sees all.

  Returns:
    Networks whose variables exist.
  """
  sizes = sizes or Sizes()
  return ALDNetworks(
    actor=actor_critic_networks.make_lstm(
      environment_spec,
      sizes,
      'actor',
      observed.parse(actor_observations, environment_spec.observations),
    ),
    learner=actor_critic_networks.make_gtrxl(
      environment_spec, sizes, 'learner'
    ),
  )

"""The default networks: an LSTM actor and a GTrXL learner."""

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
  seed: int | None = None,
) -> ALDNetworks:
  """Creates an LSTM actor and a GTrXL learner for an environment.

  Args:
    environment_spec: spec of one environment.
    sizes: sizes of both networks; by default the `small` preset.
    actor_observations: entries of the observation that the actor observes, as
      `environments.observed.parse`; the learner observes all.
    seed: as `agents.actor_critic.networks.LazyNetworks`.
  """
  own = sizes or Sizes()
  seen = observed.parse(actor_observations, environment_spec.observations)
  make_lstm = actor_critic_networks.make_lstm
  make_gtrxl = actor_critic_networks.make_gtrxl
  return actor_critic_networks.LazyNetworks(
    lambda: make_lstm(environment_spec, own, 'actor', seen),
    lambda: make_gtrxl(environment_spec, own, 'learner'),
    seed,
  )

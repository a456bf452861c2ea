"""The default networks: a small actor, and a large learner."""

from acme import specs

from agents.actor_critic import networks as actor_critic_networks
from ald_acme.environments.interface import observed
from ald_acme.networks import protocols

ALDNetworks = actor_critic_networks.ActorCriticNetworks
NetworkFactory = actor_critic_networks.NetworkFactory
Sizes = actor_critic_networks.Sizes


def make_default_networks(
  environment_spec: specs.EnvironmentSpec,
  sizes: Sizes | None = None,
  actor_observations: str = '',
  seed: int | None = None,
) -> ALDNetworks:
  """Creates an actor and a learner for an environment.

  Args:
    environment_spec: spec of one environment.
    sizes: cores and sizes of both networks; by default the `small` preset, an
      LSTM for the actor and a GTrXL for the learner.
    actor_observations: entries of the observation that the actor observes, as
      `environments.interface.observed.parse`; the learner observes all.
    seed: as `agents.actor_critic.networks.LazyNetworks`.
  """
  own = sizes or Sizes()
  seen = observed.parse(actor_observations, environment_spec.observations)
  make = actor_critic_networks.make_network
  return actor_critic_networks.LazyNetworks(
    lambda: make(own.actor_core, environment_spec, own, 'actor', seen),
    lambda: make(own.learner_core, environment_spec, own, 'learner'),
    seed,
  )


def with_features(
  network: protocols.Network, name: str
) -> protocols.FeatureNetwork:
  """Checks that the features of a network can be distilled.

  Args:
    network: the network.
    name: 'actor' or 'learner', for the message.

  Returns:
    The network.

  Raises:
    ValueError: if it does not expose its features.
  """
  if not isinstance(network, protocols.FeatureNetwork):
    raise ValueError(
      f'networks.{name} must have `feature_size` and `unroll_features` of '
      'ald_acme.networks.protocols.FeatureNetwork to distil features, but '
      f'received {type(network).__name__}; add them, or set '
      'feature_learning_rate=0.'
    )
  return network

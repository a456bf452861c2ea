"""The networks of actor-critics, by core and size."""

from collections.abc import Callable, Sequence
import dataclasses
from typing import Any

from acme import specs
import sonnet as snt
import tensorflow as tf

from ald_acme import distributions
from ald_acme import types
from ald_acme.environments.interface import masks
from ald_acme.environments.interface import observed
from ald_acme.networks import core as cores
from ald_acme.networks import feedforward
from ald_acme.networks import gru
from ald_acme.networks import gtrxl
from ald_acme.networks import lstm
from ald_acme.networks import policy_value
from ald_acme.networks import protocols
from ald_acme.networks import sizes as network_sizes
from ald_acme.networks import torsos

Sizes = network_sizes.NetworkSizes


@dataclasses.dataclass
class ActorCriticNetworks:
  """The networks of an agent; their variables exist.

  Attributes:
    actor: the acting network.
    learner: the learner's network.
  """

  actor: protocols.Network
  learner: protocols.LearnerNetwork


class LazyNetworks(ActorCriticNetworks):
  """Networks that are each created at their first access.

  A node of a program creates only those that it uses.
  """

  def __init__(
    self,
    make_actor: Callable[[], protocols.Network],
    make_learner: Callable[[], protocols.LearnerNetwork],
    seed: int | None = None,
  ) -> None:
    """Creates nothing yet.

    Args:
      make_actor: creates the actor with its variables.
      make_learner: creates the learner with its variables.
      seed: seed of TensorFlow, set before each network is created, so that
        initial parameters do not depend on the order of creation. None does not
        seed.
    """
    self._makers = {'actor': make_actor, 'learner': make_learner}
    self._seed = seed

  def __getattr__(self, name: str) -> Any:
    """Creates a network at its first access."""
    makers = self.__dict__.get('_makers', {})
    if name not in makers:
      raise AttributeError(
        f'{type(self).__name__!r} object has no attribute {name!r}'
      )
    if self._seed is not None:
      tf.random.set_seed(self._seed)
    network = makers[name]()
    setattr(self, name, network)
    return network


NetworkFactory = Callable[[specs.EnvironmentSpec], ActorCriticNetworks]


class Asymmetric(snt.RNNCore):
  """The policy of one network and the value of another.

  Only the policy acts, so it may be small; the value is only needed for
  learning (asymmetric actor-critic, Pinto et al., 2017), and may observe more.
  The state is the pair of both states.

  Attributes:
    policy: the network that provides the policy.
    value: the network that provides the value.
  """

  def __init__(
    self,
    policy: policy_value.PolicyValueNetwork,
    value: policy_value.PolicyValueNetwork,
    name: str | None = None,
  ) -> None:
    super().__init__(name=name)
    self.policy, self.value = policy, value
    self.distribution = policy.distribution

  def initial_state(self, batch_size: int, **kwargs: Any) -> types.Nest:
    return tuple(
      network.initial_state(batch_size, **kwargs)
      for network in (self.policy, self.value)
    )

  def rescale_value(self, factor: tf.Tensor, offset: tf.Tensor) -> None:
    """As `PolicyValueNetwork.rescale_value`."""
    self.value.rescale_value(factor, offset)

  def unroll(
    self, inputs: types.Inputs, state: types.Nest
  ) -> tuple[types.Outputs, types.Nest]:
    """Unrolls inputs `[T, B, ...]` from states `[B, ...]`."""
    return self._join('unroll', inputs, state)

  def __call__(
    self, inputs: types.Inputs, state: types.Nest
  ) -> tuple[types.Outputs, types.Nest]:
    """One step, leaves `[B, ...]`."""
    return self._join('__call__', inputs, state)

  def _join(
    self, method: str, inputs: types.Inputs, state: types.Nest
  ) -> tuple[types.Outputs, types.Nest]:
    of_policy, policy_state = getattr(self.policy, method)(inputs, state[0])
    of_value, value_state = getattr(self.value, method)(inputs, state[1])
    outputs = types.Outputs(of_policy.policy, of_value.value)
    return outputs, (policy_state, value_state)


def make_symmetric(
  core: str,
  environment_spec: specs.EnvironmentSpec,
  sizes: Sizes,
  seed: int | None = None,
) -> ActorCriticNetworks:
  """Creates two networks with one core; the actor copies the learner.

  Args:
    core: a key of `CORES`.
    environment_spec: spec of one environment.
    sizes: sizes of the networks.
    seed: as `LazyNetworks`.

  Returns:
    Networks with their variables in the same order.

  Raises:
    ValueError: if `sizes` chooses cores.
  """
  _check_cores(sizes)
  return LazyNetworks(
    lambda: make_network(core, environment_spec, sizes, 'actor'),
    lambda: make_network(core, environment_spec, sizes, 'learner'),
    seed,
  )


def make_asymmetric(
  environment_spec: specs.EnvironmentSpec,
  sizes: Sizes,
  actor_observations: str = '',
  seed: int | None = None,
) -> ActorCriticNetworks:
  """Creates an LSTM actor, and a learner with a GTrXL for the value.

  Args:
    environment_spec: spec of one environment.
    sizes: sizes of the networks.
    actor_observations: as `environments.interface.observed.parse`; the GTrXL
      observes all.
    seed: as `LazyNetworks`.

  Raises:
    ValueError: if `sizes` chooses cores.
  """
  _check_cores(sizes)
  seen = observed.parse(actor_observations, environment_spec.observations)
  return LazyNetworks(
    lambda: make_network('lstm', environment_spec, sizes, 'actor', seen),
    lambda: Asymmetric(
      policy=make_network('lstm', environment_spec, sizes, 'policy', seen),
      value=make_network('gtrxl', environment_spec, sizes, 'value'),
      name='learner',
    ),
    seed,
  )


def check(networks: Any, environment_spec: specs.EnvironmentSpec) -> None:
  """Checks the result of a network factory.

  Args:
    networks: should have `actor` and `learner`.
    environment_spec: spec of the environment.

  Raises:
    ValueError: if a network is missing, lacks a method, or is for other
      actions.
  """
  wanted = {
    'actor': protocols.Network,
    'learner': protocols.LearnerNetwork,
  }
  actions = distributions.from_spec(environment_spec.actions).describe()
  for name, protocol in wanted.items():
    network = getattr(networks, name, None)
    if not isinstance(network, protocol):
      raise ValueError(
        f'networks.{name} must have the methods of '
        f'ald_acme.networks.protocols.{protocol.__name__}, but received '
        f'{type(network).__name__} of {type(networks).__name__}; return '
        'ActorCriticNetworks(actor, learner) from the network factory.'
      )
    found = network.distribution.describe()
    if found != actions:
      raise ValueError(
        f"networks.{name} must have the environment's actions {actions}, but "
        f'received {found}; create the networks for this environment_spec.'
      )


def acting_variables(networks: ActorCriticNetworks) -> list:
  """The learner's variables that the actor copies, in order."""
  learner = networks.learner
  acting = learner.policy if isinstance(learner, Asymmetric) else learner
  return list(acting.trainable_variables)


def make_network(
  core: str,
  environment_spec: specs.EnvironmentSpec,
  sizes: Sizes,
  name: str,
  observed_entries: Sequence[str] | None = None,
) -> policy_value.PolicyValueNetwork:
  """Creates a network, with its variables.

  Args:
    core: a key of `CORES`.
    environment_spec: spec of one environment.
    sizes: sizes of the network; its cores are ignored.
    name: name of the network.
    observed_entries: as of `PolicyValueNetwork`.
  """
  distribution = distributions.from_spec(environment_spec.actions)
  width = sizes.gtrxl_width if core == 'gtrxl' else sizes.torso
  torso = torsos.Torso(
    width, distribution, sizes.image_channels, sizes.image_torso
  )
  network = policy_value.PolicyValueNetwork(
    torso,
    CORES[core](sizes),
    distribution,
    masks.find(environment_spec.observations),
    observed_entries,
    name,
  )
  policy_value.create_variables(network, environment_spec.observations)
  return network


def _make_gtrxl(sizes: Sizes) -> gtrxl.GTrXL:
  return gtrxl.GTrXL(
    width=sizes.gtrxl_width,
    num_layers=sizes.gtrxl_layers,
    num_heads=sizes.gtrxl_heads,
    mlp_size=sizes.gtrxl_mlp,
    memory_size=sizes.gtrxl_memory,
  )


CORES: dict[str, Callable[[Sizes], cores.UnrollableCore]] = {
  'lstm': lambda sizes: lstm.LSTM(sizes.lstm),
  'gru': lambda sizes: gru.GRU(sizes.lstm),
  'mingru': lambda sizes: gru.MinGRU(sizes.lstm),
  'gtrxl': _make_gtrxl,
  'memoryless': lambda sizes: feedforward.Feedforward(sizes.lstm),
}


def _check_cores(sizes: Sizes) -> None:
  """Rejects cores chosen for a pair of networks whose cores are fixed.

  Raises:
    ValueError: if the cores of the sizes are not the defaults.
  """
  usual = Sizes()
  for field in ('actor_core', 'learner_core'):
    chosen = getattr(sizes, field)
    if chosen != getattr(usual, field):
      raise ValueError(
        f'networks.{field}={chosen!r} has no effect on this agent, whose cores '
        'are fixed; leave it out, or choose the agent ald.'
      )

"""The default pair of networks: an LSTM that acts, a GTrXL that learns."""

from collections.abc import Callable
import dataclasses

from ald_acme import distributions
from ald_acme.networks import core as cores
from ald_acme.networks import feedforward
from ald_acme.networks import gtrxl
from ald_acme.networks import lstm
from ald_acme.networks import policy_value
from ald_acme.networks import sizes as network_sizes
from ald_acme.networks import torsos


@dataclasses.dataclass
class ALDNetworks:
  """The two models of the agent, with their variables made.

  Attributes:
    actor: small and fast; acts on a CPU, one step at a time.
    learner: large; learns from unrolls, on an accelerator if there is one.
  """

  actor: policy_value.PolicyValueNetwork
  learner: policy_value.PolicyValueNetwork


NetworkFactory = Callable[..., ALDNetworks]  # Of an `acme.EnvironmentSpec`.
Sizes = network_sizes.NetworkSizes


def make_default_networks(
  environment_spec, sizes: Sizes | None = None
) -> ALDNetworks:
  """Makes an LSTM actor and a GTrXL learner for an environment.

  Args:
    environment_spec: an `acme.specs.EnvironmentSpec`.
    sizes: of both networks; by default the `small` preset.

  Returns:
    Networks whose variables exist.
  """
  sizes = sizes or Sizes()
  return ALDNetworks(
    actor=make_lstm(environment_spec, sizes, 'actor'),
    learner=make_gtrxl(environment_spec, sizes, 'learner'),
  )


def make_lstm(
  environment_spec, sizes: Sizes, name: str
) -> policy_value.PolicyValueNetwork:
  """A network with an LSTM for memory, whose variables exist."""
  core = lstm.LSTM(sizes.lstm)
  return _make(environment_spec, sizes, sizes.torso, core, name)


def make_gtrxl(
  environment_spec, sizes: Sizes, name: str
) -> policy_value.PolicyValueNetwork:
  """A network with a GTrXL for memory, whose variables exist."""
  core = gtrxl.GTrXL(
    width=sizes.gtrxl_width,
    num_layers=sizes.gtrxl_layers,
    num_heads=sizes.gtrxl_heads,
    mlp_size=sizes.gtrxl_mlp,
    memory_size=sizes.gtrxl_memory,
  )
  return _make(environment_spec, sizes, sizes.gtrxl_width, core, name)


def make_memoryless(
  environment_spec, sizes: Sizes, name: str
) -> policy_value.PolicyValueNetwork:
  """As the LSTM's network, with a layer in its place; variables exist."""
  core = feedforward.Feedforward(sizes.lstm)
  return _make(environment_spec, sizes, sizes.torso, core, name)


def _make(
  environment_spec,
  sizes: Sizes,
  width: int,
  core: cores.UnrollableCore,
  name: str,
):
  distribution = distributions.from_spec(environment_spec.actions)
  torso = torsos.Torso(width, distribution, sizes.image_channels)
  network = policy_value.PolicyValueNetwork(torso, core, distribution, name)
  policy_value.create_variables(network, environment_spec.observations)
  return network

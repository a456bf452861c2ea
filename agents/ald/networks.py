"""The default pair of networks: an LSTM that acts, a GTrXL that learns."""

from collections.abc import Callable
import dataclasses

import sonnet as snt

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


def make_default_networks(
  environment_spec, sizes: network_sizes.NetworkSizes | None = None
) -> ALDNetworks:
  """Makes an LSTM actor and a GTrXL learner for an environment.

  Args:
    environment_spec: an `acme.specs.EnvironmentSpec` with discrete actions.
    sizes: of both networks; by default the `small` preset.

  Returns:
    Networks whose variables exist.
  """
  sizes = sizes or network_sizes.NetworkSizes()
  num_actions = environment_spec.actions.num_values

  def network(width: int, core: snt.RNNCore, name: str):
    torso = torsos.Torso(width, num_actions)
    made = policy_value.PolicyValueNetwork(torso, core, num_actions, name)
    policy_value.create_variables(made, environment_spec.observations)
    return made

  return ALDNetworks(
    actor=network(sizes.torso, lstm.LSTM(sizes.lstm), 'actor'),
    learner=network(
      sizes.gtrxl_width,
      gtrxl.GTrXL(
        width=sizes.gtrxl_width,
        num_layers=sizes.gtrxl_layers,
        num_heads=sizes.gtrxl_heads,
        mlp_size=sizes.gtrxl_mlp,
        memory_size=sizes.gtrxl_memory,
      ),
      'learner',
    ),
  )

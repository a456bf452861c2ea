"""Networks of which the learner trains the one that acts."""

import sonnet as snt

from agents.ald import networks as ald_networks
from ald_acme import types
from ald_acme.networks import policy_value

KINDS = ('lstm', 'gtrxl', 'asymmetric', 'memoryless')


class Asymmetric(snt.RNNCore):
  """A policy of one network and a value of another.

  The policy acts alone, so it may be small; the value is only needed to learn
  (asymmetric actor-critic, Pinto et al., 2017; here both see the same). Its
  state is the pair of both states.

  Attributes:
    policy: the network whose distribution of actions counts.
    value: the network whose value counts.
  """

  def __init__(
    self,
    policy: policy_value.PolicyValueNetwork,
    value: policy_value.PolicyValueNetwork,
    name: str | None = None,
  ):
    super().__init__(name=name)
    self.policy, self.value = policy, value
    self.distribution = policy.distribution

  def initial_state(self, batch_size, **kwargs):
    return tuple(
      network.initial_state(batch_size, **kwargs)
      for network in (self.policy, self.value)
    )

  def unroll(self, inputs: types.Inputs, state):
    """Reads a sequence, leaves `[T, B, ...]`, from states `[B, ...]`."""
    return self._join('unroll', inputs, state)

  def __call__(self, inputs: types.Inputs, state):
    """Reads one step, leaves `[B, ...]`."""
    return self._join('__call__', inputs, state)

  def _join(self, method: str, inputs: types.Inputs, state):
    answer, policy_state = getattr(self.policy, method)(inputs, state[0])
    judgement, value_state = getattr(self.value, method)(inputs, state[1])
    outputs = types.Outputs(answer.policy, judgement.value)
    return outputs, (policy_state, value_state)


def make_networks(
  kind: str, environment_spec, sizes: ald_networks.Sizes
) -> ald_networks.ALDNetworks:
  """Makes the acting network and the one that learns.

  Args:
    kind: 'lstm', 'gtrxl' or 'memoryless', which act and learn, or
      'asymmetric': an LSTM's policy with a GTrXL's value.
    environment_spec: an `acme.specs.EnvironmentSpec`.
    sizes: of the networks, as ALD's.

  Returns:
    Networks whose variables exist; `acting_variables` of the learner have the
    order of the actor's.
  """
  lstm, gtrxl = ald_networks.make_lstm, ald_networks.make_gtrxl
  if kind == 'asymmetric':
    return ald_networks.ALDNetworks(
      actor=lstm(environment_spec, sizes, 'actor'),
      learner=Asymmetric(
        policy=lstm(environment_spec, sizes, 'policy'),
        value=gtrxl(environment_spec, sizes, 'value'),
        name='learner',
      ),
    )
  make = {
    'lstm': lstm,
    'gtrxl': gtrxl,
    'memoryless': ald_networks.make_memoryless,
  }[kind]
  return ald_networks.ALDNetworks(
    actor=make(environment_spec, sizes, 'actor'),
    learner=make(environment_spec, sizes, 'learner'),
  )


def acting_variables(networks: ald_networks.ALDNetworks) -> list:
  """The learner's variables that the actor's are copies of, in order."""
  learner = networks.learner
  acting = learner.policy if isinstance(learner, Asymmetric) else learner
  return list(acting.trainable_variables)

"""A policy's step as a pure function of named tensors, for export."""

from typing import Any

from acme import specs
import numpy as np
import sonnet as snt
import tensorflow as tf
import tree

from ald_acme import types
from ald_acme.environments import dtypes
from ald_acme.environments import masks
from ald_acme.environments import observed
from ald_acme.networks import protocols

# Descriptions of the tensors other than the observation.
_MEANINGS = {
  'previous_action': 'the previous sample (see actions); ignored at a start of '
  'episode',
  'previous_reward': 'the reward that came with the observation; 0 at a start',
  'start_of_episode': 'true to reset the state before the step',
  'hidden': "the LSTM's output before the step; initially zeros",
  'cell': "the LSTM's cell before the step; initially zeros",
  'policy': 'parameters of the action distribution, see actions',
  'value': 'the expected discounted return, normalised',
  'next_hidden': 'the `hidden` of the next step',
  'next_cell': 'the `cell` of the next step',
}
# Outputs that are inputs of the next step.
STATE = {'hidden': 'next_hidden', 'cell': 'next_cell'}


class Step:
  """One step of an LSTM policy for one environment.

  Attributes:
    network: the network.
    observations: names of the observation's inputs, in the network's order.
    inputs: specs of all inputs by name, with a batch dimension of 1.
    outputs: specs of all outputs by name, with a batch dimension of 1.
    function: the concrete TensorFlow function, from and to dictionaries by
      name.
  """

  def __init__(
    self,
    network: protocols.Network,
    environment_spec: specs.EnvironmentSpec,
  ) -> None:
    """Traces the function.

    Args:
      network: a `PolicyValueNetwork`; its variables exist.
      environment_spec: an `acme.specs.EnvironmentSpec`.

    Raises:
      ValueError: if the network's core is not an LSTM.
    """
    state = network.initial_state(1)
    if not isinstance(state, snt.LSTMState):
      raise ValueError(
        'only policies with an LSTM can be exported, but this one has another '
        'core; choose an agent whose actor has an LSTM.'
      )
    self.network = network
    spec = observed.by(network, environment_spec.observations)
    self._observation_spec = spec
    leaves = {
      _name(path): tf.TensorSpec(
        [1, *leaf.shape], tf.as_dtype(dtypes.taken(leaf.dtype))
      )
      for path, leaf in tree.flatten_with_path(spec)
    }
    self.observations = list(leaves)
    self._mask = masks.find(spec)
    memory = tf.TensorSpec(state.hidden.shape, tf.float32)
    self._distribution = network.distribution
    dtype = tf.as_dtype(self._distribution.dtype)
    # In the order of `types.Inputs`, then the state.
    self.inputs = {
      **leaves,
      'previous_action': tf.TensorSpec([1, *self._distribution.shape], dtype),
      'previous_reward': tf.TensorSpec([1], tf.float32),
      'start_of_episode': tf.TensorSpec([1], tf.bool),
      'hidden': memory,
      'cell': memory,
    }
    self.outputs = {
      'policy': tf.TensorSpec(
        [1, self._distribution.num_parameters], tf.float32
      ),
      'value': tf.TensorSpec([1], tf.float32),
      'next_hidden': memory,
      'next_cell': memory,
    }
    self.function = tf.function(
      self._step, autograph=False
    ).get_concrete_function(
      **{
        name: tf.TensorSpec(spec.shape, spec.dtype, name)
        for name, spec in self.inputs.items()
      }
    )

  def named(self, inputs: types.Inputs) -> dict[str, np.ndarray]:
    """Inputs of a step by name, without the state's.

    Args:
      inputs: leaves `[1, ...]`.
    """
    return dict(zip(self.inputs, tree.flatten(inputs)))

  def describe(self) -> dict:
    """The manifest's description of the tensors."""

    def describe(
      specs: dict[str, tf.TensorSpec],
    ) -> list[dict[str, Any]]:
      return [
        {
          'name': name,
          'shape': spec.shape.as_list(),
          'dtype': spec.dtype.name,
          'meaning': _MEANINGS.get(name, 'the observation'),
        }
        for name, spec in specs.items()
      ]

    return {
      'inputs': describe(self.inputs),
      'outputs': describe(self.outputs),
      'observations': self.observations,
      'state': STATE,
      'mask': None if self._mask is None else _name(self._mask),
      'actions': {
        **self._distribution.describe(),
        'meaning': 'how to sample from `policy` and convert samples to '
        'actions; implemented in act.py',
      },
    }

  def _step(self, **tensors: tf.Tensor) -> dict[str, tf.Tensor]:
    *seen, hidden, cell = (tensors[name] for name in self.inputs)
    inputs = tree.unflatten_as(
      types.Inputs(self._observation_spec, *3 * [None]), seen
    )
    outputs, state = self.network(inputs, snt.LSTMState(hidden, cell))
    answers = (outputs.policy, outputs.value, state.hidden, state.cell)
    return dict(zip(self.outputs, answers))


def _name(path: tuple) -> str:
  """'observation', with the path to the leaf if there are several."""
  return '_'.join(['observation', *map(str, path)])

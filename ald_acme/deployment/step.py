"""A policy's step as a pure function of named tensors, for export."""

from typing import Any

from acme import specs
import numpy as np
import sonnet as snt
import tensorflow as tf
import tree

from ald_acme import types
from ald_acme.environments.interface import dtypes
from ald_acme.environments.interface import masks
from ald_acme.environments.interface import observed
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


class Step:
  """One step of a recurrent policy for one environment.

  Attributes:
    network: the network.
    observations: names of the observation's inputs, in the network's order.
    state: the state's inputs, each with the output that is its next value:
      `hidden` and `cell` of an LSTM, else `state_0`, `state_1`, ...; initially
      zeros.
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
      ValueError: if its recurrent state is not float32.
    """
    self._initial_state = network.initial_state(1)
    leaves = tree.flatten(self._initial_state)
    if any(leaf.dtype != tf.float32 for leaf in leaves):
      raise ValueError(
        'only policies whose recurrent state is float32 can be exported, but '
        f'this one has {sorted({leaf.dtype.name for leaf in leaves})}; store '
        'such numbers as float32 in the core.'
      )
    names = (
      ['hidden', 'cell']
      if isinstance(self._initial_state, snt.LSTMState)
      else [f'state_{i}' for i in range(len(leaves))]
    )
    self.state = {name: f'next_{name}' for name in names}
    memory = {
      name: tf.TensorSpec(leaf.shape, tf.float32)
      for name, leaf in zip(names, leaves)
    }
    self.network = network
    spec = observed.by(network, environment_spec.observations)
    self._observation_spec = spec
    seen = {
      _name(path): tf.TensorSpec(
        [1, *leaf.shape], tf.as_dtype(dtypes.taken(leaf.dtype))
      )
      for path, leaf in tree.flatten_with_path(spec)
    }
    self.observations = list(seen)
    self._mask = masks.find(spec)
    self._distribution = network.distribution
    dtype = tf.as_dtype(self._distribution.dtype)
    # In the order of `types.Inputs`, then the state.
    self.inputs = {
      **seen,
      'previous_action': tf.TensorSpec([1, *self._distribution.shape], dtype),
      'previous_reward': tf.TensorSpec([1], tf.float32),
      'start_of_episode': tf.TensorSpec([1], tf.bool),
      **memory,
    }
    self.outputs = {
      'policy': tf.TensorSpec(
        [1, self._distribution.num_parameters], tf.float32
      ),
      'value': tf.TensorSpec([1], tf.float32),
      **{self.state[name]: spec for name, spec in memory.items()},
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
          'meaning': _meaning(name),
        }
        for name, spec in specs.items()
      ]

    return {
      'inputs': describe(self.inputs),
      'outputs': describe(self.outputs),
      'observations': self.observations,
      'state': self.state,
      'mask': None if self._mask is None else _name(self._mask),
      'actions': {
        **self._distribution.describe(),
        'meaning': 'how to sample from `policy` and convert samples to '
        'actions; implemented in act.py',
      },
    }

  def _step(self, **tensors: tf.Tensor) -> dict[str, tf.Tensor]:
    seen = [tensors[name] for name in self.inputs if name not in self.state]
    memory = [tensors[name] for name in self.state]
    inputs = tree.unflatten_as(
      types.Inputs(self._observation_spec, *3 * [None]), seen
    )
    outputs, state = self.network(
      inputs, tree.unflatten_as(self._initial_state, memory)
    )
    answers = (outputs.policy, outputs.value, *tree.flatten(state))
    return dict(zip(self.outputs, answers))


def _meaning(name: str) -> str:
  if name.startswith('next_state'):
    return f'the `{name.removeprefix("next_")}` of the next step'
  if name.startswith('state_'):
    return 'a part of the recurrent state; initially zeros'
  return _MEANINGS.get(name, 'the observation')


def _name(path: tuple) -> str:
  """'observation', with the path to the leaf if there are several."""
  return '_'.join(['observation', *map(str, path)])

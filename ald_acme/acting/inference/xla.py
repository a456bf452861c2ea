"""Steps as one XLA kernel: for networks whose step is real work."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf
import tree

from ald_acme import types
from ald_acme.acting.inference import specs
from ald_acme.parameters import variables


class XLAStep:
  """A network's step; the state stays in variables, out of Python's way."""

  NAME = 'XLA'

  def __init__(self, network, observation_spec, batch_size: int):
    """Begins with an empty state.

    Args:
      network: a `PolicyValueNetwork` whose variables exist.
      observation_spec: a nest of specs with `shape` and `dtype`.
      batch_size: E.
    """
    self._variables = variables.Variables(network.trainable_variables)
    self._initial_state = network.initial_state(batch_size)
    self._state = tree.map_structure(
      lambda x: tf.Variable(x, trainable=False), self._initial_state
    )

    def step(*leaves):
      inputs = tree.unflatten_as(like, leaves)
      state = tree.map_structure(lambda v: v.read_value(), self._state)
      outputs, state = network(inputs, state)
      tree.map_structure(lambda v, x: v.assign(x), self._state, state)
      return outputs.policy

    like = specs.inputs(observation_spec, network.distribution, batch_size)
    self._step = tf.function(
      step, autograph=False, jit_compile=True
    ).get_concrete_function(*tree.flatten(like))

  @property
  def state(self):
    """The recurrent state before the next step, arrays `[E, ...]`."""
    return tree.map_structure(lambda v: v.numpy(), self._state)

  def reset(self):
    """Forgets everything."""
    tree.map_structure(
      lambda v, x: v.assign(x), self._state, self._initial_state
    )

  def load(self, parameters: Sequence[np.ndarray]):
    """Replaces the network's trainable variables."""
    self._variables.assign(parameters)

  def __call__(self, inputs: types.Inputs) -> np.ndarray:
    """Parameters of the policy, float32 `[E, P]`; moves the state on."""
    return self._step(*map(tf.convert_to_tensor, tree.flatten(inputs))).numpy()

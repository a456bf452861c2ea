"""Steps as one XLA kernel, for networks with expensive steps."""

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf
import tree

from ald_acme import activity
from ald_acme import graphs
from ald_acme import types
from ald_acme.networks import inputs as network_inputs
from ald_acme.networks import protocols
from ald_acme.parameters import variables


class XLAStep:
  """A network's step as one XLA kernel, with its state in variables."""

  NAME = 'XLA'

  def __init__(
    self,
    network: protocols.Network,
    observation_spec: types.Nest,
    batch_size: int,
  ) -> None:
    """Starts from the initial state.

    Args:
      network: its variables exist.
      observation_spec: a nest of specs with `shape` and `dtype`.
      batch_size: E.
    """
    self._variables = variables.Variables(network.trainable_variables)
    act: Callable[[types.Inputs, types.Nest], tuple[types.Outputs, types.Nest]]
    to_acting: Callable[[types.Nest], types.Nest]
    to_recurrent: Callable[[types.Nest], types.Nest]
    if isinstance(network, protocols.ActingNetwork):
      act, to_acting = network.act, network.acting_state
      to_recurrent = network.recurrent_state
    else:
      act, to_acting, to_recurrent = network, _same, _same
    self._initial_state = network.initial_state(batch_size)
    self._state = tree.map_structure(
      lambda x: tf.Variable(x, trainable=False),
      to_acting(self._initial_state),
    )

    def read() -> types.Nest:
      return tree.map_structure(lambda v: v.read_value(), self._state)

    def write(
      state: types.Nest, before: Sequence[tf.Tensor] | None = None
    ) -> None:
      """Assigns leaves that changed."""
      leaves = tree.flatten(state)
      for variable, old, new in zip(
        tree.flatten(self._state), before or [None] * len(leaves), leaves
      ):
        if new is not old:
          variable.assign(new)

    def step(*leaves: tf.Tensor) -> tf.Tensor:
      inputs, before = tree.unflatten_as(like, leaves), read()
      outputs, state = act(inputs, before)
      write(state, tree.flatten(before))
      return outputs.policy

    like = network_inputs.specs(
      observation_spec, network.distribution, [batch_size]
    )
    self._step = activity.Compiled(
      graphs.function(step, jit_compile=True).get_concrete_function(
        *tree.flatten(like)
      ),
      'its step',
    )
    self._recall = graphs.function(lambda: to_recurrent(read()))
    self._begin = graphs.function(lambda state: write(to_acting(state)))

  @property
  def state(self) -> types.Nest:
    """The recurrent state before the next step, arrays `[E, ...]`."""
    return tree.map_structure(lambda x: x.numpy(), self._recall())

  def reset(self) -> None:
    """Resets the recurrent state."""
    self._begin(self._initial_state)

  def load(self, parameters: Sequence[np.ndarray]) -> None:
    """Replaces the network's trainable variables.

    The recurrent state stays; cached projections of it are recomputed.
    """
    self._variables.assign(parameters)
    self._begin(self._recall())

  def __call__(self, inputs: types.Inputs) -> np.ndarray:
    """Computes the policy, float32 `[E, P]`; advances the state."""
    return self._step(*map(tf.convert_to_tensor, tree.flatten(inputs))).numpy()


def _same(state: types.Nest) -> types.Nest:
  return state

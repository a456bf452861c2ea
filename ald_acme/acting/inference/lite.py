"""Steps in TensorFlow Lite, for networks with cheap steps.

TensorFlow's overhead dominates a step of a few small products. In TensorFlow
Lite a step of an LSTM of 64 units in 16 mazes takes a tenth of the time of an
XLA kernel called from TensorFlow (`benchmarks/inference.py` measures both).
"""

from collections.abc import Sequence
import copy

import numpy as np
import sonnet as snt
import tensorflow as tf
import tree

from ald_acme import types
from ald_acme.acting.inference import conversion
from ald_acme.networks import inputs as network_inputs


class LiteStep:
  """A network's step whose parameters are inputs, so that they can change.

  The network's own variables are read once.
  """

  NAME = 'TensorFlow Lite'

  def __init__(
    self, network: snt.Module, observation_spec: types.Nest, batch_size: int
  ) -> None:
    """Starts from the initial state, with the network's parameters.

    Args:
      network: its variables exist.
      observation_spec: a nest of specs with `shape` and `dtype`.
      batch_size: E.

    Raises:
      ValueError: if TensorFlow Lite does not support the network.
    """
    self._initial_state = tree.map_structure(
      lambda x: x.numpy(), network.initial_state(batch_size)
    )
    inputs = network_inputs.specs(
      observation_spec, network.distribution, [batch_size]
    )
    parameters = [v.numpy() for v in network.trainable_variables]
    parts = (inputs, self._initial_state, parameters)
    model = _convert(network, parts)
    with conversion.quiet():
      # One thread: too little work for more.
      self._interpreter = tf.lite.Interpreter(
        model_content=model, num_threads=1
      )
      self._interpreter.allocate_tensors()
    of_inputs = {
      _number(detail['name'].rsplit('_', 1)[1]): detail['index']
      for detail in self._interpreter.get_input_details()
    }
    indices = [of_inputs[i] for i in range(len(tree.flatten(parts)))]
    ends = np.cumsum([len(tree.flatten(part)) for part in parts])
    self._inputs, self._states, self._parameters, _ = (
      part.tolist() for part in np.split(indices, ends)
    )
    self._policy, *self._next_states = (
      detail['index']
      for detail in sorted(
        self._interpreter.get_output_details(),
        key=lambda detail: _number(detail['name'].rsplit(':', 1)[-1]),
      )
    )
    self.load(parameters)
    self.reset()

  @property
  def state(self) -> types.Nest:
    """The recurrent state before the next step, arrays `[E, ...]`."""
    return tree.unflatten_as(self._initial_state, self._state)

  def reset(self) -> None:
    """Resets the recurrent state."""
    self._state = tree.flatten(self._initial_state)

  def load(self, parameters: Sequence[np.ndarray]) -> None:
    """Replaces the parameters, in the order of `trainable_variables`."""
    for index, value in zip(self._parameters, parameters, strict=True):
      self._interpreter.set_tensor(index, value)

  def __call__(self, inputs: types.Inputs) -> np.ndarray:
    """Computes the policy, float32 `[E, P]`; advances the state."""
    set_tensor = self._interpreter.set_tensor
    for index, value in zip(self._inputs, tree.flatten(inputs)):
      set_tensor(index, value)
    for index, value in zip(self._states, self._state):
      set_tensor(index, value)
    self._interpreter.invoke()
    get_tensor = self._interpreter.get_tensor
    self._state = [get_tensor(index) for index in self._next_states]
    return get_tensor(self._policy)


def _convert(network: snt.Module, parts: types.Nest) -> bytes:
  """Converts the step: inputs, state and parameters to policy and state."""
  network = copy.deepcopy(network)
  variables = list(network.trainable_variables)
  places = [
    (module, name, value)
    for module in (network, *network.submodules)
    for name, value in vars(module).items()
    if isinstance(value, tf.Variable)
  ]

  def step(*leaves: tf.Tensor) -> list[tf.Tensor]:
    inputs, state, parameters = tree.unflatten_as(parts, leaves)
    given = {id(v): x for v, x in zip(variables, parameters)}
    for module, name, variable in places:
      setattr(module, name, given.get(id(variable), variable))
    outputs, state = network(inputs, state)
    return [outputs.policy, *tree.flatten(state)]

  traced = tf.function(step, autograph=False).get_concrete_function(
    *(
      tf.TensorSpec(leaf.shape, leaf.dtype, f'x_{i}')
      for i, leaf in enumerate(tree.flatten(parts))
    )
  )
  if traced.trainable_variables:
    raise ValueError(
      'TensorFlow Lite would freeze variables that are not attributes of a '
      f'module: {[v.name for v in traced.trainable_variables]}'
    )
  return conversion.convert(
    tf.lite.TFLiteConverter.from_concrete_functions([traced], network)
  )


def _number(name: str) -> int:
  """Index in the name of an input or output: `3:0` and `3` give 3."""
  return int(name.split(':')[0])

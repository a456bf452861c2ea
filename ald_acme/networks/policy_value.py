"""A network of a torso, a recurrent core, and policy and value heads."""

from collections.abc import Sequence
from typing import Any

import sonnet as snt
import tensorflow as tf
import tree

from ald_acme import distributions
from ald_acme import types
from ald_acme.environments.interface import masks
from ald_acme.environments.interface import observed
from ald_acme.networks import core as cores

State = Any


class PolicyValueNetwork(snt.RNNCore):
  """The default network of actors and learners.

  A step (`__call__`) takes leaves `[B, ...]`, an unroll takes `[T, B, ...]`,
  and both give the same outputs. Where `start_of_episode` is set, the state is
  reset before the step.

  Attributes:
    distribution: distribution of the actions; a policy is its P parameters.
    observed: entries of the observation that the network reads; None for all.
  """

  def __init__(
    self,
    torso: snt.Module,
    core: cores.UnrollableCore,
    distribution: distributions.Distribution,
    mask: tuple | None = None,
    observed_entries: Sequence[str] | None = None,
    name: str | None = None,
  ) -> None:
    """Builds the heads.

    Args:
      torso: maps inputs `[N, ...]` to features `[N, D]`.
      core: maps features to outputs with memory.
      distribution: distribution of the actions.
      mask: path of the action mask in the observation
        (`environments.MaskSpec`); None where all actions are legal.
      observed_entries: entries of the observation that the network reads
        (`environments.interface.observed`); None for all.
      name: name of the module.
    """
    super().__init__(name=name)
    self._mask = mask
    self.observed = observed_entries
    self.distribution = distribution
    self._torso = torso
    self._core = core
    self._head = snt.Linear(
      distribution.num_parameters + 1,
      w_init=snt.initializers.TruncatedNormal(stddev=0.01),
    )

  @property
  def prefers_tflite(self) -> bool:
    """As `UnrollableCore.prefers_tflite`."""
    return self._core.prefers_tflite

  def initial_state(self, batch_size: int, **kwargs: Any) -> State:
    return self._core.initial_state(batch_size, **kwargs)

  def unroll(
    self, inputs: types.Inputs, state: State
  ) -> tuple[types.Outputs, State]:
    """Unrolls inputs `[T, B, ...]` from a state `[B, ...]`."""
    outputs, _, state = self.unroll_features(inputs, state)
    return outputs, state

  @property
  def feature_size(self) -> int:
    """F, the size of the features."""
    return self._core.output_size

  def unroll_features(
    self, inputs: types.Inputs, state: State
  ) -> tuple[types.Outputs, tf.Tensor, State]:
    """As `unroll`, with the core's outputs `[T, B, F]` as second result."""
    length, batch = inputs.start_of_episode.shape
    batch = batch or tf.shape(inputs.start_of_episode)[1]

    inputs = self._select(inputs)
    flat = tree.map_structure(
      lambda x: tf.reshape(x, [length * batch, *x.shape[2:]]), inputs
    )
    features = self._torso(flat)
    features = tf.reshape(features, [length, batch, features.shape[-1]])
    features, state = self._core.unroll(
      features, inputs.start_of_episode, state
    )
    x = self._head(tf.reshape(features, [length * batch, features.shape[-1]]))
    x = tf.reshape(x, [length, batch, x.shape[-1]])
    return self._outputs(x, inputs.observation), features, state

  def acting_state(self, state: State) -> State:
    """As of the core."""
    return self._core.acting_state(state)

  def recurrent_state(self, acting_state: State) -> State:
    """As of the core."""
    return self._core.recurrent_state(acting_state)

  def act(
    self, inputs: types.Inputs, acting_state: State
  ) -> tuple[types.Outputs, State]:
    """One step, `[B, ...]`; parameters unchanged since `acting_state`."""
    inputs = self._select(inputs)
    features, reset = self._torso(inputs), inputs.start_of_episode
    x, acting_state = self._core.act(features, reset, acting_state)
    return self._outputs(self._head(x), inputs.observation), acting_state

  def _select(self, inputs: types.Inputs) -> types.Inputs:
    """Inputs with the observed entries alone."""
    observation = observed.select(inputs.observation, self.observed)
    return inputs._replace(observation=observation)

  def _outputs(self, x: tf.Tensor, observation: types.Nest) -> types.Outputs:
    """Splits the head's outputs `[..., P + 1]`, and masks illegal actions."""
    policy = x[..., :-1]
    if self._mask is not None:
      legal = masks.read(observation, self._mask)
      policy = self.distribution.mask(policy, legal)
    return types.Outputs(policy=policy, value=x[..., -1])

  def rescale_value(self, factor: tf.Tensor, offset: tf.Tensor) -> None:
    """Changes the last layer so that the value `v` becomes `factor v + offset`.

    Args:
      factor: a scalar.
      offset: a scalar.
    """
    w, b = self._head.w, self._head.b
    w.assign(tf.concat([w[:, :-1], factor * w[:, -1:]], axis=1))
    b.assign(tf.concat([b[:-1], factor * b[-1:] + offset], axis=0))

  def __call__(
    self, inputs: types.Inputs, state: State
  ) -> tuple[types.Outputs, State]:
    """One step, leaves `[B, ...]`."""
    # Not `x[None]`: TensorFlow Lite cannot index more than 5 dimensions.
    sequence = tree.map_structure(lambda x: tf.expand_dims(x, 0), inputs)
    outputs, state = self.unroll(sequence, state)
    return tree.map_structure(lambda x: x[0], outputs), state


def create_variables(
  network: PolicyValueNetwork, observation_spec: types.Nest
) -> None:
  """Creates the network's variables by one step on zeros.

  Args:
    network: a network whose variables need not exist yet.
    observation_spec: a nest of specs with `shape` and `dtype`.
  """
  distribution = network.distribution
  zeros = tree.map_structure(
    lambda s: tf.zeros([1, *s.shape], tf.as_dtype(s.dtype)), observation_spec
  )
  inputs = types.Inputs(
    observation=zeros,
    action=tf.zeros([1, *distribution.shape], distribution.dtype),
    reward=tf.zeros([1]),
    start_of_episode=tf.ones([1], tf.bool),
  )
  network(inputs, network.initial_state(1))

"""Protocols of networks."""

from __future__ import annotations

from collections.abc import Sequence
import typing
from typing import Protocol

from ald_acme import types

if typing.TYPE_CHECKING:
  import tensorflow as tf

  from ald_acme import distributions


@typing.runtime_checkable
class Network(Protocol):
  """A recurrent policy and value, such as `policy_value.PolicyValueNetwork`.

  Steps and unrolls give the same outputs. `copy.deepcopy` copies it, and two
  networks of the same kind have their variables in the same order.

  Attributes:
    distribution: distribution of the actions; a policy is its P parameters.
  """

  distribution: distributions.Distribution

  @property
  def trainable_variables(self) -> Sequence[tf.Variable]:
    """All variables; they must exist before the network is used."""

  def initial_state(self, batch_size: int) -> types.Nest:
    """The state before the first step of an episode, leaves `[B, ...]`."""

  def unroll(
    self, inputs: types.Inputs, state: types.Nest
  ) -> tuple[types.Outputs, types.Nest]:
    """Reads a sequence.

    Args:
      inputs: leaves `[T, B, ...]`; where `start_of_episode` is set, the state
        is reset before the step.
      state: leaves `[B, ...]`.

    Returns:
      Outputs `[T, B, ...]`, and the state after them.
    """

  def __call__(
    self, inputs: types.Inputs, state: types.Nest
  ) -> tuple[types.Outputs, types.Nest]:
    """Reads one step, leaves `[B, ...]`."""


@typing.runtime_checkable
class ActingNetwork(Network, Protocol):
  """A network with a cheaper step for acting (`core.UnrollableCore.act`)."""

  def acting_state(self, state: types.Nest) -> types.Nest:
    """The state of `act`, for the parameters of this moment."""

  def recurrent_state(self, acting_state: types.Nest) -> types.Nest:
    """The state within an acting state."""

  def act(
    self, inputs: types.Inputs, acting_state: types.Nest
  ) -> tuple[types.Outputs, types.Nest]:
    """As a step, from an acting state to the next one."""


@typing.runtime_checkable
class FeatureNetwork(Network, Protocol):
  """A network that exposes the features under its heads."""

  @property
  def feature_size(self) -> int:
    """F, the size of the features."""

  def unroll_features(
    self, inputs: types.Inputs, state: types.Nest
  ) -> tuple[types.Outputs, tf.Tensor, types.Nest]:
    """As `unroll`, with the features, float32 `[T, B, F]`, as second result."""


@typing.runtime_checkable
class LearnerNetwork(Network, Protocol):
  """A network whose value can be rescaled, as PopArt needs."""

  def rescale_value(self, factor: tf.Tensor, offset: tf.Tensor) -> None:
    """Changes weights so that the value `v` becomes `factor v + offset`."""

"""Collects time steps into unrolls and writes them to the queue."""

import copy
from typing import Any, NamedTuple, Protocol

from acme import adders
import dm_env
import numpy as np
import tree

from ald_acme import types
from ald_acme.environments.interface import base
from ald_acme.replay import tables

_FIRST, _LAST = (
  int(kind) for kind in (dm_env.StepType.FIRST, dm_env.StepType.LAST)
)


class Extras(NamedTuple):
  """Policy outputs that unrolls store with the action.

  Attributes:
    policy: float32 `[E, P]`, parameters that the action was sampled from.
    state: the network's state before the step, leaves `[E, ...]`; only needed
      where `UnrollAdder.needs_state`.
  """

  policy: np.ndarray
  state: Any = None


class UnrollAdder(adders.Adder):
  """Writes one unroll for every T steps of E environments.

  Takes time steps of a `BatchedEnvironment`, or of a single
  `dm_env.Environment` (E = 1). They are copied into preallocated numpy buffers,
  because many environments reuse their arrays and because it makes the cost per
  frame negligible.

  Attributes:
    learner_updates: learner updates so far, for the stamp of the next unroll;
      None if not known.
  """

  def __init__(
    self,
    writer: '_Writer',
    unroll_length: int,
    stream: int = 0,
    store_state: bool = True,
  ) -> None:
    """Starts an empty unroll.

    Args:
      writer: writes to the replay server.
      unroll_length: T.
      stream: index of the actor.
      store_state: whether unrolls hold the network's initial state.
    """
    self.learner_updates: int | None = None
    self._writer = writer
    self._length = unroll_length
    self._stream = stream
    self._store_state = store_state
    self._sequence = 0
    self._t = 0
    self._first: dm_env.TimeStep | None = None  # The initial time step, copied.
    self._is_last: np.ndarray | None = None  # Of the newest step.
    self._unroll: types.Unroll | None = None
    self._state: types.Nest = ()
    self._born_at = types.UNKNOWN  # Learner updates when the unroll began.

  def halves(self) -> tuple['UnrollAdder', 'UnrollAdder']:
    """Adders of the first and the second half of the environments.

    Each collects the unrolls of its half. The first half must complete an
    unroll first; then the second joins both to one unroll of E environments,
    and writes it. The second is this adder itself, so call this once.
    """
    joined = _Joined(self._writer)
    first = copy.copy(self)  # Of a subclass, too.
    first._writer, self._writer = joined.first, joined
    return first, self

  @property
  def needs_state(self) -> bool:
    """Whether the next step needs the network's state in its extras."""
    return self._store_state and self.begins_unroll

  @property
  def begins_unroll(self) -> bool:
    """Whether the next step is the first of an unroll."""
    return self._t == 0

  @property
  def unrolls_written(self) -> int:
    """Number of unrolls written, whole ones if the environments are halved."""
    return self._sequence

  def reset(self) -> None:
    """Discards the current unroll; the next time step begins another."""
    self._t = 0
    self._is_last = None

  def add_first(self, timestep: dm_env.TimeStep) -> None:
    """Records the first time step."""
    timestep = base.as_batch(timestep)
    if self._is_last is None:
      self._first = tree.map_structure(np.array, timestep)
      self._is_last = self._first.step_type == _LAST
      return
    # The step between two episodes; the losses mask it.
    if self._unroll is None:
      raise ValueError(
        'add_first was called twice in a row; call add in between.'
      )
    policy = np.zeros_like(self._unroll.behaviour_policy[0])
    # The network resets its state here, so the stored one is not read.
    state = tree.map_structure(np.zeros_like, self._state)
    action = np.zeros_like(self._unroll.action[0])
    self._append(action, timestep, Extras(policy, state))

  def add(
    self, action: np.ndarray, next_timestep: dm_env.TimeStep, extras: Extras
  ) -> None:
    """Records a step; at the end of an unroll, blocks until it is written.

    Args:
      action: the action taken, a sample of `distributions.Distribution`, `[E,
        ...]` or a scalar.
      next_timestep: the time step that followed.
      extras: outputs of the policy.
    """
    self._append(np.atleast_1d(action), base.as_batch(next_timestep), extras)

  def _append(
    self, action: np.ndarray, next_timestep: dm_env.TimeStep, extras: Extras
  ) -> None:
    t = self._t
    if self._unroll is None:
      assert self._first, 'add_first comes before add'
      self._unroll = self._allocate(extras.policy, action, self._first)
    unroll = self._unroll
    if self.begins_unroll:
      self._begin(unroll.inputs)
      updates = self.learner_updates
      self._born_at = types.UNKNOWN if updates is None else updates
      if self._store_state:
        self._state = extras.state
    unroll.is_last[t] = self._is_last
    unroll.action[t] = action
    unroll.behaviour_policy[t] = extras.policy
    unroll.reward[t] = next_timestep.reward
    unroll.discount[t] = next_timestep.discount
    self._store_inputs(unroll.inputs, t + 1, action, next_timestep)
    self._is_last = next_timestep.step_type == _LAST
    self._t += 1
    if self._t == self._length:
      self._t = 0
      self._write(unroll)

  def _begin(self, inputs: types.Inputs) -> None:
    """Stores the first step of an unroll."""
    if self._first is not None:
      self._store_inputs(inputs, 0, 0, self._first)
      self._first = None
      return
    # It was the bootstrap step of the previous unroll.
    for buffer in tree.flatten(inputs):
      buffer[0] = buffer[-1]

  def _store_inputs(
    self,
    inputs: types.Inputs,
    t: int,
    action: np.ndarray | int,
    timestep: dm_env.TimeStep,
  ) -> None:
    tree.map_structure(
      lambda buffer, x: buffer.__setitem__(t, x),
      inputs.observation,
      timestep.observation,
    )
    inputs.action[t] = action
    inputs.reward[t] = timestep.reward
    inputs.start_of_episode[t] = timestep.step_type == _FIRST

  def _write(self, unroll: types.Unroll) -> None:
    numbers = (self._stream, self._sequence, self._born_at)
    unroll = unroll._replace(
      actor_state=self._state,
      stamp=types.Stamp(*(np.int64(number) for number in numbers)),
    )
    if self._writer.write(unroll, {tables.QUEUE: lambda x: x}):
      self._sequence += 1

  def _allocate(
    self, policy: np.ndarray, action: np.ndarray, first: dm_env.TimeStep
  ) -> types.Unroll:
    size = len(policy)
    of_action = action.shape[1:]
    dtype = np.float32 if action.dtype.kind == 'f' else np.int32

    def per_step(
      *shape: int, steps: int = self._length, dtype: Any = np.float32
    ) -> np.ndarray:
      return np.zeros((steps, size, *shape), dtype)

    def per_input(*shape: int, dtype: Any = np.float32) -> np.ndarray:
      return per_step(*shape, steps=self._length + 1, dtype=dtype)

    return types.Unroll(
      inputs=types.Inputs(
        observation=tree.map_structure(
          lambda x: per_input(*x.shape[1:], dtype=x.dtype),
          first.observation,
        ),
        action=per_input(*of_action, dtype=dtype),
        reward=per_input(),
        start_of_episode=per_input(dtype=bool),
      ),
      action=per_step(*of_action, dtype=dtype),
      reward=per_step(),
      discount=per_step(),
      is_last=per_step(dtype=bool),
      behaviour_policy=per_step(*policy.shape[1:]),
      actor_state=None,
      stamp=types.Stamp(*[np.int64(0)] * 3),  # Set when it is written.
    )


class _Writer(Protocol):
  """The part of `writer.Writer` that adders use."""

  def write(self, step: types.Unroll, select: Any) -> bool: ...


class _Kept:
  """A writer that keeps the newest unroll."""

  unroll: types.Unroll

  def write(self, step: types.Unroll, select: Any) -> bool:
    self.unroll = step
    return True


class _Joined:
  """A writer that joins unrolls of the second half to those of `first`."""

  def __init__(self, writer: _Writer) -> None:
    self.first = _Kept()
    self._writer = writer

  def write(self, step: types.Unroll, select: Any) -> bool:
    def join(axis: int, *names: str) -> dict[str, Any]:
      return {
        name: tree.map_structure(
          lambda *x: np.concatenate(x, axis),
          getattr(self.first.unroll, name),
          getattr(step, name),
        )
        for name in names
      }

    stepwise = [
      name for name in step._fields if name not in ('actor_state', 'stamp')
    ]
    joined = step._replace(**join(1, *stepwise), **join(0, 'actor_state'))
    return self._writer.write(joined, select)

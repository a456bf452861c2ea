"""Action masks: the entry of an observation that tells which actions are legal.

A mask has a flag for each value of each integer of the action, in the order of
the action spec; none for continuous parts.
"""

from typing import Any

import dm_env
from dm_env import specs
import numpy as np
import tree

from ald_acme.environments.interface import actions

Nest = Any


class MaskSpec(specs.BoundedArray):
  """Spec of an observation's leaf that is an action mask, bool `[N]`."""

  def __init__(self, size: int, name: str | None = None) -> None:
    super().__init__((size,), bool, False, True, name)

  def __reduce__(self) -> tuple:
    return MaskSpec, (*self.shape, self.name)


def size(action_spec: Nest) -> int:
  """N, the number of flags of a mask of these actions."""
  return sum(
    int(part.sizes.sum())
    for part in actions.parts(action_spec)
    if isinstance(part, actions.Discrete)
  )


def find(observation_spec: Nest) -> tuple | None:
  """The path of the mask in an observation; None without one.

  Raises:
    ValueError: if there is more than one.
  """
  paths = [
    path
    for path, leaf in tree.flatten_with_path(observation_spec)
    if isinstance(leaf, MaskSpec)
  ]
  if len(paths) > 1:
    raise ValueError(
      f'an observation must have at most one action mask, but has {paths}; '
      'remove the others.'
    )
  return paths[0] if paths else None


def read(observation: Nest, path: tuple) -> Any:
  """The leaf at a path."""
  for key in path:
    observation = observation[key]
  return observation


def divide(action_spec: Nest, mask: np.ndarray) -> list[np.ndarray]:
  """Splits a mask `[..., N]` into the flags of each integer."""
  sizes = [
    part.sizes
    for part in actions.parts(action_spec)
    if isinstance(part, actions.Discrete)
  ]
  return np.split(mask, np.cumsum(np.concatenate(sizes))[:-1], axis=-1)


def lowest(
  action_spec: Nest, observation_spec: Nest, observation: Nest
) -> Nest:
  """The lowest legal action in each environment, leaves `[E, ...]`.

  Args:
    action_spec: action spec of one environment.
    observation_spec: observation spec of one environment.
    observation: leaves `[E, ...]`.
  """
  action = actions.lowest(action_spec, len(tree.flatten(observation)[0]))
  path = find(observation_spec)
  if path is None:
    return action
  return _legal(action_spec, action, read(observation, path))


def uniform(
  action_spec: Nest,
  observation_spec: Nest,
  observation: Nest,
  rng: np.random.Generator,
) -> Nest:
  """A random legal action in each environment, leaves `[E, ...]`.

  Args:
    action_spec: action spec of one environment.
    observation_spec: observation spec of one environment.
    observation: leaves `[E, ...]`.
    rng: draws integers from their legal values and continuous numbers within
      their bounds.
  """
  batch_size = len(tree.flatten(observation)[0])
  action = actions.uniform(action_spec, batch_size, rng)
  path = find(observation_spec)
  if path is None:
    return action
  mask = np.asarray(read(observation, path))
  # The argmax of random numbers for the legal values is uniform among them.
  return _legal(action_spec, action, np.where(mask, rng.random(mask.shape), -1))


def _legal(action_spec: Nest, action: Nest, preference: np.ndarray) -> Nest:
  """The action of highest preference `[E, N]` for each integer."""
  chosen = iter(
    [np.argmax(x, axis=-1) for x in divide(action_spec, preference)]
  )
  leaves = []
  for part, leaf in zip(actions.parts(action_spec), tree.flatten(action)):
    if isinstance(part, actions.Discrete):
      offset = np.stack([next(chosen) for _ in part.sizes], axis=-1)
      leaf = (part.first + offset).reshape(leaf.shape).astype(leaf.dtype)
    leaves.append(leaf)
  return tree.unflatten_as(action_spec, leaves)


def declare(spec: Nest, key: str, action_spec: Nest, name: str) -> dict:
  """Declares one entry of an observation spec to be the action mask.

  Args:
    spec: observation spec of one environment.
    key: key of the mask: flags (booleans or integers), or a nest of them in the
      order of the actions, as in Gymnasium for several integers.
    action_spec: action spec of one environment.
    name: name of the environment, for errors.

  Raises:
    ValueError: if there is no such entry, or its length or dtype does not match
      the actions.
  """
  if not isinstance(spec, dict) or key not in spec:
    has = ', '.join(map(str, spec)) if isinstance(spec, dict) else 'no names'
    raise ValueError(
      f'action_mask={key!r} must name an entry of the observation of {name}, '
      f'which has {has}.'
    )
  leaves = tree.flatten(spec[key])
  wanted = size(action_spec)
  found = sum(int(np.prod(leaf.shape)) for leaf in leaves)
  kinds = {leaf.dtype.kind for leaf in leaves}
  if not wanted:
    raise ValueError(
      f'action_mask={key!r} of {name} needs discrete actions, but its actions '
      f'are {action_spec!r}; remove it.'
    )
  if found != wanted or not kinds <= set('biu'):
    raise ValueError(
      f'observation[{key!r}] of {name} must be {wanted} booleans or '
      'integers, one per value of each integer of the action, but its spec '
      f'is {spec[key]!r}.'
    )
  return {**spec, key: MaskSpec(wanted, key)}


def flat(flags: Nest, leading: int) -> np.ndarray:
  """Concatenates the flags of a nest, `[..., N]`.

  Args:
    flags: a nest of arrays.
    leading: number of leading dimensions to keep: 0, or 1 for a batch.
  """
  arrays = [np.asarray(x) for x in tree.flatten(flags)]
  return np.concatenate(
    [x.reshape(*x.shape[:leading], -1) for x in arrays], axis=-1
  )


def join(observation: dict, key: str, leading: int) -> dict:
  """Converts a mask to the spec of `declare`, bool `[..., N]`."""
  mask = flat(observation[key], leading).astype(bool)
  return {**observation, key: mask}


class Masked(dm_env.Environment):
  """Declares an entry of an environment's observation to be its action mask."""

  def __init__(
    self, environment: dm_env.Environment, key: str, name: str
  ) -> None:
    """Wraps the environment; arguments and errors as for `declare`."""
    self._environment, self._key = environment, key
    self._spec = declare(
      environment.observation_spec(), key, environment.action_spec(), name
    )

  def reset(self) -> dm_env.TimeStep:
    return self._convert(self._environment.reset())

  def step(self, action: Any) -> dm_env.TimeStep:
    return self._convert(self._environment.step(action))

  def _convert(self, timestep: dm_env.TimeStep) -> dm_env.TimeStep:
    observation = join(timestep.observation, self._key, leading=0)
    return timestep._replace(observation=observation)

  def observation_spec(self) -> Any:
    return self._spec

  def __getattr__(self, name: str) -> Any:
    # `new_task` and `render` exist only if the environment has them.
    return getattr(self._environment, name)

  def action_spec(self) -> Any:
    return self._environment.action_spec()

  def reward_spec(self) -> specs.Array:
    return self._environment.reward_spec()

  def discount_spec(self) -> specs.BoundedArray:
    return self._environment.discount_spec()

  def close(self) -> None:
    self._environment.close()

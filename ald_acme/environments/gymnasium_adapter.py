"""Any Gymnasium environment as a `dm_env`."""

from collections.abc import Callable
import enum
import importlib
import inspect
from typing import Any

import dm_env
from dm_env import specs
import gymnasium
from gymnasium import spaces
from gymnasium.envs import registration
import numpy as np
import tree

from ald_acme.environments import actions
from ald_acme.environments import dtypes
from ald_acme.environments import foreign
from ald_acme.environments import masks

# What Gymnasium's wrappers say of an environment with the old API.
_SIGNS_OF_THE_OLD_API = (
  'expected 5, got 4',
  'was not a tuple of the form',
  "unexpected keyword argument 'seed'",
  'too many values to unpack (expected 2)',
  'returned by `env.reset()` was not a dictionary',
)


def make(
  environment_id: str, seed: int, action_mask: str | None = None, **kwargs
) -> dm_env.Environment:
  """Makes a registered environment.

  Args:
    environment_id: as `gymnasium.make` knows it; 'package:ID' where a package
      has to be imported first, for that is what registers it.
    seed: of its episodes.
    action_mask: name of the entry of the observation, or else of `info`, that
      says which actions are legal; by default all are.
    **kwargs: of `gymnasium.make`.

  Raises:
    ValueError: if a space is not supported, or there is no such mask.
  """
  environment = gymnasium.make(environment_id, **kwargs)
  if action_mask is None:
    return GymnasiumEnvironment(environment, seed)
  space = environment.observation_space
  seen = isinstance(space, spaces.Dict) and action_mask in space.spaces
  if not seen:
    environment = _MaskObservation(environment, action_mask)
  made = GymnasiumEnvironment(environment, seed)
  return masks.Masked(made, action_mask, environment_id)


def reward_threshold(environment_id: str) -> float | None:
  """The mean return at which an environment counts as solved, if it says so.

  Args:
    environment_id: as of `make`.
  """
  package, _, own_id = environment_id.rpartition(':')
  try:
    if package:
      importlib.import_module(package)
    threshold = gymnasium.spec(own_id).reward_threshold
  except Exception:  # Not ours; `make` will say what is wrong.
    return None
  return None if threshold is None else float(threshold)


def arguments(environment_id: str) -> list[str] | None:
  """The keyword arguments that `make` takes for an environment.

  Args:
    environment_id: as of `make`.

  Returns:
    Their names, those of the environment first; None where any name is taken
    or they cannot be known.
  """
  package, _, own_id = environment_id.rpartition(':')
  try:
    if package:
      importlib.import_module(package)
    entry = gymnasium.spec(own_id).entry_point
    if isinstance(entry, str):
      entry = registration.load_env_creator(entry)
    parameters = inspect.signature(entry).parameters.values()
  except Exception:  # Not ours; `make` will say what is wrong.
    return None
  if any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters):
    return None
  _, *common, _ = inspect.signature(gymnasium.make).parameters  # ID, kwargs.
  return [*(p.name for p in parameters), *common]


class _MaskObservation(gymnasium.Wrapper):
  """Adds an entry of `info` to the observation, as a mask of the actions."""

  def __init__(self, environment: gymnasium.Env, key: str):
    super().__init__(environment)
    self._key = key
    space = environment.action_space
    if not isinstance(space, (spaces.Discrete, spaces.MultiDiscrete)):
      raise ValueError(
        f'action_mask={key!r} must be of Discrete or MultiDiscrete actions '
        f'where it is in info, but they are {space}; make it an entry of the '
        'observation.'
      )
    sizes = np.ravel(getattr(space, 'nvec', getattr(space, 'n', None)))
    self._size = int(sizes.sum())
    self.observation_space = spaces.Dict(
      {
        'observation': environment.observation_space,
        key: spaces.MultiBinary(self._size),
      }
    )

  def reset(self, **kwargs):
    observation, info = super().reset(**kwargs)
    return self._join(observation, info), info

  def step(self, action):
    observation, *others, info = super().step(action)
    return self._join(observation, info), *others, info

  def _join(self, observation, info):
    if self._key not in info:
      raise ValueError(
        f'info must hold {self._key!r}, the action mask, but has '
        f'{", ".join(map(str, info)) or "nothing"}.'
      )
    # Of several integers it is a tuple, with an array for each.
    flags = [np.ravel(x) for x in tree.flatten(info[self._key])]
    mask = np.concatenate(flags)
    if mask.shape != (self._size,) or mask.dtype.kind not in 'biu':
      raise ValueError(
        f'info[{self._key!r}] must be {self._size} booleans or integers, but '
        f'received {mask.dtype} of shape {mask.shape}.'
      )
    return {'observation': observation, self._key: mask.astype(np.int8)}


class GymnasiumEnvironment(dm_env.Environment):
  """The `dm_env` face of a `gymnasium.Env`.

  Boxes and MultiBinaries are passed on; Discretes and MultiDiscretes become
  one-hot vectors; Dicts and Tuples stay what they are. An episode that was
  terminated ends with a discount of 0, one that was truncated with 1: what
  would have followed still counts.
  """

  def __init__(self, environment: gymnasium.Env, seed: int | None = None):
    """Takes the environment over.

    Args:
      environment: with actions in a Box (of bounded numbers), Discrete,
        MultiDiscrete or MultiBinary space, or in Dicts and Tuples of them.
      seed: of the first reset; later ones go on from there.

    Raises:
      ValueError: if a space is not supported.
    """
    self._environment = environment
    inner = environment.unwrapped
    self._name = inner.spec.id if inner.spec else type(inner).__name__
    self._seed = seed
    self._over = True  # The next step begins an episode.
    self._action_spec, self._to_space = self._action(environment.action_space)
    actions.parts(self._action_spec, self._name)  # Refuses infinite bounds.
    self._observation_spec, self._encode = self._convert(
      environment.observation_space, 'observation'
    )
    self.action_names = _action_names(environment)

  def reset(self) -> dm_env.TimeStep:
    observation, info = self._call('reset', 2, seed=self._seed)
    if not isinstance(info, dict):  # An observation of two parts.
      raise ValueError(f'{self._name} has {foreign.OLD_API}.')
    self._seed = None
    self._over = False
    return dm_env.restart(self._encode(observation))

  def step(self, action) -> dm_env.TimeStep:
    if self._over:
      return self.reset()
    observation, reward, terminated, truncated, _ = self._call(
      'step', 5, self._to_space(action)
    )
    self._over = bool(terminated or truncated)
    make_step = dm_env.transition
    if terminated:
      make_step = dm_env.termination
    elif truncated:
      make_step = dm_env.truncation
    return make_step(float(reward), self._encode(observation))

  def _call(self, method: str, values: int, *args, **kwargs) -> tuple:
    """The values that a method gives; the old API is refused."""
    try:
      answer = getattr(self._environment, method)(*args, **kwargs)
      old = not isinstance(answer, tuple) or len(answer) != values
    except (AssertionError, TypeError, ValueError) as error:
      # Of Gymnasium's own wrappers.
      if not any(sign in str(error) for sign in _SIGNS_OF_THE_OLD_API):
        raise
      old = True
    if old:
      raise ValueError(f'{self._name} has {foreign.OLD_API}.')
    return answer

  def observation_spec(self):
    return self._observation_spec

  def action_spec(self) -> Any:
    return self._action_spec

  def render(self) -> np.ndarray:
    """An RGB picture, uint8 `[height, width, 3]`.

    Raises:
      ValueError: if the environment was not made to render pictures, or lacks
        what it needs for them.
    """
    if self._environment.render_mode != 'rgb_array':
      raise ValueError(
        f'{self._name} cannot render a picture; make it with '
        'render_mode=rgb_array.'
      )
    try:
      return self._environment.render()
    except gymnasium.error.DependencyNotInstalled as error:
      raise ValueError(f'{self._name} cannot render: {error}') from error

  def close(self):
    self._environment.close()

  def _action(
    self, space: gymnasium.Space, field: str = 'action'
  ) -> tuple[Any, Callable[[Any], Any]]:
    """The spec of an action space, and what makes its actions of the spec's."""
    if isinstance(space, spaces.Dict):
      parts = {
        key: self._action(part, f'{field}[{key!r}]')
        for key, part in space.spaces.items()
      }
      return (
        {key: spec for key, (spec, _) in parts.items()},
        lambda x: {key: make(x[key]) for key, (_, make) in parts.items()},
      )
    if isinstance(space, spaces.Tuple):
      parts = [
        self._action(part, f'{field}[{i}]')
        for i, part in enumerate(space.spaces)
      ]
      return (
        tuple(spec for spec, _ in parts),
        lambda x: tuple(make(y) for y, (_, make) in zip(x, parts, strict=True)),
      )
    if isinstance(space, spaces.Discrete):
      first = int(space.start)
      spec = specs.DiscreteArray(int(space.n), dtype=np.int32, name=field)
      return spec, lambda x: int(x) + first
    if isinstance(space, spaces.Box):
      low, high = space.low, space.high
    elif isinstance(space, spaces.MultiDiscrete):
      low = np.asarray(
        getattr(space, 'start', 0)
      )  # Newer than some Gymnasiums.
      high = low + space.nvec - 1
    elif isinstance(space, spaces.MultiBinary):
      low, high = 0, 1
    else:
      raise ValueError(
        f'{field} of {self._name} is {space}, but must be Box, Discrete, '
        'MultiDiscrete, MultiBinary, or Dict or Tuple of them; make it one '
        'with gymnasium.wrappers.TransformAction.'
      )
    spec = specs.BoundedArray(space.shape, space.dtype, low, high, name=field)
    return spec, lambda x: np.asarray(x, space.dtype)

  def _convert(
    self, space: gymnasium.Space, field: str
  ) -> tuple[Any, Callable[[Any], Any]]:
    """The specs of a space, and a function that encodes what is in it."""
    if isinstance(space, spaces.Dict):
      parts = {
        key: self._convert(part, f'{field}[{key!r}]')
        for key, part in space.spaces.items()
      }
      return (
        {key: spec for key, (spec, _) in parts.items()},
        lambda x: {key: encode(x[key]) for key, (_, encode) in parts.items()},
      )
    if isinstance(space, spaces.Tuple):
      parts = [
        self._convert(part, f'{field}[{i}]')
        for i, part in enumerate(space.spaces)
      ]
      return (
        tuple(spec for spec, _ in parts),
        lambda x: tuple(
          encode(y) for y, (_, encode) in zip(x, parts, strict=True)
        ),
      )
    if isinstance(space, spaces.Box):
      spec = specs.BoundedArray(
        space.shape, space.dtype, space.low, space.high, name=field
      )
      return spec, lambda x: self._cast(x, space.dtype, field)
    if isinstance(space, spaces.MultiBinary):
      spec = specs.BoundedArray(space.shape, space.dtype, 0, 1, name=field)
      return spec, lambda x: self._cast(x, space.dtype, field)
    if isinstance(space, spaces.Discrete):
      return self._one_hot([space.n], space.start, field)
    if isinstance(space, spaces.MultiDiscrete):
      start = getattr(space, 'start', 0)  # Newer than some Gymnasiums.
      return self._one_hot(space.nvec, start, field)
    raise ValueError(
      f'{field} of {self._name} is {space}, but what can be observed is Box, '
      'Discrete, MultiDiscrete, MultiBinary, and Dict and Tuple of them; leave '
      'it out with gymnasium.wrappers.FilterObservation, or encode it with '
      'gymnasium.wrappers.TransformObservation.'
    )

  def _one_hot(self, sizes, start, field: str):
    """As `_convert`, for integers that each count from a start on."""
    sizes = np.ravel(sizes).astype(np.int64)
    start = np.ravel(start).astype(np.int64)
    offsets = np.cumsum(sizes) - sizes
    length = int(sizes.sum())

    def encode(x):
      index = np.ravel(x) - start
      if (
        index.dtype.kind != 'i'
        or index.shape != sizes.shape
        or ((index < 0) | (index >= sizes)).any()
      ):
        raise ValueError(
          f'{field} of {self._name} must be in its space, but received {x!r}.'
        )
      vector = np.zeros(length, np.float32)
      vector[offsets + index] = 1.0
      return vector

    spec = specs.BoundedArray((length,), np.float32, 0.0, 1.0, name=field)
    return spec, encode

  def _cast(self, x, dtype: np.dtype, field: str) -> np.ndarray:
    """As an array of the dtype, where that loses no more than precision."""
    try:
      return dtypes.cast(x, dtype)
    except ValueError as error:
      raise ValueError(
        f'{field} of {self._name} {error} (its space is of {dtype}).'
      ) from error


def _action_names(environment: gymnasium.Env) -> list[str] | None:
  """Names as MiniGrid (an enumeration) and Atari (a method) have them."""
  count = getattr(environment.action_space, 'n', None)
  inner = environment.unwrapped
  names = None
  if isinstance(getattr(inner, 'actions', None), enum.EnumMeta):
    names = [action.name for action in inner.actions]
  elif hasattr(inner, 'get_action_meanings'):
    names = [str(name).lower() for name in inner.get_action_meanings()]
  # A wrapper may have left out the last ones.
  if names and isinstance(count, (int, np.integer)) and count <= len(names):
    return names[: int(count)]
  return None

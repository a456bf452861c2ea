"""Gymnasium environments as `dm_env` environments."""

from collections.abc import Iterable
import enum
import importlib
import inspect
from typing import Any

import dm_env
import gymnasium
from gymnasium import spaces
from gymnasium.envs import registration
import numpy as np
import tree

from ald_acme.environments.adapters import gymnasium_spaces
from ald_acme.environments.adapters import unsupported
from ald_acme.environments.interface import actions
from ald_acme.environments.interface import masks

# Gymnasium's errors for environments with the old API.
_SIGNS_OF_THE_OLD_API = (
  'expected 5, got 4',
  'was not a tuple of the form',
  "unexpected keyword argument 'seed'",
  'too many values to unpack (expected 2)',
  'returned by `env.reset()` was not a dictionary',
)


def make(
  environment_id: str, seed: int, action_mask: str | None = None, **kwargs: Any
) -> dm_env.Environment:
  """Creates a registered environment.

  Args:
    environment_id: an ID of `gymnasium.make`; 'package:ID' if importing a
      package registers it.
    seed: seed of the episodes.
    action_mask: name of the action mask's entry in the observation or else in
      `info`; by default all actions are legal.
    **kwargs: arguments of `gymnasium.make`.

  Raises:
    ValueError: if a space is not supported, or there is no such mask.
  """
  return wrap(gymnasium.make(environment_id, **kwargs), seed, action_mask)


def wrap(
  environment: gymnasium.Env,
  seed: int | None = None,
  action_mask: str | None = None,
) -> dm_env.Environment:
  """Wraps an environment, and takes ownership.

  Args:
    environment: as for `GymnasiumEnvironment`.
    seed: as for `GymnasiumEnvironment`.
    action_mask: as for `make`.

  Raises:
    ValueError: as `make`.
  """
  if action_mask is None:
    return GymnasiumEnvironment(environment, seed)
  space = environment.observation_space
  seen = isinstance(space, spaces.Dict) and action_mask in space.spaces
  if not seen:
    environment = _MaskObservation(environment, action_mask)
  made = GymnasiumEnvironment(environment, seed)
  return masks.Masked(made, action_mask, made.name)


def reward_threshold(environment_id: str) -> float | None:
  """The mean return at which an environment counts as solved, if declared.

  Args:
    environment_id: as for `make`.
  """
  package, _, own_id = environment_id.rpartition(':')
  try:
    if package:
      importlib.import_module(package)
    threshold = gymnasium.spec(own_id).reward_threshold
  except Exception:  # User code; `make` reports the error.
    return None
  return None if threshold is None else float(threshold)


def arguments(
  environment_id: str, forwarding: type | None = None
) -> list[str] | None:
  """The keyword arguments that `make` takes for an environment.

  Args:
    environment_id: as for `make`.
    forwarding: a class whose subclasses pass their `**kwargs` to their base
      class; by default, classes with `**kwargs` accept any name.

  Returns:
    Their names, the environment's first; None if any name is accepted or the
    names are unknown.
  """
  package, _, own_id = environment_id.rpartition(':')
  try:
    if package:
      importlib.import_module(package)
    entry = gymnasium.spec(own_id).entry_point
    if entry is None:
      return None
    creator = (
      registration.load_env_creator(entry) if isinstance(entry, str) else entry
    )
    names: list[str] = []
    for called in [creator, *_bases(creator, forwarding)]:
      parameters = inspect.signature(called).parameters.values()
      rest = inspect.Parameter.VAR_KEYWORD
      names += [p.name for p in parameters if p.kind is not rest]
      if all(p.kind is not rest for p in parameters):
        break
    else:
      return None
  except Exception:  # User code; `make` reports the error.
    return None
  _, *common, _ = inspect.signature(gymnasium.make).parameters  # ID, kwargs.
  return [*names, *common]


def _bases(creator: Any, forwarding: type | None) -> list[type]:
  """Base classes that receive the `**kwargs` of a class, nearest first."""
  if forwarding is None:
    return []
  return [x for x in creator.__mro__[1:] if issubclass(x, forwarding)]


class _MaskObservation(gymnasium.Wrapper):
  """Adds an entry of `info` to the observation, as a mask of the actions."""

  def __init__(self, environment: gymnasium.Env, key: str) -> None:
    super().__init__(environment)
    self._key = key
    seen = environment.observation_space
    self._seen = seen.spaces if isinstance(seen, spaces.Dict) else ()
    space = environment.action_space
    if not isinstance(space, (spaces.Discrete, spaces.MultiDiscrete)):
      raise ValueError(
        f'action_mask={key!r} in info needs Discrete or MultiDiscrete actions, '
        f'but received {space}; make it an entry of the observation.'
      )
    sizes = space.n if isinstance(space, spaces.Discrete) else space.nvec
    self._size = int(np.sum(sizes))
    self.observation_space = spaces.Dict(
      {
        'observation': environment.observation_space,
        key: spaces.MultiBinary(self._size),
      }
    )

  def reset(self, **kwargs: Any) -> tuple[Any, dict[str, Any]]:
    observation, info = super().reset(**kwargs)
    return self._join(observation, info), info

  def step(self, action: Any) -> tuple:
    observation, *others, info = super().step(action)
    return self._join(observation, info), *others, info

  def _join(self, observation: Any, info: dict[str, Any]) -> dict[str, Any]:
    if self._key not in info:
      raise ValueError(
        f'action_mask={self._key!r} must name an entry of the observation, '
        f'which has {_keys(self._seen)}, or of info, which has {_keys(info)}.'
      )
    # For several integers it is a tuple of arrays.
    flags = [np.ravel(x) for x in tree.flatten(info[self._key])]
    mask = np.concatenate(flags)
    if mask.shape != (self._size,) or mask.dtype.kind not in 'biu':
      raise ValueError(
        f'info[{self._key!r}] must be {self._size} booleans or integers, but '
        f'received {mask.dtype} of shape {mask.shape}.'
      )
    return {'observation': observation, self._key: mask.astype(np.int8)}


def _keys(names: Iterable[Any]) -> str:
  return ', '.join(map(str, names)) or 'none'


class GymnasiumEnvironment(dm_env.Environment):
  """A `gymnasium.Env` as a `dm_env.Environment`.

  Spaces become specs as in `gymnasium_spaces`. A terminated episode ends with
  discount 0, a truncated one with 1.

  Attributes:
    name: the environment's ID, or else the name of its class.
    action_names: names of its actions; None if it has none.
  """

  def __init__(
    self, environment: gymnasium.Env, seed: int | None = None
  ) -> None:
    """Wraps the environment and takes ownership.

    Args:
      environment: its action space is a bounded Box, Discrete, MultiDiscrete or
        MultiBinary, or a Dict or Tuple of them.
      seed: seed of the first reset; later resets continue the stream.

    Raises:
      ValueError: if a space is not supported.
    """
    self._environment = environment
    inner = environment.unwrapped
    self.name = inner.spec.id if inner.spec else type(inner).__name__
    self._seed = seed
    self._over = True  # The next step resets.
    self._action_spec, self._to_space = gymnasium_spaces.action(
      environment.action_space, self.name
    )
    actions.parts(self._action_spec, self.name)  # Rejects infinite bounds.
    self._observation_spec, self._encode = gymnasium_spaces.observation(
      environment.observation_space, self.name
    )
    self.action_names = _action_names(environment)

  def reset(self) -> dm_env.TimeStep:
    observation, info = self._call('reset', 2, seed=self._seed)
    if not isinstance(info, dict):  # An observation of two elements.
      raise ValueError(f'{self.name} has {unsupported.OLD_API}.')
    self._seed = None
    self._over = False
    return dm_env.restart(self._encode(observation))

  def step(self, action: Any) -> dm_env.TimeStep:
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

  def _call(self, method: str, values: int, *args: Any, **kwargs: Any) -> tuple:
    """Calls a method and checks the number of results; rejects the old API."""
    try:
      answer = getattr(self._environment, method)(*args, **kwargs)
      old = not isinstance(answer, tuple) or len(answer) != values
    except (AssertionError, TypeError, ValueError) as error:
      # From Gymnasium's own wrappers.
      if not any(sign in str(error) for sign in _SIGNS_OF_THE_OLD_API):
        raise
      old = True
    if old:
      raise ValueError(f'{self.name} has {unsupported.OLD_API}.')
    return answer

  def observation_spec(self) -> Any:
    return self._observation_spec

  def action_spec(self) -> Any:
    return self._action_spec

  def render(self) -> np.ndarray:
    """An RGB image, uint8 `[height, width, 3]`.

    Raises:
      ValueError: if the environment was not created with
        `render_mode=rgb_array`, or cannot render.
    """
    if self._environment.render_mode != 'rgb_array':
      raise ValueError(
        f'{self.name} cannot render an image; create it with '
        'render_mode=rgb_array.'
      )
    try:
      picture: Any = self._environment.render()
      return picture
    except gymnasium.error.DependencyNotInstalled as error:
      raise ValueError(f'{self.name} cannot render: {error}') from error

  def close(self) -> None:
    self._environment.close()


def _action_names(environment: gymnasium.Env) -> list[str] | None:
  """Names of actions as in MiniGrid (an enumeration) and Atari (a method)."""
  count = getattr(environment.action_space, 'n', None)
  inner: Any = environment.unwrapped
  names = None
  if isinstance(getattr(inner, 'actions', None), enum.EnumMeta):
    names = [action.name for action in inner.actions]
  elif hasattr(inner, 'get_action_meanings'):
    names = [str(name).lower() for name in inner.get_action_meanings()]
  # A wrapper may drop the last ones.
  if names and isinstance(count, (int, np.integer)) and count <= len(names):
    return names[: int(count)]
  return None

"""Vector environments of Gymnasium.

Needs `pip install "gymnasium>=1.1"`. Examples:
  python launch/local.py --environment=gymnasium_vec:CartPole-v1
  python launch/local.py --environment=gymnasium_vec:CartPole-v1 \
    --environment_kwargs=vectorization_mode=async
"""

import inspect
from typing import Any

import dm_env
from dm_env import specs
import gymnasium
from gymnasium import vector as gymnasium_vector
import numpy as np
import tree

from ald_acme import processes
from ald_acme.environments.adapters import gymnasium_adapter
from ald_acme.environments.adapters import gymnasium_spaces
from ald_acme.environments.batches import members
from ald_acme.environments.interface import actions
from ald_acme.environments.interface import base
from ald_acme.environments.interface import contract
from ald_acme.environments.interface import masks

_OBSERVATION = 'observation'
_LAST_OBSERVATION = ('final_obs', 'final_observation')  # New, old.
_RESET_MASK = 'reset_mask'
_ONE_BY_ONE = (
  gymnasium_vector.SyncVectorEnv,
  gymnasium_vector.AsyncVectorEnv,
)
reward_threshold = gymnasium_adapter.reward_threshold
_NOT_ARGUMENTS = ('id', 'num_envs', 'kwargs')
Mode = gymnasium_vector.AutoresetMode


def make(
  environment_id: str,
  batch_size: int,
  seed: int,
  action_mask: str | None = None,
  vector_kwargs: dict[str, Any] | None = None,
  **kwargs: Any,
) -> 'VectorEnvironment':
  """Creates a vector of a registered environment.

  Args:
    environment_id: an ID of `gymnasium.make_vec`; 'package:ID' if importing a
      package registers it.
    batch_size: E.
    seed: seed of the vector.
    action_mask: as for `gymnasium_adapter.make`.
    vector_kwargs: as for `gymnasium.make_vec`. Processes are spawned by
      default, because a fork of a process with TensorFlow may deadlock.
    **kwargs: arguments of `gymnasium.make_vec`, such as `vectorization_mode`.

  Raises:
    ValueError: as for `VectorEnvironment`.
  """
  vector_kwargs = dict(vector_kwargs or {})
  if kwargs.get('vectorization_mode') == 'async':
    vector_kwargs.setdefault('context', 'spawn')
  with processes.without_main():
    vector = gymnasium.make_vec(
      environment_id, batch_size, vector_kwargs=vector_kwargs, **kwargs
    )
  return VectorEnvironment(vector, seed, action_mask, environment_id)


def arguments(environment_id: str) -> list[str] | None:
  """Names of the arguments of `make`, as `gymnasium_adapter.arguments`."""
  known = gymnasium_adapter.arguments(environment_id)
  if known is None:
    return None
  own = inspect.signature(gymnasium.make_vec).parameters
  return [*known, *(x for x in own if x not in _NOT_ARGUMENTS)]


class VectorEnvironment(base.BatchedEnvironment):
  """A `gymnasium.vector.VectorEnv` as a batch of environments.

  In every autoreset mode of the vector, an episode ends with its own last
  observation, followed by the first of the next episode:

  - NEXT_STEP does this already.
  - SAME_STEP and DISABLED need `reset(options={'reset_mask': ...})`, as in
    Gymnasium's own vectors. A vector steps all its environments, so an
    environment whose episode has ended takes a step whose result is discarded,
    and is then reset. This costs one extra reset per episode (two with
    DISABLED), unless all end together.

  Time steps are not checked against the specs; `checked.Checked` does that.
  """

  def __init__(
    self,
    vector: Any,
    seed: int | None = None,
    action_mask: str | None = None,
    name: str | None = None,
    autoreset_mode: Mode | None = None,
  ) -> None:
    """Wraps the vector and takes ownership.

    Args:
      vector: E environments.
      seed: seed of the first reset; later resets continue the stream.
        Gymnasium's own vectors seed environment i with `members.seed_of(seed,
        i)`.
      action_mask: name of the action mask's entry in the observation or else in
        `infos`; by default all actions are legal.
      name: name of the environment, for errors.
      autoreset_mode: by default the one in the vector's metadata.

    Raises:
      ValueError: if a space is not supported, there is no such mask, or the
        autoreset mode is unknown.
    """
    self._vector = vector
    self._name = name or type(vector.unwrapped).__name__
    self._mode = _mode(vector, self._name, autoreset_mode)
    self._seed, self._size = seed, vector.num_envs
    self._key = action_mask
    self._action_spec, self._to_space = gymnasium_spaces.action(
      vector.single_action_space, self._name
    )
    actions.parts(self._action_spec, self._name)  # Rejects infinite bounds.
    spec, self._encode = gymnasium_spaces.observation(
      vector.single_observation_space, self._name, batched=True
    )
    self._in_infos = action_mask is not None and not (
      isinstance(spec, dict) and action_mask in spec
    )
    if action_mask is not None:
      if self._in_infos:
        flags = masks.size(self._action_spec)
        spec = {_OBSERVATION: spec, action_mask: specs.Array((flags,), bool)}
      spec = masks.declare(spec, action_mask, self._action_spec, self._name)
    self._observation_spec = spec
    # Environments whose next step resets, and those of them that were truncated
    # here, unknown to the vector.
    self._over = np.ones(self._size, bool)
    self._cut = np.zeros(self._size, bool)
    self._seen: Any = None  # The last observations.

  @property
  def batch_size(self) -> int:
    return self._size

  def observation_spec(self) -> Any:
    return self._observation_spec

  def action_spec(self) -> Any:
    return self._action_spec

  def restart(self, which: np.ndarray) -> bool:
    own = isinstance(self._vector.unwrapped, _ONE_BY_ONE)
    if self._mode is Mode.NEXT_STEP and not (
      own or getattr(self._vector, 'resets_some', False)
    ):
      return False
    self._cut |= which & ~self._over
    self._over |= which
    return True

  def reset(self) -> dm_env.TimeStep:
    own_seed, self._seed = self._seed, None
    seed: list[int] | int | None = None
    if own_seed is not None:
      seeds = [members.seed_of(own_seed, i) for i in range(self._size)]
      own = isinstance(self._vector.unwrapped, _ONE_BY_ONE)
      seed = seeds if own else members.seed_of(own_seed)
    observation, infos = self._vector.reset(seed=seed)
    self._seen = self._convert(observation, infos, np.ones(self._size, bool))
    return self._begin_all()

  def step(self, action: Any) -> dm_env.TimeStep:
    """Steps the environments, and starts an episode where one has ended.

    Raises:
      contract.Breach: if the vector does not follow its autoreset mode.
    """
    first = self._over
    if self._seen is None:
      return self.reset()
    resets = self._cut if self._mode is Mode.NEXT_STEP else first
    if first.all() and (resets.all() or self._mode is Mode.SAME_STEP):
      if self._mode is not Mode.SAME_STEP or self._cut.any():
        self._reset(resets)
      return self._begin_all()
    if resets.any() and self._mode is not Mode.NEXT_STEP:
      action = self._in_vain(action, resets)
    observation, reward, terminated, truncated, infos = self._vector.step(
      self._to_space(action)
    )
    terminated, truncated = (
      np.asarray(x, bool) & ~first for x in (terminated, truncated)
    )
    last = terminated | truncated
    self._seen = self._convert(observation, infos, ~resets)
    if resets.any():
      self._reset(resets)
    shown = self._seen
    if self._mode is Mode.SAME_STEP and last.any():
      shown = self._with_last(shown, infos, last)
    self._over, self._cut = last, np.zeros(self._size, bool)
    reward = np.where(first, 0.0, reward)
    return base.timestep(first, last, reward, shown, truncated & ~terminated)

  def _begin_all(self) -> dm_env.TimeStep:
    first = np.ones(self._size, bool)
    self._over, self._cut = ~first, ~first
    return base.timestep(first, ~first, np.zeros(self._size), self._seen)

  def _in_vain(self, action: Any, which: np.ndarray) -> Any:
    """Replaces the actions of environments that are reset afterwards."""
    if self._mode is Mode.DISABLED:  # It cannot step an ended episode.
      self._reset(which)
    legal = masks.lowest(self._action_spec, self._observation_spec, self._seen)
    return tree.map_structure(lambda x, y: _choose(which, y, x), action, legal)

  def _reset(self, which: np.ndarray) -> None:
    """Resets some environments; the others must not change."""
    observation, infos = self._vector.reset(options={_RESET_MASK: which.copy()})
    before, self._seen = self._seen, self._convert(observation, infos, which)
    for x, y in zip(tree.flatten(before), tree.flatten(self._seen)):
      if not np.array_equal(
        x[~which], y[~which], equal_nan=x.dtype.kind == 'f'
      ):
        raise contract.Breach(
          f'autoreset mode {self._mode.value} of {self._name} needs '
          f'reset(options={{{_RESET_MASK!r}: ...}}) to leave the other '
          'environments unchanged, but their observations changed; create the '
          f'vector with autoreset mode {Mode.NEXT_STEP.value}.'
        )

  def _convert(self, observation: Any, infos: dict, which: np.ndarray) -> Any:
    """Converts the vector's observations to the specs, in new arrays.

    Args:
      observation: the vector's observation.
      infos: the vector's infos.
      which: the environments whose masks are in `infos`; the others keep their
        masks.
    """
    encoded = tree.map_structure(np.array, self._encode(observation))
    if self._key is None:
      return encoded
    if not self._in_infos:
      return masks.join(encoded, self._key, leading=1)
    mask = np.zeros((self._size, masks.size(self._action_spec)), bool)
    if self._seen is not None:
      mask = self._seen[self._key].copy()
    self._read_masks(mask, infos, which)
    return {_OBSERVATION: encoded, self._key: mask}

  def _read_masks(
    self, mask: np.ndarray, infos: dict, which: np.ndarray
  ) -> None:
    """Writes the masks of some environments into `mask`, bool `[E, N]`."""
    found = infos.get(self._key)
    there = infos.get(f'_{self._key}', np.ones(self._size, bool))
    for i in np.flatnonzero(which):
      if found is None or not there[i]:
        raise contract.Breach(
          f'infos must hold the action mask {self._key!r}, which the '
          f'observation does not, for each environment, but number {i} has '
          'none.'
        )
      flags = masks.flat(_take(found, i), leading=0)
      if flags.shape != mask.shape[1:] or flags.dtype.kind not in 'biu':
        raise contract.Breach(
          f'infos[{self._key!r}] must be {mask.shape[1]} booleans or integers, '
          f'but received {flags.dtype} of shape {flags.shape} in environment '
          f'{i}.'
        )
      mask[i] = flags.astype(bool)

  def _with_last(self, shown: Any, infos: dict, last: np.ndarray) -> Any:
    """Replaces reset observations by the last ones of ended episodes."""
    key = next((k for k in _LAST_OBSERVATION if k in infos), None)
    if key is None:
      raise contract.Breach(
        f'autoreset mode {self._mode.value} of {self._name} must return an '
        f"episode's last observation in infos[{'final_obs'!r}], but infos have "
        f'{", ".join(map(str, infos)) or "nothing"}.'
      )
    rows = np.flatnonzero(last)
    observations = [_take(infos[key], i) for i in rows]
    batch = tree.map_structure(lambda *x: np.stack(x), *observations)
    encoded = self._encode(batch)
    if self._in_infos:  # After an end there is no mask.
      legal = np.ones((len(rows), masks.size(self._action_spec)), bool)
      encoded = {_OBSERVATION: encoded, self._key: legal}
    elif self._key is not None:
      encoded = masks.join(encoded, self._key, leading=1)

    def put(whole: np.ndarray, part: np.ndarray) -> np.ndarray:
      whole = whole.copy()
      whole[rows] = part
      return whole

    return tree.map_structure(put, shown, encoded)

  def render(self, index: int = 0) -> np.ndarray:
    """An RGB image of one environment, uint8 `[height, width, 3]`.

    Raises:
      ValueError: if the vector was not created with `render_mode=rgb_array`.
    """
    if getattr(self._vector, 'render_mode', None) != 'rgb_array':
      raise ValueError(
        f'{self._name} cannot render an image; create it with '
        'render_mode=rgb_array.'
      )
    return self._vector.render()[index]

  def close(self) -> None:
    self._vector.close()


def _mode(vector: Any, name: str, given: Mode | None) -> Mode:
  # Gymnasium's vectors may share their metadata.
  own = getattr(vector.unwrapped, 'autoreset_mode', None)
  mode = given or own or vector.metadata.get('autoreset_mode')
  try:
    return Mode(mode)
  except ValueError:
    raise ValueError(
      f"metadata['autoreset_mode'] of {name} must be one of "
      f'{", ".join(x.value for x in Mode)}, but received {mode!r}; set it, or '
      'pass autoreset_mode to VectorEnvironment.'
    ) from None


def _choose(which: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
  """x where `which` is set, otherwise y; arrays `[E, ...]`."""
  return np.where(which.reshape(-1, *[1] * (np.ndim(y) - 1)), x, y)


def _take(values: Any, index: int) -> Any:
  """The info of one environment, from a vector's infos."""
  if isinstance(values, dict):
    return {
      key: _take(value, index)
      for key, value in values.items()
      if not key.startswith('_')
    }
  if isinstance(values, tuple):
    return tuple(_take(value, index) for value in values)
  return values[index]

"""Vector environments of Gymnasium: batches of others that step themselves.

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
from ald_acme.environments import actions
from ald_acme.environments import base
from ald_acme.environments import contract
from ald_acme.environments import gymnasium_adapter
from ald_acme.environments import gymnasium_spaces
from ald_acme.environments import masks
from ald_acme.environments import members

_OBSERVATION = 'observation'
_LAST_OBSERVATION = ('final_obs', 'final_observation')  # The second is older.
_RESET_MASK = 'reset_mask'
_ONE_BY_ONE = (
  gymnasium_vector.SyncVectorEnv,
  gymnasium_vector.AsyncVectorEnv,
)
_NOT_ARGUMENTS = ('id', 'num_envs', 'kwargs')
Mode = gymnasium_vector.AutoresetMode


def make(
  environment_id: str,
  batch_size: int,
  seed: int,
  action_mask: str | None = None,
  vector_kwargs: dict[str, Any] | None = None,
  **kwargs,
) -> 'VectorEnvironment':
  """Makes a vector of a registered environment.

  Args:
    environment_id: as `gymnasium.make_vec` knows it; 'package:ID' where a
      package has to be imported first.
    batch_size: E.
    seed: of the vector's episodes.
    action_mask: as of `gymnasium_adapter.make`.
    vector_kwargs: of `gymnasium.make_vec`. Processes are spawned by default: a
      fork of one that holds TensorFlow could wait for ever.
    **kwargs: of `gymnasium.make_vec`, `vectorization_mode` among them.

  Raises:
    ValueError: as from `VectorEnvironment`.
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
  """Names of the arguments that `make` takes, as `gymnasium_adapter` has it."""
  known = gymnasium_adapter.arguments(environment_id)
  if known is None:
    return None
  own = inspect.signature(gymnasium.make_vec).parameters
  return [*known, *(x for x in own if x not in _NOT_ARGUMENTS)]


class VectorEnvironment(base.BatchedEnvironment):
  """A `gymnasium.vector.VectorEnv` as a batch of environments.

  The last observation of an episode is the episode's own, whatever the vector's
  autoreset mode, and what follows is the first of the next:

  - NEXT_STEP does the same by itself.
  - SAME_STEP and DISABLED need `reset(options={'reset_mask': ...})`, as
    Gymnasium's own vectors have it. A vector steps all its environments, and
    an environment whose episode has ended takes a step whose result is dropped,
    and is then reset. This costs one extra reset per episode (two with
    DISABLED), unless all end together.

  It is not held to its specs: `checked.Checked` does that.
  """

  def __init__(
    self,
    vector: Any,
    seed: int | None = None,
    action_mask: str | None = None,
    name: str | None = None,
    autoreset_mode: Mode | None = None,
  ):
    """Takes the vector over.

    Args:
      vector: E environments.
      seed: of the first reset; later ones go on from there. Gymnasium's own
        vectors seed environment i with `members.seed_of(seed, i)`.
      action_mask: name of the entry of the observation, or else of `infos`,
        that says which actions are legal; by default all are.
      name: of the environment, for errors.
      autoreset_mode: by default as the vector's metadata say.

    Raises:
      ValueError: if a space is not supported, there is no such mask, or nothing
        says how the vector begins its episodes.
    """
    self._vector = vector
    self._name = name or type(vector.unwrapped).__name__
    self._mode = _mode(vector, self._name, autoreset_mode)
    self._seed, self._size = seed, vector.num_envs
    self._key = action_mask
    self._action_spec, self._to_space = gymnasium_spaces.action(
      vector.single_action_space, self._name
    )
    actions.parts(self._action_spec, self._name)  # Refuses infinite bounds.
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
    # Environments whose next step begins an episode, and those among them
    # whose episode was cut short: the vector does not know of it.
    self._over = np.ones(self._size, bool)
    self._cut = np.zeros(self._size, bool)
    self._seen: Any = None  # What the vector showed last, as specs have it.

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
    seed = self._seed
    if seed is not None:
      self._seed = None
      seeds = [members.seed_of(seed, i) for i in range(self._size)]
      own = isinstance(self._vector.unwrapped, _ONE_BY_ONE)
      seed = seeds if own else members.seed_of(seed)
    observation, infos = self._vector.reset(seed=seed)
    self._seen = self._convert(observation, infos, np.ones(self._size, bool))
    return self._begin_all()

  def step(self, action: Any) -> dm_env.TimeStep:
    """Steps the environments, and begins an episode where one has ended.

    Raises:
      contract.Breach: if the vector does not give what its mode promises.
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
    """The actions, with others for environments that are reset afterwards."""
    if self._mode is Mode.DISABLED:  # It steps no episode that has ended.
      self._reset(which)
    legal = masks.lowest(self._action_spec, self._observation_spec, self._seen)
    return tree.map_structure(lambda x, y: _choose(which, y, x), action, legal)

  def _reset(self, which: np.ndarray):
    """Begins an episode in some environments; the others must not change."""
    observation, infos = self._vector.reset(options={_RESET_MASK: which.copy()})
    before, self._seen = self._seen, self._convert(observation, infos, which)
    for x, y in zip(tree.flatten(before), tree.flatten(self._seen)):
      if not np.array_equal(
        x[~which], y[~which], equal_nan=x.dtype.kind == 'f'
      ):
        raise contract.Breach(
          f'autoreset mode {self._mode.value} of {self._name} needs '
          f'reset(options={{{_RESET_MASK!r}: ...}}) to leave the other '
          'environments as they are, but it changes what they show; make the '
          f'vector with autoreset mode {Mode.NEXT_STEP.value}.'
        )

  def _convert(self, observation: Any, infos: dict, which: np.ndarray) -> Any:
    """What the vector shows, as the specs have it, in arrays of our own.

    Args:
      observation: as the vector gave it.
      infos: that came with it.
      which: the environments whose masks are in `infos`; the others keep what
        they have.
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

  def _read_masks(self, mask: np.ndarray, infos: dict, which: np.ndarray):
    """Writes the masks of some environments into `mask`, bool `[E, N]`."""
    found = infos.get(self._key)
    there = infos.get(f'_{self._key}', np.ones(self._size, bool))
    for i in np.flatnonzero(which):
      if found is None or not there[i]:
        raise contract.Breach(
          f'infos must hold {self._key!r}, the action mask, for each '
          f'environment, but number {i} has none.'
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
    """With the observations of the episodes that ended, not of the next."""
    key = next((k for k in _LAST_OBSERVATION if k in infos), None)
    if key is None:
      raise contract.Breach(
        f'autoreset mode {self._mode.value} of {self._name} must give the '
        f'observation that an episode ends with in infos[{"final_obs"!r}], '
        f'but infos have {", ".join(map(str, infos)) or "nothing"}.'
      )
    rows = np.flatnonzero(last)
    observations = [_take(infos[key], i) for i in rows]
    batch = tree.map_structure(lambda *x: np.stack(x), *observations)
    encoded = self._encode(batch)
    if self._in_infos:  # An episode that has ended asks for no action.
      legal = np.ones((len(rows), masks.size(self._action_spec)), bool)
      encoded = {_OBSERVATION: encoded, self._key: legal}
    elif self._key is not None:
      encoded = masks.join(encoded, self._key, leading=1)

    def put(whole, part):
      whole = whole.copy()
      whole[rows] = part
      return whole

    return tree.map_structure(put, shown, encoded)

  def render(self, index: int = 0) -> np.ndarray:
    """An RGB picture of one environment, uint8 `[height, width, 3]`.

    Raises:
      ValueError: if the vector was not made to render pictures.
    """
    if getattr(self._vector, 'render_mode', None) != 'rgb_array':
      raise ValueError(
        f'{self._name} cannot render a picture; make it with '
        'render_mode=rgb_array.'
      )
    return self._vector.render()[index]

  def close(self):
    self._vector.close()


def _mode(vector: Any, name: str, given: Mode | None) -> Mode:
  # Gymnasium's own may share their metadata with other vectors.
  own = getattr(vector.unwrapped, 'autoreset_mode', None)
  mode = given or own or vector.metadata.get('autoreset_mode')
  try:
    return Mode(mode)
  except ValueError:
    raise ValueError(
      f"metadata['autoreset_mode'] of {name} must be one of "
      f'{", ".join(x.value for x in Mode)}, but received {mode!r}; set it, or '
      'give VectorEnvironment autoreset_mode.'
    ) from None


def _choose(which: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
  """x where `which` is set, else y; arrays `[E, ...]`."""
  return np.where(which.reshape(-1, *[1] * (np.ndim(y) - 1)), x, y)


def _take(values: Any, index: int) -> Any:
  """The info of one environment, from those of a vector."""
  if isinstance(values, dict):
    return {
      key: _take(value, index)
      for key, value in values.items()
      if not key.startswith('_')
    }
  if isinstance(values, tuple):
    return tuple(_take(value, index) for value in values)
  return values[index]

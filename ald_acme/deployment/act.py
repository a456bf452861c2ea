"""Runs an exported policy without the package that trained it.

  python act.py

takes a few steps on zero observations. In a program:

  policy = act.load('folder/of/this/file')
  action = policy.act(observation, start_of_episode=True)
  action = policy.act(observation, reward)  # One call per step.

Needs numpy, and for the format saved_model TensorFlow, for tflite TensorFlow or
tflite_runtime, for onnx onnxruntime. manifest.json describes the tensors.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import os
import sys
import typing
from typing import Any

import numpy as np

MANIFEST = 'manifest.json'
_NEVER = -1e9  # Logit of an illegal action.
SIGNATURE = 'step'
# The file of each format; a SavedModel is a folder.
SAVED_MODEL, TFLITE, NUMPY = 'policy', 'policy.tflite', 'policy.npz'
ONNX = 'policy.onnx'

# Inputs other than the observation and the state.
_BESIDE = ('previous_action', 'previous_reward', 'start_of_episode')
_LARGEST = 2**28  # Size of an input.

if typing.TYPE_CHECKING:
  from collections.abc import Callable

  # Inputs to outputs, arrays by name.
  Step = Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]


class Policy:
  """A policy with its recurrent state."""

  def __init__(
    self,
    manifest: dict[str, Any],
    step: Step,
    seed: Any = None,
    deterministic: bool = False,
  ) -> None:
    """Starts from the initial state.

    Args:
      manifest: contents of manifest.json.
      step: maps a dictionary of arrays to another.
      seed: seed of the actions; anything that `np.random.default_rng` takes.
      deterministic: whether to take the mode (for continuous actions the
        median) instead of samples.
    """
    self._step = step
    self._specs = {
      spec['name']: (tuple(spec['shape']), np.dtype(spec['dtype']))
      for spec in manifest['inputs']
    }
    self._observations = manifest['observations']
    self._following = manifest['state']
    self._actions, self._mask = manifest['actions'], manifest['mask']
    self._rng = None if deterministic else np.random.default_rng(seed)
    self.reset()

  def reset(self) -> None:
    """Resets the recurrent state."""
    self._memory = {
      name: np.zeros(*self._specs[name])
      for name in ('previous_action', *self._following)
    }

  def blank(self) -> dict[str, np.ndarray]:
    """A zero observation, to check that the policy runs.

    An action mask allows all actions.
    """
    return {
      name: np.full(
        self._specs[name][0][1:], name == self._mask, self._specs[name][1]
      )
      for name in self._observations
    }

  def act(
    self,
    observation: Any,
    reward: float = 0.0,
    start_of_episode: bool = False,
  ) -> Any:
    """Selects an action and advances the recurrent state.

    Args:
      observation: an array as in the manifest, without the batch dimension; if
        there are several, a dictionary of them by the manifest's names, such as
        'observation_hand'. Gymnasium's Discrete is one-hot. Other dtypes are
        cast if that loses only precision.
      reward: the reward that came with the observation. The policy reads it, so
        pass it during an episode.
      start_of_episode: whether to reset the recurrent state first.

    Returns:
      The action in the environment's form: a number, an array, or a nest of
      them.

    Raises:
      ValueError: as for `step`, or if the observation has other parts, or no
        action is legal; the state is then unchanged.
    """
    if not isinstance(observation, dict):
      observation = {self._observations[0]: observation}
    if observation.keys() != set(self._observations):
      raise ValueError(
        f'the observation must have {", ".join(self._observations)}, but has '
        f'{", ".join(map(str, observation)) or "nothing"}; {MANIFEST} has the '
        "shapes, as converted for the network (Gymnasium's Discrete: one-hot)."
      )
    outputs = self.step(
      {
        **{name: self._cast(name, x) for name, x in observation.items()},
        'previous_reward': np.array([reward], np.float32),
        'start_of_episode': np.array([start_of_episode], bool),
        **self._memory,
      }
    )
    sample, action = _choose(self._actions, outputs['policy'][0], self._rng)
    shape, dtype = self._specs['previous_action']
    self._memory['previous_action'] = sample.reshape(shape).astype(dtype)
    for name, following in self._following.items():
      self._memory[name] = outputs[following]
    return action

  def _cast(self, name: str, observation: Any) -> np.ndarray:
    """Adds the batch dimension, and casts if that keeps the values."""
    value = np.asarray(observation)[np.newaxis]
    _, dtype = self._specs.get(name, (None, value.dtype))
    numbers = value.dtype.kind in 'biuf' and dtype.kind in 'iuf'
    if numbers and not (value.dtype.kind == 'f' and dtype.kind != 'f'):
      with np.errstate(over='ignore', invalid='ignore'):
        cast = value.astype(dtype)
      if dtype.kind == 'f' or (cast == value).all():
        return cast
    return value  # `step` raises.

  def step(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The policy as a pure function, with the state as input and output.

    Args:
      inputs: arrays by name, as in the manifest.

    Returns:
      The outputs of the manifest, arrays by name.

    Raises:
      ValueError: if an array is missing, has the wrong shape or dtype, or is
        NaN or infinite.
    """
    if inputs.keys() != self._specs.keys():
      raise ValueError(
        f'the inputs must be {", ".join(self._specs)}, but received '
        f'{", ".join(inputs)}.'
      )
    for name, (shape, dtype) in self._specs.items():
      value = inputs[name]
      if value.shape != shape or value.dtype != dtype:
        raise ValueError(
          f'{name} must be {dtype} of shape {shape}, the batch dimension '
          f'first, but received {value.dtype} of shape {value.shape}.'
        )
      # It would stay in the recurrent state.
      if dtype.kind == 'f' and not np.isfinite(value).all():
        bad = value[~np.isfinite(value)]
        raise ValueError(
          f'{name} must be finite, but {bad.size} of {value.size} numbers are '
          f'not; the first is {bad[0]}.'
        )
    return self._step(inputs)


def load(folder: str, seed: Any = None, deterministic: bool = False) -> Policy:
  """Reads an exported policy.

  Args:
    folder: the folder of manifest.json.
    seed: as for `Policy`.
    deterministic: as for `Policy`.

  Raises:
    ValueError: if the folder holds no policy, a file is damaged, or a package
      that the format needs is not installed.
  """
  try:
    manifest = _read_manifest(os.path.join(folder, MANIFEST))
  except _WRONG as error:
    raise ValueError(
      f'{folder} holds no exported policy: {MANIFEST} cannot be used '
      f'({type(error).__name__}: {error}); copy or export the policy again.'
    ) from error
  for name, written in manifest['files'].items():
    _verify(os.path.join(folder, name), written)
  try:
    load_step, _ = _FORMATS[manifest['format']]
    step = load_step(folder, manifest)
    return Policy(manifest, step, seed, deterministic)
  except ImportError as error:
    raise ValueError(
      f'the format {manifest["format"]} cannot be used here ({error}); install '
      'the missing package, or export the policy as numpy.'
    ) from error


# Errors that a malformed manifest can raise.
_WRONG = (
  OSError,
  ValueError,
  LookupError,
  TypeError,
  AttributeError,
  RecursionError,
  OverflowError,
)


def _read_manifest(path: str) -> dict[str, Any]:
  """Reads and checks a manifest."""
  with open(path, encoding='utf-8') as file:
    manifest = json.load(file)
  names = set()
  for spec in manifest['inputs']:
    names.add(spec['name'])
    shape, dtype = spec['shape'], np.dtype(spec['dtype'])
    if not all(type(n) is int and 0 <= n < 2**31 for n in shape):
      raise ValueError(f'shape of {spec["name"]} is {shape}')
    if dtype.kind not in 'biuf':
      raise ValueError(f'dtype of {spec["name"]} is {dtype}')
    if math.prod(shape) > _LARGEST:
      raise ValueError(f'shape of {spec["name"]} is {shape}: too large')
  observations, state = manifest['observations'], manifest['state']
  outputs = {spec['name'] for spec in manifest['outputs']}
  wanted = {*observations, *_BESIDE, *state}
  if not observations or names != wanted or not set(state.values()) <= outputs:
    raise ValueError(f'inputs are {sorted(names)}, wanted {sorted(wanted)}')
  shapes = {
    spec['name']: spec['shape']
    for spec in (*manifest['inputs'], *manifest['outputs'])
  }
  parameters = np.zeros(shapes['policy'][-1], np.float32)
  sample, _ = _choose(manifest['actions'], parameters, None)
  if manifest['mask'] not in (None, *observations):
    raise ValueError(f'mask is {manifest["mask"]!r}')
  if sample.size != math.prod(shapes['previous_action']):
    raise ValueError(f'actions are {manifest["actions"]}')
  _, own = _FORMATS[manifest['format']]
  if not any(name.split('/')[0] == own for name in manifest['files']):
    raise ValueError(f'files do not name {own}')
  for name, written in manifest['files'].items():
    if os.path.isabs(name) or '..' in name.split('/'):
      raise ValueError(f'files name {name!r}, which is outside the folder')
    written['bytes'], written['sha256']
  return manifest


def _verify(path: str, written: dict[str, Any]) -> None:
  """Raises ValueError if a file differs from its checksum."""
  try:
    with open(path, 'rb') as file:
      content = file.read()
  except OSError as error:
    raise ValueError(f'{path} cannot be read ({error.strerror}).') from error
  if len(content) != written['bytes']:
    raise ValueError(
      f'{path} is damaged: it has {len(content)} bytes where '
      f'{written["bytes"]} were written; copy or export the policy again.'
    )
  if hashlib.sha256(content).hexdigest() != written['sha256']:
    raise ValueError(
      f'{path} is damaged: its checksum differs; copy or export the policy '
      'again.'
    )


def _load_saved_model(folder: str, manifest: dict[str, Any]) -> Step:
  del manifest  # The signature knows the names.
  import tensorflow as tf

  model = tf.saved_model.load(os.path.join(folder, SAVED_MODEL))

  def step(inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    tensors = {name: tf.constant(x) for name, x in inputs.items()}
    # `model` keeps the variables alive.
    outputs = model.signatures[SIGNATURE](**tensors)
    return {name: x.numpy() for name, x in outputs.items()}

  return step


def _load_tflite(folder: str, manifest: dict[str, Any]) -> Step:
  del manifest  # As above.
  try:
    from tflite_runtime import interpreter as lite
  except ImportError:
    from tensorflow import lite

  interpreter = lite.Interpreter(os.path.join(folder, TFLITE), num_threads=1)
  signature = interpreter.get_signature_runner(SIGNATURE)
  return lambda inputs: signature(**inputs)


def _load_onnx(folder: str, manifest: dict[str, Any]) -> Step:
  import onnxruntime

  options = onnxruntime.SessionOptions()
  options.intra_op_num_threads = options.inter_op_num_threads = 1
  session = onnxruntime.InferenceSession(
    os.path.join(folder, ONNX), options, providers=['CPUExecutionProvider']
  )
  names = [output.name for output in session.get_outputs()]
  # The file lacks inputs that the policy does not depend on.
  taken = [wanted.name for wanted in session.get_inputs()]

  def step(inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    own = {name: inputs[name] for name in taken}
    return dict(zip(names, session.run(names, own)))

  return step


def _load_numpy(folder: str, manifest: dict[str, Any]) -> Step:
  with np.load(os.path.join(folder, NUMPY), allow_pickle=False) as file:
    weights = {name: file[name] for name in file.files}
  observations = manifest['observations']
  actions = manifest['actions']

  def step(inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    start = inputs['start_of_episode'][0]
    parts = [inputs[name].ravel() for name in observations]
    # There is no previous action at the start of an episode: zeros.
    previous = _encode(actions, inputs['previous_action'].ravel())
    parts.append(np.where(start, 0.0, previous))
    reward = inputs['previous_reward']
    parts.append(np.sign(reward) * np.log1p(np.abs(reward)))
    x = np.concatenate([part.astype(np.float32) for part in parts])
    x = np.maximum(x @ weights['torso_w'] + weights['torso_b'], 0.0)

    keep = np.float32(not start)
    hidden, cell = keep * inputs['hidden'][0], keep * inputs['cell'][0]
    gates = (
      x @ weights['input_to_hidden']
      + hidden @ weights['hidden_to_hidden']
      + weights['lstm_b']
    )
    i, f, g, o = np.split(gates, 4)
    cell = _sigmoid(f) * cell + _sigmoid(i) * np.tanh(g)
    hidden = _sigmoid(o) * np.tanh(cell)

    head = hidden @ weights['head_w'] + weights['head_b']
    policy = head[:-1]
    if manifest['mask'] is not None:
      policy = _mask(actions, policy, inputs[manifest['mask']][0])
    return {
      'policy': policy[np.newaxis],
      'value': head[-1:],
      'next_hidden': hidden[np.newaxis],
      'next_cell': cell[np.newaxis],
    }

  return step


def _choose(
  actions: dict[str, Any],
  parameters: np.ndarray,
  rng: np.random.Generator | None,
) -> tuple[np.ndarray, Any]:
  """Draws a sample and converts it to an action.

  Args:
    actions: the manifest's description of the actions.
    parameters: the policy's parameters, `[P]`.
    rng: random generator; None for the mode.
  """
  samples, chosen = [], []
  for part in actions.get('parts', [actions]):
    size = 2 * len(part['low']) if 'low' in part else sum(part['sizes'])
    own, parameters = parameters[:size], parameters[size:]
    if 'low' in part:  # A Gaussian, squashed to the bounds.
      sample, raw = np.split(own, 2)
      sample = part['farthest_mean'] * np.tanh(sample / part['farthest_mean'])
      if rng:
        least, most = part['least_deviation'], part['most_deviation']
        share = _sigmoid(raw + part['deviation_shift'])
        spread = (least + (most - least) * share).astype(np.float32)
        noise = rng.standard_normal(spread.shape).astype(np.float32)
        sample = sample + spread * noise
      low, high = np.array(part['low']), np.array(part['high'])
      x = np.tanh(sample.astype(np.float64))
      action = (high + low) / 2 + (high - low) / 2 * x
    else:  # Logits of each integer.
      if rng:  # The Gumbel-max trick.
        own = own + rng.gumbel(size=own.shape).astype(np.float32)
      ends = np.cumsum(part['sizes'])[:-1]
      sample = np.array([np.argmax(x) for x in np.split(own, ends)])
      if min(np.max(x) for x in np.split(own, ends)) < _NEVER / 2:
        raise ValueError('the action mask must leave a legal action.')
      action = sample + part['first']
    action = action.reshape(part['shape']).astype(part['dtype'])
    samples.append(sample)
    chosen.append(action if part['shape'] else action.item())
  if 'parts' in actions:
    paths = [part['path'] for part in actions['parts']]
    return np.concatenate(samples), _nest(paths, chosen)
  return samples[0], chosen[0]


def _mask(
  actions: dict[str, Any], parameters: np.ndarray, legal: np.ndarray
) -> np.ndarray:
  """Gives illegal actions very low logits."""
  flags = []
  for part in actions.get('parts', [actions]):
    size = sum(part.get('sizes', ()))
    flags.append(legal[:size])
    if 'low' in part:  # Continuous actions are always legal.
      flags.append(np.ones(2 * len(part['low']), bool))
    legal = legal[size:]
  return np.where(np.concatenate(flags), parameters, np.float32(_NEVER))


def _nest(paths: list[list], leaves: list) -> Any:
  """Builds a nest: dictionaries for string keys, tuples for integers."""
  if not paths[0]:
    return leaves[0]
  groups: dict[Any, tuple[list, list]] = {}
  for (key, *path), leaf in zip(paths, leaves):
    own_paths, own_leaves = groups.setdefault(key, ([], []))
    own_paths.append(path)
    own_leaves.append(leaf)
  nests = {key: _nest(*group) for key, group in groups.items()}
  return nests if isinstance(paths[0][0], str) else tuple(nests.values())


def _encode(actions: dict[str, Any], sample: np.ndarray) -> np.ndarray:
  """Encodes a sample as network input: one-hot integers, squashed numbers."""
  features = []
  for part in actions.get('parts', [actions]):
    sizes = part.get('sizes', part.get('low'))
    own, sample = sample[: len(sizes)], sample[len(sizes) :]
    if 'low' in part:
      features.append(np.tanh(own))
    else:
      features += [np.arange(n) == x for n, x in zip(sizes, own)]
  return np.concatenate(features)


def _sigmoid(x: np.ndarray) -> np.ndarray:
  return 0.5 + 0.5 * np.tanh(0.5 * x)  # exp(-x) could overflow.


_FORMATS = {  # The loader and the file of each format.
  'saved_model': (_load_saved_model, SAVED_MODEL),
  'tflite': (_load_tflite, TFLITE),
  'onnx': (_load_onnx, ONNX),
  'numpy': (_load_numpy, NUMPY),
}
FORMATS = tuple(_FORMATS)


def main() -> None:
  parser = argparse.ArgumentParser(description='Acts on zero observations.')
  parser.add_argument(
    '--deterministic',
    action='store_true',
    help='take the mode instead of samples',
  )
  deterministic = parser.parse_args().deterministic
  # TensorFlow warns if there is no accelerator.
  os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')
  try:
    folder = os.path.dirname(os.path.abspath(__file__))
    policy = load(folder, deterministic=deterministic)
  except ValueError as error:
    sys.exit(f'error: {error}')
  observation = policy.blank()
  for step in range(5):
    action = policy.act(observation, start_of_episode=step == 0)
    print(f'step {step}: action {action}')


if __name__ == '__main__':
  main()

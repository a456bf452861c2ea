"""Acts with an exported policy; needs nothing of the program that made it.

  python act.py

takes a few steps on observations of zeros. In a program:

  policy = act.load('folder/of/this/file')
  action = policy.act(observation, start_of_episode=True)
  action = policy.act(observation, reward)  # And so on, a call for each step.

Needs numpy; TensorFlow too for the format saved_model, and for tflite
TensorFlow or tflite_runtime. What the tensors are is in manifest.json.
"""

import hashlib
import json
import math
import os
import sys

import numpy as np

MANIFEST = 'manifest.json'
SIGNATURE = 'step'
# The file of each format; a SavedModel is a folder.
SAVED_MODEL, TFLITE, NUMPY = 'policy', 'policy.tflite', 'policy.npz'

# Inputs beside the observation and the state.
_BESIDE = ('previous_action', 'previous_reward', 'start_of_episode')
_LARGEST = 2**28  # Numbers of an input.


class Policy:
  """A policy and its memory of the episode."""

  def __init__(self, manifest, step, seed=None):
    """Begins with an empty memory.

    Args:
      manifest: contents of manifest.json.
      step: function of a dictionary of arrays that gives another.
      seed: of the actions' noise; anything that `np.random.default_rng` takes.
    """
    self._step = step
    self._specs = {
      spec['name']: (tuple(spec['shape']), np.dtype(spec['dtype']))
      for spec in manifest['inputs']
    }
    self._observations = manifest['observations']
    self._following = manifest['state']
    self._rng = np.random.default_rng(seed)
    self.reset()

  def reset(self):
    """Forgets everything."""
    self._memory = {
      name: np.zeros(*self._specs[name])
      for name in ('previous_action', *self._following)
    }

  def blank(self):
    """An observation of zeros, to see that the policy works."""
    return {
      name: np.zeros(self._specs[name][0][1:], self._specs[name][1])
      for name in self._observations
    }

  def act(self, observation, reward=0.0, start_of_episode=False):
    """Samples an action, as in training, and remembers the step.

    Args:
      observation: an array as in the manifest, but without the first dimension
        (the batch); where there are several, a dictionary of them by name.
        Another dtype is cast where nothing is lost but precision.
      reward: that came with the observation. The policy has seen it in
        training: left out in mid-episode it is taken as 0.
      start_of_episode: whether what was remembered is to be forgotten.

    Returns:
      The action's number.

    Raises:
      ValueError: as from `step`; nothing is remembered then.
    """
    if not isinstance(observation, dict):
      observation = {self._observations[0]: observation}
    outputs = self.step(
      {
        **{name: self._cast(name, x) for name, x in observation.items()},
        'previous_reward': np.array([reward], np.float32),
        'start_of_episode': np.array([start_of_episode], bool),
        **self._memory,
      }
    )
    logits = outputs['logits'][0]
    # The Gumbel-max trick: a draw from softmax(logits).
    action = np.argmax(logits + self._rng.gumbel(size=logits.shape))
    self._memory['previous_action'] = np.array([action], np.int32)
    for name, following in self._following.items():
      self._memory[name] = outputs[following]
    return int(action)

  def _cast(self, name, observation):
    """A batch of one, of the input's dtype if that keeps the values."""
    value = np.asarray(observation)[np.newaxis]
    _, dtype = self._specs.get(name, (None, value.dtype))
    numbers = value.dtype.kind in 'biuf' and dtype.kind in 'iuf'
    if numbers and not (value.dtype.kind == 'f' and dtype.kind != 'f'):
      with np.errstate(over='ignore', invalid='ignore'):
        cast = value.astype(dtype)
      if dtype.kind == 'f' or (cast == value).all():
        return cast
    return value  # `step` says what is wrong with it.

  def step(self, inputs):
    """The policy itself: a pure function, with the memory as in- and output.

    Args:
      inputs: arrays by name, as in the manifest.

    Returns:
      The outputs of the manifest, arrays by name.

    Raises:
      ValueError: if an array is missing, has the wrong shape or dtype, or holds
        a nan or an infinity.
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
          f'{name} must be {dtype} of shape {shape}, of which the first is the '
          f'batch, but received {value.dtype} of shape {value.shape}.'
        )
      # The memory would never be rid of it.
      if dtype.kind == 'f' and not np.isfinite(value).all():
        bad = value[~np.isfinite(value)]
        raise ValueError(
          f'{name} must be finite, but {bad.size} of {value.size} numbers are '
          f'not; the first is {bad[0]}.'
        )
    return self._step(inputs)


def load(folder, seed=None):
  """Reads an exported policy.

  Args:
    folder: that holds manifest.json.
    seed: as of `Policy`.

  Raises:
    ValueError: if the folder holds none, a file of it is damaged, or what its
      format needs is not installed.
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
    return Policy(manifest, load_step(folder, manifest), seed)
  except ImportError as error:
    raise ValueError(
      f'the format {manifest["format"]} cannot be used here ({error}); install '
      'what it needs, or export the policy as numpy.'
    ) from error


# What reading a manifest of any contents can raise.
_WRONG = (
  OSError,
  ValueError,
  KeyError,
  TypeError,
  AttributeError,
  RecursionError,
  OverflowError,
)


def _read_manifest(path):
  """The contents of a manifest that `Policy` and the formats can rely on."""
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
  _, own = _FORMATS[manifest['format']]
  if not any(name.split('/')[0] == own for name in manifest['files']):
    raise ValueError(f'files do not name {own}')
  for name, written in manifest['files'].items():
    if os.path.isabs(name) or '..' in name.split('/'):
      raise ValueError(f'files name {name!r}, which is elsewhere')
    written['bytes'], written['sha256']
  return manifest


def _verify(path, written):
  """Refuses a file that is not as it was written."""
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
      f'{path} is damaged: its contents are not those that were written; copy '
      'or export the policy again.'
    )


def _load_saved_model(folder, manifest):
  del manifest  # The signature knows the names.
  import tensorflow as tf

  model = tf.saved_model.load(os.path.join(folder, SAVED_MODEL))

  def step(inputs):
    tensors = {name: tf.constant(x) for name, x in inputs.items()}
    # The variables live as long as the model, which this holds.
    outputs = model.signatures[SIGNATURE](**tensors)
    return {name: x.numpy() for name, x in outputs.items()}

  return step


def _load_tflite(folder, manifest):
  del manifest  # As above.
  try:
    from tflite_runtime import interpreter as lite
  except ImportError:
    from tensorflow import lite

  interpreter = lite.Interpreter(os.path.join(folder, TFLITE), num_threads=1)
  signature = interpreter.get_signature_runner(SIGNATURE)
  return lambda inputs: signature(**inputs)


def _load_numpy(folder, manifest):
  with np.load(os.path.join(folder, NUMPY), allow_pickle=False) as file:
    weights = {name: file[name] for name in file.files}
  observations = manifest['observations']
  actions = np.arange(weights['head_b'].size - 1)  # The last is the value.

  def step(inputs):
    start = inputs['start_of_episode'][0]
    parts = [inputs[name].ravel() for name in observations]
    # At the start of an episode there was no action: all zeros.
    parts.append((actions == inputs['previous_action']) & ~start)
    parts.append(inputs['previous_reward'])
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
    return {
      'logits': head[np.newaxis, :-1],
      'value': head[-1:],
      'next_hidden': hidden[np.newaxis],
      'next_cell': cell[np.newaxis],
    }

  return step


def _sigmoid(x):
  return 0.5 + 0.5 * np.tanh(0.5 * x)  # exp(-x) could overflow.


_FORMATS = {  # What reads each, and the file that it reads.
  'saved_model': (_load_saved_model, SAVED_MODEL),
  'tflite': (_load_tflite, TFLITE),
  'numpy': (_load_numpy, NUMPY),
}
FORMATS = tuple(_FORMATS)


def main():
  try:
    policy = load(os.path.dirname(os.path.abspath(__file__)))
  except ValueError as error:
    sys.exit(f'error: {error}')
  observation = policy.blank()
  for step in range(5):
    action = policy.act(observation, start_of_episode=step == 0)
    print(f'step {step}: action {action}')


if __name__ == '__main__':
  main()

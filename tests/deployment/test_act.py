"""Acting with an exported policy: memory, sampling and errors."""

import json
import sys

from dm_env import specs
import numpy as np
import pytest
import tensorflow as tf
import tree

from ald_acme import distributions
from ald_acme.deployment import act

MANIFEST = {
  'inputs': [
    {'name': 'observation', 'shape': [1, 2], 'dtype': 'float32'},
    {'name': 'previous_action', 'shape': [1], 'dtype': 'int32'},
    {'name': 'previous_reward', 'shape': [1], 'dtype': 'float32'},
    {'name': 'start_of_episode', 'shape': [1], 'dtype': 'bool'},
    {'name': 'hidden', 'shape': [1, 1], 'dtype': 'float32'},
    {'name': 'cell', 'shape': [1, 1], 'dtype': 'float32'},
  ],
  'observations': ['observation'],
  'state': {'hidden': 'next_hidden', 'cell': 'next_cell'},
  'mask': None,
  'actions': distributions.from_spec(specs.DiscreteArray(3)).describe(),
}
SIGHT = np.float32([1, 2])


class Step:
  """Counts steps in one part of the state and down in the other."""

  def __init__(self, odds=(0.0, 0.0, 1.0)):
    with np.errstate(divide='ignore'):
      self._logits = np.log(np.float32([odds]))
    self.seen = []

  def __call__(self, inputs):
    self.seen.append(inputs)
    return {
      'policy': self._logits,
      'value': np.zeros(1, np.float32),
      'next_hidden': inputs['hidden'] + 1,
      'next_cell': inputs['cell'] - 1,
    }


@pytest.mark.parametrize('deterministic', [False, True])
@pytest.mark.parametrize(
  'name', ['one', 'unequal', 'equal', 'box', 'mixed', 'numbers']
)
def test_actions_and_features_match_training(name, deterministic, action_specs):
  ours = distributions.from_spec(action_specs[name])
  described = json.loads(json.dumps(ours.describe()))
  seeds, rng = np.random.default_rng(0), np.random.default_rng(1)
  theirs = None if deterministic else np.random.default_rng(1)
  for _ in range(20):
    parameters = seeds.normal(size=ours.num_parameters).astype(np.float32)
    batch = parameters[np.newaxis]
    expected = ours.mode(batch) if deterministic else ours.sample(batch, rng)
    sample, action = act._choose(described, parameters, theirs)
    sample = sample.reshape(ours.shape).astype(ours.dtype)
    np.testing.assert_allclose(sample, expected[0], rtol=1e-6)
    wanted = ours.to_environment(expected)
    tree.assert_same_structure(action, wanted)
    tree.map_structure(
      lambda x, y: np.testing.assert_allclose(x, y[0], rtol=1e-6),
      action,
      wanted,
    )
    np.testing.assert_allclose(
      act._encode(described, sample.ravel()),
      ours.encode(expected)[0],
      rtol=1e-5,
    )


def test_deterministic_policies_take_the_likeliest():
  step = Step(odds=(0.3, 0.6, 0.1))
  policy = act.Policy(MANIFEST, step, deterministic=True)
  assert [policy.act(SIGHT) for _ in range(20)] == [1] * 20


def test_last_action_and_reward_are_inputs():
  step = Step()
  policy = act.Policy(MANIFEST, step)
  assert policy.act(SIGHT, start_of_episode=True) == 2
  assert policy.act(SIGHT, 0.5) == 2
  policy.act(SIGHT, np.float64(1))
  for i, (action, reward, start) in enumerate(
    [(0, 0.0, True), (2, 0.5, False), (2, 1.0, False)]
  ):
    seen = step.seen[i]
    assert seen['previous_action'].tolist() == [action]
    assert seen['previous_reward'].tolist() == [reward]
    assert seen['start_of_episode'].tolist() == [start]
    assert seen['hidden'].tolist() == [[i]]
    assert seen['cell'].tolist() == [[-i]]
    np.testing.assert_array_equal(seen['observation'], [SIGHT])
  policy.reset()
  policy.act(SIGHT)
  assert step.seen[-1]['hidden'].tolist() == [[0]]
  assert step.seen[-1]['previous_action'].tolist() == [0]


def test_frequencies_are_the_softmax():
  policy = act.Policy(MANIFEST, Step((0.1, 0.2, 0.7)), seed=0)
  actions = [policy.act(SIGHT) for _ in range(20_000)]
  np.testing.assert_allclose(
    np.bincount(actions) / len(actions), [0.1, 0.2, 0.7], atol=0.015
  )


def test_seeds_reproduce():
  def actions(seed):
    policy = act.Policy(MANIFEST, Step((0.3, 0.3, 0.4)), seed)
    return [policy.act(SIGHT) for _ in range(50)]

  assert actions(1) == actions(1)
  assert actions(1) != actions(2)


def test_blank():
  observation = act.Policy(MANIFEST, Step()).blank()
  assert observation.keys() == {'observation'}
  assert observation['observation'].shape == (2,)
  assert observation['observation'].dtype == np.float32


@pytest.mark.parametrize(
  'observation, received',
  [
    (np.zeros(3, np.float32), r'float32 of shape \(1, 3\)'),
    (np.zeros((1, 2), np.float32), r'float32 of shape \(1, 1, 2\)'),
    (np.zeros(2, complex), r'complex128 of shape \(1, 2\)'),
    (['1', '2'], r'<U1 of shape \(1, 2\)'),
    (np.float32(1), r'float32 of shape \(1,\)'),
  ],
)
def test_an_observation_of_another_shape_or_dtype(observation, received):
  policy = act.Policy(MANIFEST, Step())
  with pytest.raises(
    ValueError,
    match=r'observation must be float32 of shape \(1, 2\).*received '
    + received,
  ):
    policy.act(observation)


@pytest.mark.parametrize(
  'dtype, given, seen',
  [
    ('float32', np.float64([0.1, 2]), np.float32([0.1, 2])),
    ('float32', [1.0, 2.0], [1, 2]),
    ('float32', np.int64([1, 2]), [1, 2]),
    ('float16', np.float32([0.1, 2]), np.float16([0.1, 2])),
    ('uint8', [0, 255], [0, 255]),
    ('uint8', np.array([True, False]), [1, 0]),
    ('uint8', [0, 256], None),
    ('uint8', [0, -1], None),
    ('uint8', [0.0, 1.0], None),
    ('int32', [0, 2**40], None),
    ('bool', [0, 1], None),
    ('float16', [1e9, 0.0], None),
  ],
)
def test_only_precision_may_be_lost(dtype, given, seen):
  sight, *others = MANIFEST['inputs']
  inputs = [{**sight, 'dtype': dtype}, *others]
  step = Step()
  policy = act.Policy({**MANIFEST, 'inputs': inputs}, step)
  if seen is None:
    with pytest.raises(ValueError, match='observation must be'):
      policy.act(given)
  else:
    policy.act(given)
    got = step.seen[-1]['observation'][0]
    assert got.dtype == dtype
    np.testing.assert_array_equal(got, seen)


@pytest.mark.parametrize('value', [np.nan, np.inf])
def test_inputs_that_are_not_finite_do_not_change_the_state(value):
  step = Step()
  policy = act.Policy(MANIFEST, step)
  with pytest.raises(
    ValueError, match='observation must be finite, but 1 of 2'
  ):
    policy.act(np.float32([1, value]))
  with pytest.raises(ValueError, match='previous_reward must be finite'):
    policy.act(SIGHT, reward=value)
  policy.act(SIGHT)
  assert step.seen[-1]['hidden'].tolist() == [[0]]


@pytest.mark.parametrize(
  'observation', [{}, {'sight': SIGHT}, {'observation': SIGHT, 'more': SIGHT}]
)
def test_observations_by_wrong_names(observation):
  policy = act.Policy(MANIFEST, Step())
  with pytest.raises(ValueError, match='must have observation, but has'):
    policy.act(observation)


@pytest.mark.parametrize(
  'content, error',
  [
    (None, 'FileNotFoundError'),
    ('', 'JSONDecodeError'),
    ('{"format": "numpy"', 'JSONDecodeError'),
    ('{"format": "numpy"}', "KeyError: 'inputs'"),
    ('[' * 100_000, 'RecursionError'),
    ('[]', 'TypeError'),
  ],
)
def test_unsupported_manifests(content, error, tmp_path):
  if content is not None:
    (tmp_path / 'manifest.json').write_text(content)
  with pytest.raises(ValueError, match=f'no exported policy.*{error}'):
    act.load(str(tmp_path))


@pytest.mark.parametrize(
  'change',
  [
    {'format': 'pickle'},
    {'format': []},
    {'inputs': {'observation': 1}},
    {'inputs': []},
    {'inputs': MANIFEST['inputs'][1:]},
    {'inputs': [{**MANIFEST['inputs'][0], 'shape': ['x']}]},
    {'inputs': [{**MANIFEST['inputs'][0], 'shape': [1, 10**12]}]},
    {'inputs': [{**MANIFEST['inputs'][0], 'shape': [2**20, 2**20]}]},
    {'inputs': [{**MANIFEST['inputs'][0], 'shape': 7}]},
    {'inputs': [{**MANIFEST['inputs'][0], 'dtype': 'object'}]},
    {'inputs': [{**MANIFEST['inputs'][0], 'dtype': {'no': 'type'}}]},
    {'observations': []},
    {'observations': ['something']},
    {'observations': 3},
    {'state': ['hidden']},
    {'state': {'hidden': 'next_hidden'}},
    {'state': {'hidden': 'x', 'cell': 'y'}},
    {'outputs': 'none'},
    {'files': []},
    {'files': {}},
    {'files': {'policy.npz': 7}},
    {'files': {'policy.npz': {'bytes': 0}}},
    {'files': {'policy.npz': {}, '../policy.npz': {}}},
  ],
  ids=str,
)
def test_malformed_manifests(change, export, tmp_path):
  with open(f'{export("numpy").folder}/manifest.json', encoding='utf-8') as f:
    manifest = json.load(f)
  manifest.update(change)
  (tmp_path / 'manifest.json').write_text(json.dumps(manifest))
  with pytest.raises(ValueError, match='no exported policy: manifest'):
    act.load(str(tmp_path))


def test_a_formats_package_is_missing(export, monkeypatch):
  folder = export('saved_model').folder
  monkeypatch.setitem(sys.modules, 'tensorflow', None)
  with pytest.raises(
    ValueError, match=r'saved_model cannot be used .*tensorflow'
  ):
    act.load(folder)


def test_a_start_hides_the_last_action(export):
  """As in the network: at the start of an episode there was none."""
  exported = export('numpy')
  policy = act.load(exported.folder)
  inputs = {
    name: np.zeros(spec.shape, spec.dtype.as_numpy_dtype)
    for name, spec in exported.step.inputs.items()
  }

  def logits(action, start):
    inputs['previous_action'] = np.array([action], np.int32)
    inputs['start_of_episode'] = np.array([start])
    return policy.step(inputs)['policy']

  np.testing.assert_array_equal(logits(1, True), logits(2, True))
  assert not np.array_equal(logits(1, False), logits(2, False))


def test_large_inputs_do_not_overflow(export):
  exported = export('numpy')
  policy = act.load(exported.folder)
  inputs = {
    name: np.zeros(spec.shape, spec.dtype.as_numpy_dtype)
    for name, spec in exported.step.inputs.items()
  }
  for reward in (-1e6, 1e6):
    inputs['previous_reward'] = np.array([reward], np.float32)
    with np.errstate(all='raise', under='ignore'):
      outputs = policy.step(inputs)
    expected = exported.step.function(
      **{name: tf.constant(x) for name, x in inputs.items()}
    )
    np.testing.assert_allclose(outputs['policy'], expected['policy'], atol=1e-5)


def test_manifest_is_plain_json(export):
  with open(f'{export("numpy").folder}/manifest.json', encoding='utf-8') as f:
    json.load(f, parse_constant=lambda name: pytest.fail(name))

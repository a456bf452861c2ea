"""Exports equal the network, need no code of ours, and are complete."""

import json
import os
import pathlib
import shutil
import subprocess
import sys

import acme
import dm_env
from dm_env import specs
import numpy as np
import pytest
import tensorflow as tf

from agents.actor_critic import networks as actor_critic_networks
from ald_acme.acting import recording
from ald_acme.deployment import act
from ald_acme.deployment import agreement
from ald_acme.deployment import exporting
from ald_acme.deployment import step as steps
from ald_acme.environments.batches import stacking
from ald_acme.environments.tasks import i_maze
from ald_acme.networks import sizes

FILES = [
  ('numpy', 'policy.npz'),
  ('tflite', 'policy.tflite'),
  ('saved_model', 'policy/saved_model.pb'),
  ('saved_model', 'policy/variables/variables.data-00000-of-00001'),
]


@pytest.mark.parametrize('form', act.FORMATS)
def test_matches_the_network(export, form):
  exported = export(form)
  assert sum(episode.length for episode in exported.episodes) == 15
  difference = agreement.largest_difference(
    act.load(exported.folder), exported.step, exported.episodes
  )
  assert difference < 2e-6
  logits = np.concatenate([e.outputs.policy for e in exported.episodes])
  assert logits.std(0).min() > 0.02  # There is something to agree on.


class Film(dm_env.Environment):
  """Three random pictures."""

  def __init__(self):
    self._rng = np.random.default_rng(0)

  def reset(self):
    self._left = 3
    return dm_env.restart(self._picture())

  def step(self, action):
    self._left -= 1
    make = dm_env.transition if self._left else dm_env.termination
    return make(1.0, self._picture())

  def _picture(self):
    return self._rng.integers(256, size=(16, 16, 3)).astype(np.uint8)

  def observation_spec(self):
    return specs.Array((16, 16, 3), np.uint8)

  def action_spec(self):
    return specs.DiscreteArray(2)


def test_images(tmp_path, capfd):
  environment = stacking.Stacked([Film()])
  spec = acme.make_environment_spec(environment)
  tiny = sizes.PRESETS['tiny']
  network = actor_critic_networks.make_network('lstm', spec, tiny, 'actor')
  step = steps.Step(network, spec)
  with pytest.raises(
    ValueError, match=r'numpy does not support convolutions.*tflite'
  ):
    exporting.export(step, 'numpy', str(tmp_path), {})
  assert os.listdir(tmp_path) == []

  capfd.readouterr()
  exporting.export(step, 'tflite', str(tmp_path), {})
  assert capfd.readouterr().out == ''
  episodes = [recording.record(environment, network, seed=0)]
  policy = act.load(str(tmp_path))
  assert agreement.largest_difference(policy, step, episodes) < 1e-5


@pytest.mark.parametrize('core', ['gru', 'mingru', 'gtrxl', 'memoryless'])
def test_other_cores(tmp_path, core):
  environment = i_maze.BatchedIMaze(size=5)
  spec = acme.make_environment_spec(environment)
  tiny = sizes.PRESETS['tiny']
  network = actor_critic_networks.make_network(core, spec, tiny, 'actor')
  step = steps.Step(network, spec)
  with pytest.raises(ValueError, match=r'numpy holds an LSTM alone.*tflite'):
    exporting.export(step, 'numpy', str(tmp_path), {})
  exporting.export(step, 'tflite', str(tmp_path), {})
  episodes = [recording.record(environment, network, seed=0)]
  policy = act.load(str(tmp_path))
  assert agreement.largest_difference(policy, step, episodes) < 1e-5


@pytest.mark.parametrize('form', act.FORMATS)
def test_manifest(export, form):
  folder = pathlib.Path(export(form).folder)
  manifest = json.loads((folder / 'manifest.json').read_text())
  assert manifest['format'] == form
  assert manifest['run'] == {'agent': 'toy', 'frames': 5}
  assert manifest['versions']['tensorflow'] == tf.__version__
  assert manifest['state'] == {'hidden': 'next_hidden', 'cell': 'next_cell'}
  found = {
    str(path.relative_to(folder)): path.stat().st_size
    for path in folder.rglob('*')
    if path.is_file()
  }
  files = {name: file['bytes'] for name, file in manifest['files'].items()}
  others = found.keys() - files.keys()
  assert others == {'act.py', 'manifest.json'}
  assert found.items() >= files.items()


@pytest.mark.parametrize('form', act.FORMATS)
def test_the_example_needs_no_package_of_ours(export, form, tmp_path):
  blocked = ['ald_acme', 'agents', 'acme', 'sonnet', 'tree', 'dm_env']
  if form == 'numpy':
    blocked.append('tensorflow')
  code = (
    'import runpy, sys\n'
    f'sys.modules.update(dict.fromkeys({blocked}))\n'  # These do not import.
    "runpy.run_path(sys.argv.pop(1), run_name='__main__')"
  )
  script = os.path.join(export(form).folder, 'act.py')
  done = subprocess.run(
    [sys.executable, '-I', '-B', '-c', code, script],
    capture_output=True,
    text=True,
    cwd=tmp_path,
    env={k: v for k, v in os.environ.items() if k != 'TF_CPP_MIN_LOG_LEVEL'},
    check=False,
  )
  assert done.returncode == 0, done.stderr
  # TensorFlow warns if there is no accelerator.
  assert 'libcudart' not in done.stderr
  lines = done.stdout.splitlines()
  assert len(lines) == 5
  for line in lines:
    assert line.split(': action ')[1] in ('0', '1', '2')


def test_tflite_has_only_built_in_operations(export):
  path = os.path.join(export('tflite').folder, 'policy.tflite')
  interpreter = tf.lite.Interpreter(path)
  names = {op['op_name'] for op in interpreter._get_ops_details()}
  assert 'FULLY_CONNECTED' in names
  assert not [name for name in names if name.startswith(('Flex', 'CUSTOM'))]


def test_saved_model_needs_only_tensorflow(export):
  model = tf.saved_model.load(
    os.path.join(export('saved_model').folder, 'policy')
  )
  _, inputs = model.signatures['step'].structured_input_signature
  step = export('saved_model').step
  assert {k: (v.shape, v.dtype) for k, v in inputs.items()} == {
    k: (v.shape, v.dtype) for k, v in step.inputs.items()
  }
  assert model.signatures['step'].structured_outputs.keys() == set(step.outputs)


@pytest.mark.parametrize('form, name', FILES)
def test_a_truncated_file(export, form, name, tmp_path):
  folder = shutil.copytree(export(form).folder, tmp_path / 'copy')
  path = folder / name
  size = path.stat().st_size
  os.truncate(path, size - 1)
  with pytest.raises(
    ValueError,
    match=rf'{name} is damaged: .*{size - 1} bytes where {size} were',
  ):
    act.load(str(folder))


@pytest.mark.parametrize('form, name', FILES)
def test_an_altered_file(export, form, name, tmp_path):
  folder = shutil.copytree(export(form).folder, tmp_path / 'copy')
  content = bytearray((folder / name).read_bytes())
  content[len(content) // 2] ^= 1
  (folder / name).write_bytes(content)
  with pytest.raises(ValueError, match=rf'{name} is damaged: its checksum'):
    act.load(str(folder))


def test_a_missing_file(export, tmp_path):
  folder = shutil.copytree(export('numpy').folder, tmp_path / 'copy')
  (folder / 'policy.npz').unlink()
  with pytest.raises(ValueError, match=r'policy\.npz cannot be read \(No such'):
    act.load(str(folder))


def test_the_example_on_a_truncated_file(export, tmp_path):
  folder = shutil.copytree(export('numpy').folder, tmp_path / 'copy')
  os.truncate(folder / 'policy.npz', 100)
  done = subprocess.run(
    [sys.executable, folder / 'act.py'],
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.returncode == 1
  (line,) = done.stderr.splitlines()
  assert line.startswith('error: ') and 'damaged' in line


# --- The folder of an export.


def _write(folder):
  pathlib.Path(folder, 'policy.txt').write_text('new')


def test_a_new_folder(tmp_path):
  with exporting.replacing(str(tmp_path / 'x')) as folder:
    _write(folder)
    assert not (tmp_path / 'x').exists()
  assert os.listdir(tmp_path) == ['x']
  assert os.listdir(tmp_path / 'x') == ['policy.txt']


@pytest.mark.parametrize('form', ['numpy', 'saved_model'])
def test_an_earlier_export_is_replaced(export, form, tmp_path):
  folder = shutil.copytree(export(form).folder, tmp_path / 'x')
  (folder / '__pycache__').mkdir()
  (folder / '__pycache__' / 'act.pyc').write_text('')
  with exporting.replacing(str(folder)) as new:
    _write(new)
  assert os.listdir(tmp_path) == ['x']
  assert os.listdir(folder) == ['policy.txt']


def test_an_empty_folder_is_replaced(tmp_path):
  (tmp_path / 'x').mkdir()
  with exporting.replacing(str(tmp_path / 'x')) as folder:
    _write(folder)
  assert os.listdir(tmp_path / 'x') == ['policy.txt']


def test_a_failed_export_keeps_the_earlier_one(export, tmp_path):
  folder = shutil.copytree(export('numpy').folder, tmp_path / 'x')
  before = sorted(os.listdir(folder))
  with pytest.raises(RuntimeError):
    with exporting.replacing(str(folder)):
      raise RuntimeError
  assert sorted(os.listdir(folder)) == before
  assert os.listdir(tmp_path) == ['x']


@pytest.mark.parametrize(
  'name, content',
  [
    ('notes.txt', 'precious'),
    ('manifest.json', '{"name": "a web page"}'),
    ('manifest.json', '{"producer": "ald_acme"}'),
    ('manifest.json', '[]'),
  ],
)
def test_other_files_are_not_replaced(name, content, tmp_path):
  (tmp_path / 'x').mkdir()
  path = tmp_path / 'x' / name
  path.write_text(content)
  with pytest.raises(ValueError, match='other files than an export'):
    with exporting.replacing(str(tmp_path / 'x')):
      pass
  assert path.read_text() == content


def test_an_export_with_added_files_is_not_replaced(export, tmp_path):
  folder = shutil.copytree(export('numpy').folder, tmp_path / 'x')
  (folder / 'robot.py').write_text('precious')
  with pytest.raises(ValueError, match='other files than an export'):
    with exporting.replacing(str(folder)):
      pass
  assert (folder / 'robot.py').read_text() == 'precious'


def test_a_file_in_the_way(tmp_path):
  (tmp_path / 'x').write_text('precious')
  with pytest.raises(ValueError, match='other files than an export'):
    with exporting.replacing(str(tmp_path / 'x')):
      pass
  assert (tmp_path / 'x').read_text() == 'precious'

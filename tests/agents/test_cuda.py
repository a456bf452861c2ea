"""CUDA's libraries are found in wheels in any folder."""

import os
import shutil
import subprocess
import sys

import launchpad as lp
import pytest
import tensorflow as tf

from agents import cuda
from agents import resources

_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))


@pytest.fixture
def wheels(tmp_path):
  """A folder with what is no CUDA, but can be loaded."""
  some = next(
    line.split()[-1]
    for line in open('/proc/self/maps', encoding='utf-8')
    if '/libm.so' in line or '/libm-' in line
  )
  for package, name in (
    ('cudnn', 'libcudnn.so.8'),
    ('cuda_runtime', 'libcudart.so.11.0'),
  ):
    folder = tmp_path / 'nvidia' / package / 'lib'
    folder.mkdir(parents=True)
    shutil.copy(some, folder / name)
  return tmp_path


def test_libraries_load_in_order_of_dependency(wheels, tmp_path):
  elsewhere = str(tmp_path / 'elsewhere')
  found = cuda.load([elsewhere, str(wheels)])
  assert found == ['libcudart.so.11.0', 'libcudnn.so.8']
  maps = open('/proc/self/maps', encoding='utf-8').read()
  assert str(wheels / 'nvidia' / 'cudnn' / 'lib' / 'libcudnn.so.8') in maps


def test_without_wheels_nothing_is_loaded(tmp_path):
  assert cuda.load([str(tmp_path)]) == []
  assert cuda.load([]) == []


def test_searches_pythons_import_path(wheels):
  code = 'from agents import cuda; print(cuda.load())'
  done = subprocess.run(
    [sys.executable, '-c', code],
    env={**os.environ, 'PYTHONPATH': f'{_ROOT}:{wheels}'},
    capture_output=True,
    text=True,
    check=True,
  )
  assert 'libcudnn.so.8' in done.stdout


def test_environment_of_new_processes(wheels, monkeypatch):
  monkeypatch.setenv('LD_LIBRARY_PATH', '/earlier')
  folders = cuda.environment([str(wheels)])['LD_LIBRARY_PATH'].split(':')
  assert folders[-1] == '/earlier'
  assert [os.path.relpath(folder, wheels) for folder in folders[:-1]] == [
    'nvidia/cuda_runtime/lib',
    'nvidia/cudnn/lib',
  ]
  assert cuda.environment([]) == {}


@pytest.mark.parametrize(
  'capability,compiled', [((7, 5), False), ((8, 0), False), ((9, 0), True)]
)
def test_a_newer_card_is_reported(monkeypatch, caplog, capability, compiled):
  config = tf.config
  monkeypatch.setattr(config, 'list_physical_devices', {'GPU': ['c']}.get)
  details = {'device_name': 'Card', 'compute_capability': capability}
  monkeypatch.setattr(
    config.experimental, 'get_device_details', {'c': details}.get
  )
  cuda.report()
  said = '\n'.join(record.getMessage() for record in caplog.records)
  assert 'Using Card' in said
  assert ('compute capability 9.0' in said) == compiled


@pytest.mark.parametrize('given', [None, '5'])
def test_learning_nodes_cache_kernels(monkeypatch, given):
  monkeypatch.delenv('CUDA_CACHE_MAXSIZE', raising=False)
  if given:
    monkeypatch.setenv('CUDA_CACHE_MAXSIZE', given)
  program = lp.Program('cards')
  for label, kind in (('learner', resources.Accelerated), ('a', lp.PyNode)):
    with program.group(label):
      program.add_node(kind(object))
  made = {k: node.env for k, node in resources.local(program).items()}
  assert made['learner']['CUDA_CACHE_MAXSIZE'] == (given or '4294967296')
  assert 'CUDA_CACHE_MAXSIZE' not in made['a']

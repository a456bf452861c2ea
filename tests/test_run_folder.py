"""The folder of a run is its own, and can be written."""

import os
import time

import pytest

from ald_acme import files
from ald_acme import run_folder


@pytest.fixture
def folder(tmp_path):
  return run_folder.RunFolder(str(tmp_path / 'runs' / 'run'))


def test_create(folder):
  assert not folder.exists()
  folder.create()
  assert os.listdir(folder.path) == ['logs']
  assert not folder.exists()  # Until there is a config.json.
  folder.create()  # So a launch that failed may be tried again.


def test_another_run_is_refused(folder):
  folder.create()
  files.write_json(folder.config, {'seed': 7})
  with pytest.raises(ValueError, match=f'{folder.path}.*--resume'):
    folder.create()
  assert folder.read_config() == {'seed': 7}


def test_reopen(folder):
  folder.create()
  files.write_json(folder.config, {})
  folder.reopen()
  assert sorted(os.listdir(folder.path)) == ['config.json', 'logs']


@pytest.mark.parametrize('made', [False, True])
def test_no_run_to_resume(folder, made):
  if made:
    folder.create()
  with pytest.raises(ValueError, match=f'{folder.path}.*no config.json'):
    folder.reopen()
  assert os.path.exists(folder.path) == made


@pytest.mark.parametrize('below', ['', 'a/b'])
def test_below_a_file_nothing_can_be_written(tmp_path, below):
  (tmp_path / 'file').write_text('')
  folder = run_folder.RunFolder(str(tmp_path / 'file' / below))
  with pytest.raises(ValueError, match=r'cannot be written \(.*--workdir'):
    folder.create()


def test_damaged_config_is_named(folder):
  folder.create()
  with open(folder.config, 'w') as file:
    file.write('{"seed": ')
  with pytest.raises(ValueError, match=folder.config):
    folder.read_config()


def test_all_is_in_the_folder(folder):
  paths = [
    getattr(folder, name)
    for name, kind in vars(run_folder.RunFolder).items()
    if isinstance(kind, property)
  ]
  assert len(set(paths)) == len(paths) == 8
  assert {os.path.dirname(path) for path in paths} == {folder.path}


def test_node_logs_of_each_launch(folder):
  paths = [folder.next_node_logs() for _ in range(3)]
  assert len(set(paths)) == 3
  assert all(os.path.isdir(path) for path in paths)
  assert {os.path.dirname(path) for path in paths} == {folder.node_logs}


def test_node_logs_after_old_ones_were_removed(folder):
  first, second = (folder.next_node_logs() for _ in range(2))
  os.rmdir(first)
  assert folder.next_node_logs() not in (first, second)


def test_default_path_is_new(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  monkeypatch.setattr(time, 'strftime', lambda _: 'now')
  paths = []
  for _ in range(3):
    paths.append(run_folder.default_path('ald'))
    assert not os.path.exists(paths[-1])
    os.makedirs(paths[-1])
  assert paths == ['runs/ald-now', 'runs/ald-now-2', 'runs/ald-now-3']

"""A run has exclusive use of its folder, which must be writable."""

import errno
import fcntl
import os
import time

import pytest

from ald_acme.runs import files
from ald_acme.runs import folder as run_folder


@pytest.fixture
def folder(tmp_path):
  return run_folder.RunFolder(str(tmp_path / 'runs' / 'run'))


CONFIG = {'config': {}, 'environment': 'maze', 'environment_kwargs': 'size=5'}


def test_create(folder):
  assert not folder.exists()
  folder.create().close()
  assert sorted(os.listdir(folder.path)) == ['.lock', 'logs']
  assert not folder.exists()  # Until there is a config.json.
  folder.create()  # So a launch that failed may be tried again.


def test_another_run_is_refused(folder):
  folder.create().close()
  files.write_json(folder.config, CONFIG)
  with pytest.raises(ValueError, match=f'{folder.path}.*resume that run'):
    folder.create()
  assert folder.read_config() == CONFIG


@pytest.mark.parametrize('name', ['notes.txt', 'checkpoints'])
def test_other_files_are_refused(folder, name):
  os.makedirs(os.path.join(folder.path, name))
  with pytest.raises(
    ValueError, match=f"{folder.path}.*'{name}'.*choose another"
  ):
    folder.create()
  assert os.listdir(folder.path) == [name]


def test_reopen(folder):
  folder.create().close()
  files.write_json(folder.config, CONFIG)
  for _ in range(2):
    folder.reopen().close()


def test_reopening_clears_up_after_killed_nodes(folder):
  folder.create().close()
  files.write_json(folder.config, CONFIG)
  os.makedirs(folder.checkpoints)
  torn = [f'{folder.progress}.12.tmp', f'{folder.checkpoints}/c.npz.12.tmp']
  for path in torn:
    open(path, 'w').close()
  folder.reopen().close()
  assert not any(map(os.path.exists, torn))
  assert os.path.exists(folder.config)


def test_a_file_system_without_locks(folder, monkeypatch):
  def refuse(*_):
    raise OSError(errno.ENOLCK, 'No locks available')

  monkeypatch.setattr(fcntl, 'flock', refuse)
  with pytest.raises(ValueError, match=r'cannot be locked \(No locks'):
    folder.create()


@pytest.mark.parametrize('again', ['create', 'reopen'])
def test_one_run_at_a_time(folder, again):
  with folder.create():
    files.write_json(folder.config, CONFIG)
    with pytest.raises(ValueError, match=f'{folder.path}.* is in use'):
      getattr(folder, again)()
  with folder.reopen(), pytest.raises(ValueError, match='is in use'):
    getattr(folder, again)()


def test_a_refusal_leaves_no_lock(folder):
  folder.create().close()
  files.write_json(folder.config, CONFIG)
  with pytest.raises(ValueError, match='another run'):
    folder.create()
  folder.reopen().close()


@pytest.mark.parametrize('made', [False, True])
def test_no_run_to_resume(folder, made):
  if made:
    folder.create().close()
  with pytest.raises(ValueError, match=f'{folder.path}.*no config.json'):
    folder.reopen()
  assert os.path.exists(folder.path) == made


@pytest.mark.parametrize('below', ['', 'a/b'])
def test_below_a_file_nothing_can_be_written(tmp_path, below):
  (tmp_path / 'file').write_text('')
  folder = run_folder.RunFolder(str(tmp_path / 'file' / below))
  with pytest.raises(ValueError, match=r'cannot be written \(.*another folder'):
    folder.create()


@pytest.mark.parametrize(
  'content',
  [
    b'',
    b'{"config": ',
    b'\xff\xfe',
    b'[]',
    b'{}',
    b'{"config": {}, "environment": "maze"}',
    b'{"config": 1, "environment": "maze", "environment_kwargs": ""}',
  ],
)
def test_damaged_config_is_named(folder, content):
  folder.create()
  with open(folder.config, 'wb') as file:
    file.write(content)
  with pytest.raises(ValueError, match=folder.config):
    folder.read_config()


def test_all_is_in_the_folder(folder):
  paths = [
    getattr(folder, name)
    for name, kind in vars(run_folder.RunFolder).items()
    if isinstance(kind, property)
  ]
  assert len(set(paths)) == len(paths) == 9
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


def test_the_default_folder_is_new(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  monkeypatch.setattr(time, 'strftime', lambda _: 'now')
  paths = [run_folder.make_default('ald') for _ in range(3)]
  assert paths == ['runs/ald-now', 'runs/ald-now-2', 'runs/ald-now-3']
  assert all(os.listdir(path) == [] for path in paths)


def test_no_default_folder_below_a_file(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  (tmp_path / 'runs').write_text('')
  with pytest.raises(ValueError, match=r'runs/ald.* cannot be written'):
    run_folder.make_default('ald')

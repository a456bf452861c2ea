"""Files are written atomically."""

import os

import pytest

from ald_acme.runs import files


@pytest.fixture
def path(tmp_path):
  """Path of a file that contains 'old'; no other file may remain beside it."""
  path = tmp_path / 'file'
  path.write_bytes(b'old')
  yield str(path)
  assert os.listdir(tmp_path) == ['file']


def _read(path):
  with open(path, 'rb') as file:
    return file.read()


def test_replaces_only_when_complete(path):
  with files.atomic(path) as file:
    file.write(b'new')
    file.flush()
    assert _read(path) == b'old'
  assert _read(path) == b'new'


@pytest.mark.parametrize('durable', [False, True])
def test_durable_files_wait_for_the_disk(path, monkeypatch, durable):
  synced = []  # What of the disk holds, at each time.

  def fsync(file):
    what = os.readlink(f'/proc/self/fd/{file}')
    synced.append((what, _read(path)))

  monkeypatch.setattr(os, 'fsync', fsync)
  with files.atomic(path, durable) as file:
    file.write(b'new')
  own = f'{path}.{os.getpid()}.tmp'
  # The name too: a rename is lost with the folder's own blocks.
  expected = [(own, b'old'), (os.path.dirname(path), b'new')]
  assert synced == (expected if durable else [])
  assert _read(path) == b'new'


@pytest.mark.parametrize('error', [ValueError, KeyboardInterrupt, SystemExit])
def test_an_error_keeps_the_old_file(path, error):
  with pytest.raises(error):
    with files.atomic(path) as file:
      file.write(b'a part')
      raise error
  assert _read(path) == b'old'


def test_the_folder_must_exist(tmp_path):
  with pytest.raises(FileNotFoundError):
    with files.atomic(str(tmp_path / 'none' / 'file')):
      pytest.fail('There is no such folder.')


@pytest.mark.parametrize(
  'value', [{'a': [1, 2.5, None, True], 'b': {'c': 'ä'}}, [], 'text', None]
)
def test_json_round_trip(path, value):
  files.write_json(path, value)
  assert files.read_json(path) == value
  assert _read(path).endswith(b'\n')


def test_json_is_readable(path):
  files.write_json(path, {'a': 1, 'b': 2})
  assert _read(path) == b'{\n  "a": 1,\n  "b": 2\n}\n'


def test_values_that_are_not_json_are_rejected(path):
  with pytest.raises(TypeError):
    files.write_json(path, {'a': object()})
  assert _read(path) == b'old'


@pytest.mark.parametrize(
  'content', [b'', b'{"a": 1', b'old', b'\xff\xfe{}', b'[' * 100_000]
)
def test_damaged_json_is_named(path, content):
  with open(path, 'wb') as file:
    file.write(content)
  with pytest.raises(ValueError, match=f'{path} is not valid JSON'):
    files.read_json(path)


def test_leftovers_of_killed_writers_are_removed(tmp_path):
  files.remove_leftovers(str(tmp_path / 'none'))
  for name in ('a.json.12.tmp', 'b.npz.7.tmp', 'a.json', 'mine.tmp', '1.tmp'):
    (tmp_path / name).write_text('')
  files.remove_leftovers(str(tmp_path))
  assert sorted(os.listdir(tmp_path)) == ['1.tmp', 'a.json', 'mine.tmp']


def test_folders_without_end(tmp_path):
  with pytest.raises(OSError, match='File name too long'):
    files.make_folders(str(tmp_path) + '/a' * 1_500)
  assert not os.listdir(tmp_path)

"""Checkpoints: the newest readable one is used."""

import os
import signal

import numpy as np
import pytest
import tree

from ald_acme.runs import checkpoints

STATE = {
  'counts': {'frames': 3, 'episodes': 2**40},
  'learner': {
    'variables': np.linspace(0, 1, 5, dtype=np.float32),
    'optimizer': {'step': np.int64(7), 'first': np.zeros((0, 2))},
  },
  'run': {'solved_at_frames': float('nan'), 'flag': True},
}


def _damage(path, change):
  with open(path, 'rb') as file:
    data = bytearray(file.read())
  with open(path, 'wb') as file:
    file.write(change(data))


def _flip(place):
  """Turns over a byte, found from the file's content."""

  def change(data):
    data[place(data)] ^= 0xFF
    return data

  return change


@pytest.fixture
def folder(tmp_path):
  return checkpoints.CheckpointFolder(str(tmp_path / 'checkpoints'))


def test_round_trip(folder):
  checkpoint = folder.latest()
  assert checkpoint is None
  path = folder.save(STATE)
  checkpoint = folder.latest()
  assert checkpoint.path == path
  expected = tree.map_structure(np.asarray, STATE)
  tree.map_structure(np.testing.assert_array_equal, checkpoint.state, expected)
  dtypes = tree.map_structure(lambda x: x.dtype, checkpoint.state)
  assert dtypes == tree.map_structure(lambda x: x.dtype, expected)


@pytest.mark.parametrize('kept', [1, 3])
def test_the_last_few_are_kept_and_numbering_goes_on(tmp_path, kept):
  for number in range(1, 6):  # A folder object each: nothing is remembered.
    folder = checkpoints.CheckpointFolder(str(tmp_path), kept)
    path = folder.save({'number': number})
    assert path == str(tmp_path / f'checkpoint-{number:06d}.npz')
    assert folder.latest().state['number'] == number
    numbers = [int(path[-10:-4]) for path in folder.paths()]
    assert numbers == list(range(number, max(number - kept, 0), -1))
  assert len(os.listdir(tmp_path)) == kept


def test_numbers_are_compared_as_numbers(folder, tmp_path):
  path = folder.save({'number': 1})
  os.rename(path, path.replace('000001', '999999'))
  assert folder.save({'number': 2}).endswith('checkpoint-1000000.npz')
  assert folder.latest().state['number'] == 2


def test_foreign_files_are_not_touched(folder, tmp_path):
  path = folder.save({'number': 1})
  foreign = [
    'checkpoint-000009.npz.123.tmp',
    'checkpoint-000000.npz',
    'checkpoint-best.npz',
    'checkpoint-000009.txt',
    'my-checkpoint-000009.npz',
    'notes.txt',
  ]
  for name in foreign:
    (tmp_path / 'checkpoints' / name).write_text('not yours')
  assert folder.paths() == [path]
  for number in range(2, 6):
    assert folder.save({}).endswith(f'{number:06d}.npz')
  assert set(foreign) < set(os.listdir(tmp_path / 'checkpoints'))
  assert len(folder.paths()) == 3


@pytest.mark.parametrize('name', ['a b', 'lr[0.1]', 'what?', '*'])
def test_any_folder_name_will_do(tmp_path, name):
  folder = checkpoints.CheckpointFolder(str(tmp_path / name), kept=1)
  for number in range(3):
    folder.save({'number': number})
  assert folder.latest().state['number'] == 2
  assert len(os.listdir(tmp_path / name)) == 1


def test_an_error_while_writing_keeps_the_old_checkpoint(
  folder, monkeypatch, tmp_path
):
  path = folder.save({'number': 1})

  def savez(file, **_):
    file.write(b'PK')
    raise KeyboardInterrupt

  monkeypatch.setattr(np, 'savez', savez)
  with pytest.raises(KeyboardInterrupt):
    folder.save({'number': 2})
  assert os.listdir(tmp_path / 'checkpoints') == [os.path.basename(path)]
  assert folder.latest().state['number'] == 1


def test_a_kill_while_writing_keeps_the_old_checkpoint(folder, monkeypatch):
  path = folder.save({'number': 1})

  def savez(file, **_):
    file.write(b'PK')
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)

  child = os.fork()
  if not child:
    try:
      monkeypatch.setattr(np, 'savez', savez)
      folder.save({'number': 2})
    finally:
      os._exit(0)
  _, status = os.waitpid(child, 0)
  assert os.WTERMSIG(status) == signal.SIGKILL
  assert folder.paths() == [path]
  assert folder.latest().state['number'] == 1
  assert folder.save({'number': 2}).endswith('checkpoint-000002.npz')


@pytest.mark.parametrize(
  'change',
  [
    lambda data: b'',
    lambda data: b'garbage',
    lambda data: data[: len(data) // 2],
    lambda data: data[:-1],
    _flip(lambda data: data.index(np.float32(1234.5).tobytes())),
    _flip(lambda data: data.index(b'PK\1\2') + 6),  # Version of the format.
    _flip(lambda data: data.index(b'PK\1\2') + 8),  # Flags.
    _flip(lambda data: len(data) - 5),  # Where the zip's directory is.
  ],
  ids=[
    'empty',
    'garbage',
    'half',
    'all but a byte',
    'a byte of the data',
    'a byte of the version',
    'a byte of the flags',
    'a byte of the end',
  ],
)
def test_damaged_checkpoints_are_skipped(folder, caplog, change):
  paths = [folder.save({'x': np.float32([1234.5, n])}) for n in range(3)]
  _damage(paths[2], change)
  assert folder.latest().path == paths[1]
  assert f'Checkpoint {paths[2]} is damaged' in caplog.text
  with pytest.raises(ValueError, match=f'{paths[2]} is damaged'):
    checkpoints.read(paths[2])

  for path in paths[:2]:
    _damage(path, change)
  assert folder.latest() is None


@pytest.mark.parametrize(
  'value', ['words', b'bytes', np.complex64([1]), np.float32([1, np.nan])]
)
def test_other_contents_are_skipped(folder, caplog, value):
  path = folder.save({'x': np.float32([1])})
  other = folder.save({'part': {'x': value}})
  assert folder.latest().path == path
  assert f'Checkpoint {other} is damaged (part/x holds ' in caplog.text


def test_objects_are_not_unpickled(folder, tmp_path):
  class Bomb:
    def __reduce__(self):
      return os.mkdir, (str(tmp_path / 'exploded'),)

  path = folder.save({'x': 1})
  np.savez(path, x=np.array([Bomb()], object))
  with pytest.raises(ValueError, match='damaged'):
    checkpoints.read(path)
  assert not (tmp_path / 'exploded').exists()


def test_a_dangling_link(folder, tmp_path):
  path = folder.save({'x': 1})
  os.symlink(tmp_path / 'none', path.replace('000001', '000002'))
  assert folder.latest().path == path


@pytest.mark.parametrize(
  'state', [{}, {'counts': 3}, {'counts': {}}, {'counts': {'frames': [1, 2]}}]
)
def test_a_checkpoint_has_its_number_of_frames(folder, state):
  folder.save(state)
  with pytest.raises(ValueError, match=r'has no number of frames'):
    _ = folder.latest().frames
  folder.save({'counts': {'frames': 7}})
  assert folder.latest().frames == 7


def test_checkpoints_outlive_the_machine(folder, monkeypatch):
  synced = []
  monkeypatch.setattr(os, 'fsync', synced.append)
  folder.save(STATE)
  assert synced


def test_none_to_read(tmp_path):
  with pytest.raises(FileNotFoundError):
    checkpoints.read(str(tmp_path / 'checkpoint-000001.npz'))

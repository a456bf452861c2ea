"""Preparation of a run: its folder and its checkpoint."""

import os

import pytest

from ald_acme.runs import checkpoints
from ald_acme.runs import files
from ald_acme.runs import folder as run_folder
from launch import command_line
from launch import training


def test_newest_checkpoint(tmp_path):
  folder = run_folder.RunFolder(str(tmp_path))
  assert training.newest_checkpoint(folder, 50) is None
  saved = checkpoints.CheckpointFolder(folder.checkpoints)
  path = saved.save({'counts': {'frames': 100}})
  assert training.newest_checkpoint(folder, 0) == path
  assert training.newest_checkpoint(folder, 101) == path
  with pytest.raises(command_line.UsageError, match=r'100 frames .* 100'):
    training.newest_checkpoint(folder, 100)
  with open(path, 'w', encoding='utf-8') as file:
    file.write('not a checkpoint')
  with pytest.raises(ValueError, match='can be read'):
    training.newest_checkpoint(folder, 0)


def _prepared(folder, lock, saved=None):
  return training.Prepared(None, folder, lock, None, saved)


def test_a_failed_start_keeps_files_of_others(tmp_path):
  for mine in ((), ('notes',)):
    folder = run_folder.RunFolder(str(tmp_path / f'run-{len(mine)}'))
    lock = folder.create()
    with open(folder.config, 'w', encoding='utf-8') as file:
      file.write('{}')
    for name in mine:
      open(os.path.join(folder.path, name), 'w').close()
    _prepared(folder, lock).rollback()
    assert os.path.exists(folder.path) == bool(mine)
    if mine:
      assert tuple(os.listdir(folder.path)) == mine


def test_a_failed_resume_restores_the_config(tmp_path):
  folder = run_folder.RunFolder(str(tmp_path / 'run'))
  saved = {'config': {'num_actors': 1}, 'resumed': 0}
  with folder.create() as lock:
    files.write_json(folder.config, {'config': {'num_actors': 9}, 'resumed': 1})
    _prepared(folder, lock, saved).rollback()
  assert files.read_json(folder.config) == saved

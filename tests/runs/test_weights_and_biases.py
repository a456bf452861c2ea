"""Rows in wandb's files, written offline."""

import glob
import json
import pickle
import sys

import pytest

from ald_acme.runs import weights_and_biases


def test_without_the_package(monkeypatch):
  monkeypatch.setitem(sys.modules, 'wandb', None)
  with pytest.raises(ValueError, match=r'pip install .* wandb'):
    weights_and_biases.check()


def test_runs_of_two_folders_of_the_same_name_stay_apart(tmp_path):
  one, again, other = (
    weights_and_biases.WandbLoggerFactory('mazes', 'mine', str(path))
    for path in (tmp_path / 'mine', tmp_path / 'mine', tmp_path / 'b' / 'mine')
  )
  assert one.run_id('mine-actor-0') == again.run_id('mine-actor-0')
  assert one.run_id('mine-actor-0') != other.run_id('mine-actor-0')
  assert one.run_id('mine-actor-0') != one.run_id('mine-actor-1')


def test_offline(tmp_path, monkeypatch):
  pytest.importorskip('wandb')
  from wandb.proto import wandb_internal_pb2
  from wandb.sdk.internal import datastore

  monkeypatch.setenv('WANDB_MODE', 'offline')
  factory = weights_and_biases.WandbLoggerFactory(
    'mazes', 'ald-1', str(tmp_path), {'seed': 3}
  )
  logger = pickle.loads(pickle.dumps(factory))('actor', 'frames', 2)
  other, unused = factory('learner'), factory('actor_parameters')
  logger.write({'frames': 10, 'return': 0.5, 'episode_length': float('nan')})
  other.write({'loss': 1.0})
  other.close()  # Another node of this process goes on.
  logger.write({'frames': 20, 'return': 1.0})
  logger.close()
  unused.close()
  paths = glob.glob(str(tmp_path / 'wandb' / 'offline-run-*' / '*.wandb'))
  names = [path.rpartition('/')[2] for path in sorted(paths)]
  ids = [factory.run_id(f'ald-1-{n}') for n in ('actor-2', 'learner-0')]
  assert names == [f'run-{name}.wandb' for name in ids]
  path = next(path for path in paths if path.endswith(f'{ids[0]}.wandb'))
  store = datastore.DataStore()
  store.open_for_scan(path)
  rows = []
  while (data := store.scan_data()) is not None:
    record = wandb_internal_pb2.Record.FromString(data)
    items = record.history.item
    row = {x.key or x.nested_key[0]: json.loads(x.value_json) for x in items}
    if row:
      rows.append({k: v for k, v in row.items() if not k.startswith('_')})
  assert rows == [{'frames': 10, 'return': 0.5}, {'frames': 20, 'return': 1.0}]

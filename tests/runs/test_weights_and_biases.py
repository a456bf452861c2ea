"""Rows in the files of wandb, which needs no network for them."""

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
  assert names == ['run-ald-1-actor-2.wandb', 'run-ald-1-learner-0.wandb']
  path = next(path for path in paths if path.endswith('actor-2.wandb'))
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

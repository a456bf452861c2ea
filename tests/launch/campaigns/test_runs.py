"""Finished runs are kept; others are removed."""

import dataclasses
import json
import os

import pytest

from ald_acme.networks import sizes
from launch.campaigns import runs

FIELDS = {
  'seed': 3,
  'max_frames': 1_000,
  'dprl': 16.0,
  'target_return': None,
}


@pytest.fixture
def run(tmp_path):
  return runs.Run(
    label='maze/ald_dprl_16/seed_3',
    path=str(tmp_path / 'maze' / 'ald_dprl_16' / 'seed_3'),
    agent='ald',
    environment='i_maze',
    environment_kwargs='size=9',
    fields=FIELDS,
  )


@pytest.fixture
def finish(run, fake_run):
  """Finishes the run, by default as it was asked for."""

  def finish(fields=FIELDS, **description):
    description = {'environment_kwargs': 'size=9', **description}
    return fake_run(run.path, fields, **description)

  return finish


def _change(path, **values):
  with open(path, encoding='utf-8') as file:
    contents = json.load(file)
  contents |= values
  with open(path, 'w', encoding='utf-8') as file:
    json.dump(contents, file)


def test_command(run, monkeypatch):
  monkeypatch.chdir(os.path.dirname(os.path.dirname(runs.LAUNCHER)))
  assert run.command()[1:] == [
    'launch/local.py',
    '--agent=ald',
    '--environment=i_maze',
    '--environment_kwargs=size=9',
    f'--workdir={run.path}',
    '--config.seed=3',
    '--config.max_frames=1000',
    '--config.dprl=16.0',
    '--config.target_return=none',
  ]
  assert run.kind == 'maze/ald_dprl_16'
  assert run.log == run.path + '.log'


def test_not_begun(run):
  assert not run.is_done()
  assert run.progress() is None
  run.prepare()  # There is nothing to do.
  assert not os.path.exists(run.path)


def test_finished(run, finish):
  finish()
  assert run.is_done()
  assert run.seconds() == 1.0


@pytest.mark.parametrize('reason', ['interrupted', 'node learner_0 failed', ''])
def test_stopped_before_its_end(run, finish, reason):
  _change(finish().summary, stopped_because=reason)
  assert not run.is_done()
  run.prepare()
  assert not os.path.exists(run.path)


def test_crashed_before_its_summary(run, finish):
  os.remove(finish().summary)
  assert not run.is_done()
  run.prepare()
  assert not os.path.exists(run.path)


def test_a_folder_that_holds_no_run_is_left_alone(run):
  os.makedirs(run.path)
  mine = os.path.join(run.path, 'mine.txt')
  open(mine, 'w').close()
  run.prepare()
  assert os.path.exists(mine)


def test_a_run_in_progress_is_not_touched(run, finish):
  folder = finish()
  os.remove(folder.summary)
  with folder.reopen(), pytest.raises(ValueError, match='in use'):
    run.prepare()
  assert folder.exists()


@pytest.mark.parametrize(
  'other, field, found, asked',
  [
    ({'agent': 'lstm'}, 'agent', "'lstm'", "'ald'"),
    ({'environment': 'meta_fetch'}, 'environment', "'meta_fetch'", "'i_maze'"),
    (
      {'environment_kwargs': 'size=15'},
      'environment_kwargs',
      "'size=15'",
      "'size=9'",
    ),
    ({'seed': 4}, 'seed', '4', '3'),
    ({'max_frames': 2_000}, 'max_frames', '2000', '1000'),
    ({'dprl': 4.0}, 'dprl', '4.0', '16.0'),
    ({'target_return': 0.5}, 'target_return', '0.5', 'None'),  # The default.
    ({'loss': 'vmpo'}, 'loss', "'vmpo'", "'vtrace'"),
    (
      {'networks': sizes.NetworkSizes(gtrxl_layers=1)},
      'networks.gtrxl_layers',
      '1',
      '2',
    ),
  ],
)
def test_another_run_is_refused(run, finish, other, field, found, asked):
  described = {
    name: value
    for name, value in other.items()
    if name.startswith(('agent', 'environment'))
  }
  finish({**FIELDS, **other} if not described else FIELDS, **described)
  with pytest.raises(ValueError) as error:
    run.is_done()
  message = str(error.value)
  assert f'{field}={found},' in message and f'requires {asked};' in message
  assert run.path in message
  assert 'delete' in message and '--folder' in message


def test_an_older_run(run, finish):
  """Its config.json has no agent's name, and other fields."""
  config = finish().config
  with open(config, encoding='utf-8') as file:
    contents = json.load(file)
  del contents['agent'], contents['config']['actor_update_period']
  del contents['config']['networks']['gtrxl_memory']
  contents['config']['gone'] = 1
  with open(config, 'w', encoding='utf-8') as file:
    json.dump(contents, file)
  assert run.is_done()
  del contents['config']['learner_average_decay']  # It had no average.
  with open(config, 'w', encoding='utf-8') as file:
    json.dump(contents, file)
  with pytest.raises(ValueError, match=r'learner_average_decay=0\.0, .* 0\.95'):
    run.is_done()


def test_a_finished_run_without_its_configuration(run, finish):
  os.remove(finish().config)
  with pytest.raises(ValueError, match=r'config\.json cannot be read'):
    run.is_done()


def test_progress(run, finish):
  with open(finish().progress, 'w', encoding='utf-8') as file:
    json.dump({'frames': 7}, file)
  assert run.progress() == {'frames': 7}


def test_distillation_fields_are_ignored_for_baselines(run, finish):
  fields = {name: x for name, x in FIELDS.items() if name != 'dprl'}
  baseline = dataclasses.replace(run, agent='lstm', fields=fields)
  finish({**FIELDS, 'dprl': 4.0, 'distill_table_size': 5}, agent='lstm')
  assert baseline.is_done()

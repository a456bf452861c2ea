"""`export.py`: files and latencies, or a one-line error."""

import json
import os
import re

import numpy as np
import pytest

from ald_acme.deployment import act

ROWS = (
  'the export: LSTM, tflite',
  'the same, saved_model',
  'the same, numpy',
  'the actor in training: LSTM',
  'the learner in training: GTrXL',
)


def test_tflite_of_ald(make_run, launch, tmp_path):
  made = make_run()
  done = launch('export.py', f'--workdir={made.path}', '--format=tflite')
  assert done.status == 0, done.error
  assert re.search(r'largest difference to the network: [\d.e-]+, ', done.out)
  for row in ROWS:
    p50, p99 = re.search(
      rf'^{row} +([\d.]+) +([\d.]+)$', done.out, re.M
    ).groups()
    assert 0 < float(p50) <= float(p99)
  assert 'measuring latency' in done.out
  folder = os.path.join(made.path, 'export', 'tflite')
  assert set(os.listdir(folder)) == {'act.py', 'manifest.json', 'policy.tflite'}
  with open(os.path.join(folder, 'manifest.json'), encoding='utf-8') as file:
    manifest = json.load(file)
  assert manifest['run'] == {
    'workdir': made.path,
    'agent': 'ald',
    'environment': 'i_maze',
    'environment_kwargs': 'size=5,limit=12',
    'seed': 0,
    'git_commit': 'c0ffee',
    'checkpoint': 'checkpoint-000001.npz',
    'frames': 12_345,
  }
  assert act.load(folder).act(np.zeros((3, 3, 6), np.float32)) in range(4)


def test_an_export_that_misses_the_budget(make_run, launch, tmp_path):
  made = make_run('lstm')
  done = launch(
    'export.py',
    f'--workdir={made.path}',
    '--format=numpy',
    '--output=robot',
    '--latency_budget_us=0.001',
  )
  assert done.status == 1
  error = done.refusal()
  assert '--latency_budget_us=0.001' in error
  exported = re.search(
    r'^the export: LSTM, numpy +([\d.]+) +([\d.]+)$', done.out, re.M
  )
  for number in exported.groups():
    assert f'{number} us' in error
  # The files are there; it is for the person to decide.
  act.load(str(tmp_path / 'robot'))


def test_agents_without_an_lstm(make_run, launch):
  made = make_run('gtrxl')
  done = launch('export.py', f'--workdir={made.path}', '--format=numpy')
  assert done.status == 1
  assert 'numpy holds an LSTM alone' in done.refusal()
  assert os.listdir(os.path.join(made.path, 'export')) == []


@pytest.mark.parametrize(
  'flags, texts',
  [
    (('--format=numpy',), ('--workdir must be given',)),
    (('--workdir=run-ald',), ('--format must be given',)),
    (('--workdir=run-ald', '--format=torch'), ('torch', 'tflite')),
    *(
      (
        ('--workdir=run-ald', '--format=numpy', f'--latency_budget_us={x}'),
        ('latency_budget_us', x),
      )
      for x in ('0', '-5', 'nan', 'soon')
    ),
  ],
)
def test_usage(make_run, launch, flags, texts):
  made = make_run()
  done = launch('export.py', *flags)
  assert done.status == 2
  for text in texts:
    assert text in done.refusal()
  assert 'export' not in os.listdir(made.path)


def test_no_checkpoint_yet(make_run, launch):
  made = make_run()
  os.remove(made.checkpoint)
  done = launch('export.py', f'--workdir={made.path}', '--format=numpy')
  assert done.status == 1
  assert 'no checkpoint yet' in done.refusal()


def test_a_folder_that_cannot_be_written(make_run, launch, tmp_path):
  (tmp_path / 'file').write_text('precious')
  done = launch(
    'export.py',
    f'--workdir={make_run().path}',
    '--format=numpy',
    '--output=file/robot',
  )
  assert done.status == 1
  assert '--output' in done.refusal()
  assert 'cannot be written' in done.refusal()


def test_a_folder_with_something_else_in_it(make_run, launch, tmp_path):
  (tmp_path / 'robot').mkdir()
  (tmp_path / 'robot' / 'main.py').write_text('precious')
  done = launch(
    'export.py',
    f'--workdir={make_run().path}',
    '--format=numpy',
    '--output=robot',
  )
  assert done.status == 1
  assert 'other files than an export' in done.refusal()
  assert os.listdir(tmp_path / 'robot') == ['main.py']

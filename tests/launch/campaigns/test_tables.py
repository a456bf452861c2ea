"""The exact text of tables."""

import pytest

from launch.campaigns import results
from launch.campaigns import tables


@pytest.fixture
def groups(tmp_path, fake_run):
  """ALD: solved at 500 and 1,000 of 1,000 frames; LSTM: one run of 2, never."""

  def read(name, seed, **fields):
    path = str(tmp_path / name / str(seed))
    rows = fields.pop('rows', None)
    fake_run(path, {'seed': seed, 'max_frames': 1_000, **fields}, rows)
    return results.read(path)

  never = [
    {'frames': 0, 'actor_return': 0.25},
    {'frames': 1_600, 'actor_return': 0.5},
  ]
  lstm = read('lstm', 0, max_frames=2_000, rows=never)
  return [
    results.Group('ALD', 'blue', 2, 1_000, [read('ald', 0), read('ald', 1)]),
    results.Group('LSTM', 'red', 2, 2_000, [lstm]),
    results.Group('GTrXL', 'green', 2, 1_000, []),
  ]


def test_runs(groups, tmp_path):
  path = str(tmp_path / 'table.csv')
  tables.write_csv(path, tables.runs(groups, solvable=True))
  with open(path, encoding='utf-8') as file:
    lines = file.read().splitlines()
  assert lines == [
    'method,seed,frames,wall_seconds,frames_to_0.95,seconds_to_0.95,'
    'final_return,area_to_1000_frames,actor_updates,learner_updates,'
    'actor_updates_per_second',
    # Steps of 0.1 from 0 to 0.9, and of 0.2 up to 1.
    'ALD,0,1000,1.0,1000,1.0,1.0,0.45,80,20,10.0',
    'ALD,1,1000,1.0,500,0.5,1.0,0.7,80,20,10.0',
    'LSTM,0,1600,12.5,inf,inf,0.5,0.25,80,20,nan',
  ]


def test_methods(groups, tmp_path):
  path = str(tmp_path / 'table.md')
  rows = tables.methods(groups, solvable=True)
  tables.write_markdown(path, 'maze', rows, ['A note.', 'Another.'])
  with open(path, encoding='utf-8') as file:
    assert file.read() == (
      '# maze\n\n![maze](maze.svg)\n\n'
      '| method | seeds | frames to 0.95, by seed | median '
      '| seconds to 0.95, median | final return '
      '| normalised area to 1,000 frames |\n'
      '| --- | --- | --- | --- | --- | --- | --- |\n'
      '| ALD | 2 | 1,000 / 500 | 750 | 1 | 1.000 [1.000, 1.000] '
      '| 0.575 [0.450, 0.700] |\n'
      '| LSTM | 1 of 2 | not by 2,000 | not by 2,000 | never '
      '| 0.500 (no interval) | 0.250 (no interval) |\n'
      '| GTrXL | 0 of 2 | - | - | - | - | - |\n'
      '\nA note.\n\nAnother.\n'
    )


def test_without_a_return_that_solves(groups):
  for rows in (tables.runs(groups, False), tables.methods(groups, False)):
    assert not [name for name in rows[0] if '0.95' in name]
    assert [name for name in rows[0] if 'final' in name]


def test_trials(tmp_path, fake_run):
  rows = [
    {
      'frames': 9,
      'actor_return': 4.5,
      'first_episode_return': 0.5,
      'last_episode_return': 1.0,
    }
  ]
  fake_run(str(tmp_path / 'run'), {'seed': 0, 'max_frames': 9}, rows)
  result = results.read(str(tmp_path / 'run'))
  groups = [results.Group('ALD', 'blue', 1, 9, [result])]
  (run,) = tables.runs(groups, solvable=False)
  assert (run['first_episode'], run['last_episode']) == (0.5, 1.0)
  (method,) = tables.methods(groups, solvable=False)
  assert method['first episode of a trial'] == '0.500 (no interval)'
  assert method['last episode of a trial'] == '1.000 (no interval)'


def test_shortest(groups):
  assert tables.shortest(groups) == 1_000

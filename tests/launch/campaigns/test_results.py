"""Results are read from complete and from damaged runs."""

import os

import numpy as np
import pytest

from ald_acme.runs import files
from launch.campaigns import results

NAN, INF = float('nan'), float('inf')
FIELDS = {'seed': 2, 'max_frames': 100, 'dprl': 2.0}


def _rows(*rows):
  names = ('frames', 'wall_seconds', 'actor_updates', 'actor_return')
  return [dict(zip(names, row)) for row in rows]


@pytest.fixture
def path(tmp_path):
  return str(tmp_path / 'run')


def _group(*found):
  return results.Group('ALD', 'blue', 5, 100, found)


def test_read(path, fake_run):
  rows = _rows((0, 5, 0, 0.25), (50, 6, 10, 0.95), (100, 7, 30, 1.0))
  fake_run(path, FIELDS, rows)
  result = results.read(path)
  assert result.seed == 2
  assert result.config['dprl'] == 2.0
  assert result.commit == '0123456789abcdef'
  assert result.frames_to_solved == 50
  assert result.seconds_to_solved == 6
  assert result.final_return == 1.0
  assert result.area(100) == pytest.approx((0.25 + 0.95) / 2)
  assert result.actor_update_rate == 20.0
  np.testing.assert_array_equal(result.frames, [0, 50, 100])
  np.testing.assert_array_equal(result.returns, [0.25, 0.95, 1.0])
  np.testing.assert_array_equal(result.seconds, [5, 6, 7])


def test_no_known_return_that_solves(path, fake_run):
  folder = fake_run(path, FIELDS)
  summary = files.read_json(folder.summary)
  for name in ('solved_at_frames', 'solved_at_seconds'):
    summary.pop(name, None)
  files.write_json(folder.summary, summary)
  result = results.read(path)
  assert np.isnan(result.frames_to_solved)
  assert np.isnan(result.seconds_to_solved)


def test_never_solved(path, fake_run):
  fake_run(path, FIELDS, _rows((0, 5, 0, 0.5), (100, 6, 9, 0.94)))
  result = results.read(path)
  assert result.frames_to_solved == INF
  assert result.seconds_to_solved == INF


def test_before_times_were_recorded(path, fake_run):
  folder = fake_run(
    path,
    FIELDS,
    [{'frames': 0, 'actor_return': 0.5}, {'frames': 9, 'actor_return': 1.0}],
    git_commit=None,
  )
  summary = files.read_json(folder.summary)
  del summary['solved_at_seconds']
  files.write_json(folder.summary, summary)
  result = results.read(path)
  assert result.frames_to_solved == 9
  assert np.isnan(result.seconds_to_solved)
  assert np.isnan(result.actor_update_rate)
  assert np.isnan(result.seconds).all() and len(result.seconds) == 2
  assert result.commit is None


def test_trials(path, fake_run):
  rows = [
    {
      'frames': n,
      'actor_return': 1.0,
      'first_episode_return': n / 100,
      'last_episode_return': 1 - n / 100,
    }
    for n in range(20)
  ]
  fake_run(path, FIELDS, rows)
  result = results.read(path)
  assert result.has_trials
  assert result.adaptation == pytest.approx((0.145, 0.855))  # 10 to 19.
  rows = [{'frames': 1, 'actor_return': 1.0}]
  fake_run(f'{path}-of-no-trials', FIELDS, rows)
  assert not results.read(f'{path}-of-no-trials').has_trials


def test_a_log_of_a_crash_and_a_resume(path, fake_run):
  folder = fake_run(path, FIELDS, _rows((0, 1, 0, 0.1), (50, 2, 5, 0.2)))
  with open(os.path.join(folder.logs, 'evaluator.csv'), 'a') as file:
    file.write('90,3,9,0.9\n')  # Undone: the checkpoint was of 60 frames.
    file.write('frames,wall_seconds,actor_updates,actor_return\n')
    file.write('60,4,6,0.3\n100,5')  # Cut.
  result = results.read(path)
  np.testing.assert_array_equal(result.frames, [0, 50, 60, 100])
  np.testing.assert_array_equal(result.returns, [0.1, 0.2, 0.3, NAN])
  np.testing.assert_array_equal(
    _group(result).curve('frames', np.array([55, 95, 100])).mean,
    [0.2, 0.3, 0.3],
  )


@pytest.mark.parametrize('contents', [None, '', 'frames\n1\n'])
def test_a_log_without_returns(path, fake_run, contents):
  folder = fake_run(path, FIELDS)
  log = os.path.join(folder.logs, 'evaluator.csv')
  os.remove(log)
  if contents is not None:
    with open(log, 'w') as file:
      file.write(contents)
  with pytest.raises(ValueError, match=r'evaluator\.csv has no .*delete'):
    results.read(path)


def test_a_group(tmp_path, fake_run):
  found = []
  for seed, solved_at in enumerate([40, 80, None]):
    path = str(tmp_path / str(seed))
    rows = _rows(
      *(
        (frames, frames, frames, float(bool(solved_at and frames >= solved_at)))
        for frames in range(0, 101, 20)
      )
    )
    fake_run(path, {**FIELDS, 'seed': seed}, rows)
    found.append(results.read(path))
  group = _group(*found)

  def solved(result):
    return result.frames_to_solved

  np.testing.assert_array_equal(group.values(solved), [40, 80, INF])
  assert group.median(solved) == 80
  assert _group(*found[1:]).median(solved) == INF
  assert _group(found[2], found[2]).median(solved) == INF
  mean, low, high = group.curve('frames', np.array([-1, 0, 39, 40, 79, 80, 99]))
  np.testing.assert_allclose(mean, np.array([NAN, 0, 0, 1, 1, 2, 2]) / 3)
  np.testing.assert_array_equal(low[:3], [NAN, 0, 0])
  assert high[3] == 1.0 and low[3] == 0.0  # All of one, or all of the others.
  seconds = group.curve('seconds', np.array([40.0]))
  np.testing.assert_allclose(seconds.mean, [1 / 3])


def test_an_empty_group():
  group = _group()
  assert np.isnan(group.median(lambda result: result.final_return))
  assert np.isnan(group.curve('frames', np.arange(3.0)).mean).all()

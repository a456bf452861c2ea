"""Pools of commands: their order, results and failures."""

import dataclasses
import os
import sys
import time

import pytest

from launch.campaigns import jobs

MAKE = 'import sys; open(sys.argv[1], "w").close()'
WAIT = """
import signal, sys, time
signal.signal(signal.SIGINT, lambda *_: sys.exit(130))
open(sys.argv[1] + '.began', 'w').close()
while True: time.sleep(0.05)
"""


@dataclasses.dataclass(frozen=True)
class Job:
  """A Python program that is done when its file is there."""

  folder: object
  label: str
  code: str = MAKE
  kind: str = 'kind'
  after: tuple = ()

  @property
  def path(self):
    return os.path.join(self.folder, self.label)

  @property
  def log(self):
    return os.path.join(self.folder, 'logs', f'{self.label}.log')

  def command(self):
    return [sys.executable, '-c', self.code, self.path]

  def is_done(self):
    return os.path.exists(self.path)

  def prepare(self):
    if self.label == 'unprepared':
      raise ValueError('there is no room')

  def seconds(self):
    return 2.0 if self.kind == 'kind' else None

  def progress(self):
    return None


def _finish(pool):
  most = 0
  while pool.step():
    most = max(most, len(pool.running))
    time.sleep(0.01)
  return most


def _labels(found):
  return [job.label for job in found]


@pytest.mark.parametrize('workers', [1, 2])
def test_runs_all(tmp_path, workers):
  made = [Job(tmp_path, name) for name in 'abcd']
  pool = jobs.Pool(made, workers)
  assert _labels(pool.waiting) == list('abcd')
  assert _finish(pool) == workers
  assert sorted(_labels(pool.done)) == list('abcd')
  assert not (pool.failed or pool.running or pool.waiting)
  assert all(job.is_done() for job in made)


def test_existing_results_are_not_made_again(tmp_path):
  open(tmp_path / 'b', 'w').close()
  pool = jobs.Pool([Job(tmp_path, name) for name in 'abca'], 1)
  assert _labels(pool.done) == ['b']
  assert _labels(pool.waiting) == ['a', 'c']  # And none twice.
  open(tmp_path / 'c', 'w').close()  # Created by another program.
  _finish(pool)
  assert _labels(pool.done) == ['b', 'a', 'c']
  assert not os.path.exists(Job(tmp_path, 'c').log)
  assert pool.took == {'kind': [2.0] * 3}


def test_failures_do_not_stop_the_rest(tmp_path):
  pool = jobs.Pool(
    [
      Job(tmp_path, 'status', 'print("one"); print("two"); exit(3)'),
      Job(tmp_path, 'no_result', 'pass'),
      Job(tmp_path, 'unprepared'),
      Job(tmp_path, 'good', kind='untimed'),
    ],
    1,
  )
  _finish(pool)
  assert _labels(pool.done) == ['good']
  assert pool.took == {}
  why = {job.label: why for job, why in pool.failed}
  assert why.keys() == {'status', 'no_result', 'unprepared'}
  log = Job(tmp_path, 'status').log
  assert why['status'] == f'ended with status 3; the end of its log {log}: two'
  assert 'status 0' in why['no_result'] and 'nothing' in why['no_result']
  assert why['unprepared'] == 'there is no room'


@pytest.mark.parametrize('code', [MAKE, 'raise SystemExit(3)'])
def test_jobs_wait_for_their_predecessors(tmp_path, code):
  """A job waits for its predecessor's end, whether or not that succeeds."""
  first = Job(tmp_path, 'first', f'import time; time.sleep(0.2)\n{code}')
  pool = jobs.Pool([Job(tmp_path, 'second', after=('first',)), first], 2)
  pool.step()
  assert [job.label for job, _ in pool.running] == ['first']
  _finish(pool)
  assert 'second' in [job.label for job in pool.done]


def test_a_result_counts_whatever_the_status(tmp_path):
  pool = jobs.Pool([Job(tmp_path, 'a', f'{MAKE}; exit(130)')], 1)
  _finish(pool)
  assert _labels(pool.done) == ['a'] and not pool.failed


def test_a_wrong_result_is_a_failure(tmp_path):
  class Wrong(Job):
    def is_done(self):
      if super().is_done():
        raise ValueError('not what was asked for')
      return False

  pool = jobs.Pool([Wrong(tmp_path, 'a')], 1)
  _finish(pool)
  ((_, why),) = pool.failed
  assert 'not what was asked for' in why
  with pytest.raises(ValueError, match='asked for'):
    jobs.Pool([Wrong(tmp_path, 'a')], 1)


def test_stop_interrupts_and_waits(tmp_path):
  pool = jobs.Pool([Job(tmp_path, name, WAIT) for name in 'abc'], 2)
  pool.step()
  processes = [process for _, process in pool.running]
  while not all(os.path.exists(tmp_path / f'{name}.began') for name in 'ab'):
    assert pool.step()
    time.sleep(0.01)
  pool.stop()
  assert [process.poll() for process in processes] == [130, 130]
  assert _labels(pool.waiting) == ['c']
  assert not pool.running

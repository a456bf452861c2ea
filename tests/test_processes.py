"""The number of cores that a process may use, and its garbage collection."""

import gc
import os

import pytest

from ald_acme import processes


@pytest.mark.parametrize(
  'files, expected',
  [
    ({}, 8),
    ({'cpu.max': 'max 100000\n'}, 8),
    ({'cpu.max': '200000 100000\n'}, 2),
    ({'cpu.max': '150000 100000\n'}, 2),
    ({'cpu.max': '1000 100000\n'}, 1),
    ({'cpu.max': '6400000 100000\n'}, 8),
    ({'cpu.max': 'nonsense\n'}, 8),
    (
      {'cpu/cpu.cfs_quota_us': '300000\n', 'cpu/cpu.cfs_period_us': '100000'},
      3,
    ),
    ({'cpu/cpu.cfs_quota_us': '-1\n', 'cpu/cpu.cfs_period_us': '100000'}, 8),
    ({'cpu/cpu.cfs_quota_us': '300000\n', 'cpu/cpu.cfs_period_us': '0'}, 8),
  ],
)
def test_the_container_limits_the_cores(tmp_path, monkeypatch, files, expected):
  monkeypatch.setattr(os, 'sched_getaffinity', lambda pid: set(range(8)))
  (tmp_path / 'cpu').mkdir()
  for name, content in files.items():
    (tmp_path / name).write_text(content)
  assert processes.usable_cores(str(tmp_path)) == expected


def test_the_affinity_limits_the_cores(tmp_path, monkeypatch):
  monkeypatch.setattr(os, 'sched_getaffinity', lambda pid: {3})
  monkeypatch.setattr(os, 'cpu_count', lambda: 64)
  assert processes.usable_cores(str(tmp_path)) == 1


def test_what_was_imported_is_never_searched():
  frozen = gc.get_freeze_count()
  try:
    with pytest.raises(KeyError), processes.without_collection():
      assert not gc.isenabled()
      made = [[] for _ in range(10_000)]
      raise KeyError
    assert gc.isenabled()
    assert gc.get_freeze_count() >= frozen + len(made)
  finally:
    gc.unfreeze()

"""Parameters in shared memory, with real processes on both sides."""

import contextlib
import multiprocessing
import os
import signal

import numpy as np
import pytest

from ald_acme.parameters import shared as shared_parameters

_SPAWN = multiprocessing.get_context('spawn')
_SIZE = 4000


@pytest.fixture
def create():
  """Makes shared parameters that are closed at the end."""
  with contextlib.ExitStack() as stack:

    def make(initial, num_workers=2):
      shared = shared_parameters.SharedParameters.create(
        np.asarray(initial, np.float32), num_workers
      )
      stack.callback(shared.close)
      return shared

    yield make


def _attach(shared):
  """A view of another process, though in this one."""
  return contextlib.closing(
    shared_parameters.SharedParameters.attach(list(shared.handle))
  )


def _own(pipe):
  """An owner: prints its handle, then lives until it is killed."""
  initial = np.arange(_SIZE, dtype=np.float32)
  shared = shared_parameters.SharedParameters.create(initial, 2)
  shared.add(np.ones(_SIZE, np.float32), worker=1)
  pipe.send(tuple(shared.handle))
  signal.pause()


@pytest.fixture
def owner():
  """A process that owns shared parameters, and their handle."""
  here, there = _SPAWN.Pipe()
  process = _SPAWN.Process(target=_own, args=(there,), daemon=True)
  process.start()
  yield process, shared_parameters.Handle(*here.recv())
  process.kill()
  process.join()


def _holds():
  """This process's descriptors and mappings of such memory."""
  links = []
  for descriptor in os.listdir('/proc/self/fd'):
    with contextlib.suppress(FileNotFoundError):  # The listing's own.
      links.append(os.readlink(f'/proc/self/fd/{descriptor}'))
  with open('/proc/self/maps') as file:
    lines = links + file.readlines()
  return sum('/memfd:actor_parameters' in line for line in lines)


def _add(handle, worker, count, start, turn):
  """A worker: adds ones to every other parameter, and its count."""
  shared = shared_parameters.SharedParameters.attach(handle)
  difference = np.zeros(handle[2], np.float32)
  difference[worker::2] = 1.0
  start.wait()
  for _ in range(count):
    with turn or contextlib.nullcontext():
      shared.add(difference, worker)


def _add_together(shared, counts, turn):
  start = _SPAWN.Barrier(len(counts))
  workers = [
    _SPAWN.Process(
      target=_add, args=(tuple(shared.handle), i, count, start, turn)
    )
    for i, count in enumerate(counts)
  ]
  for worker in workers:
    worker.start()
  for worker in workers:
    worker.join()
    assert worker.exitcode == 0


def test_created(create):
  shared = create([1, 2, 3], num_workers=4)
  assert shared.handle[0] == os.getpid()
  assert shared.handle[2:4] == (3, 4)
  assert shared.updates == 0
  assert shared.read().dtype == np.float32
  np.testing.assert_array_equal(shared.read(), [1, 2, 3])


def test_all_views_share_one_memory(create):
  shared = create([1, 2, 3])
  with _attach(shared) as other:
    other.add(np.float32([1, 0, -1]), worker=1)
    shared.add(np.float32([1, 1, 1]), worker=0)
    for view in (shared, other):
      np.testing.assert_array_equal(view.read(), [3, 3, 3])
      assert view.updates == 2


def test_reading_copies(create):
  shared = create([1, 2])
  before = shared.read()
  shared.add(np.float32([1, 1]), worker=0)
  np.testing.assert_array_equal(before, [1, 2])
  before[:] = 7
  np.testing.assert_array_equal(shared.read(), [2, 3])


def test_counts_continue(create):
  shared = create([0])
  for worker in (0, 1, 1):
    shared.add(np.float32([1]), worker)
  shared.restore_updates(2**40)
  shared.add(np.float32([1]), worker=1)
  assert shared.updates == 2**40 + 1
  np.testing.assert_array_equal(shared.read(), [4])


def test_updates_in_turn_add_up_exactly(create):
  shared = create(np.zeros(_SIZE))
  _add_together(shared, [200, 300], turn=_SPAWN.Lock())
  assert shared.updates == 500
  np.testing.assert_array_equal(shared.read(), [200, 300] * (_SIZE // 2))


def test_concurrent_updates_lose_no_count_and_few_values(create):
  counts = [4000, 5000]
  shared = create(np.zeros(_SIZE))
  _add_together(shared, counts, turn=None)
  assert shared.updates == sum(counts)
  kept = shared.read().reshape(-1, 2) / counts
  assert kept.max() <= 1.0
  assert kept.mean() > 0.9  # Measured: 0.999.


def test_the_owner_is_another_process(owner):
  _, handle = owner
  with contextlib.closing(
    shared_parameters.SharedParameters.attach(handle)
  ) as shared:
    np.testing.assert_array_equal(shared.read(), np.arange(_SIZE) + 1)
    assert shared.updates == 1


def test_the_memory_has_no_name(owner):
  process, handle = owner
  with open(f'/proc/{process.pid}/maps') as file:
    maps = file.read()
  assert '/dev/shm' not in maps
  assert f'/memfd:{handle.name} (deleted)' in maps
  assert (
    os.fstat(
      os.open(f'/proc/{process.pid}/fd/{handle.descriptor}', os.O_RDONLY)
    ).st_nlink
    == 0
  )


def test_dev_shm_stays_empty(create):
  before = os.listdir('/dev/shm')
  create(np.zeros(_SIZE))
  assert os.listdir('/dev/shm') == before


def test_a_killed_owner_leaves_no_memory(owner):
  process, handle = owner
  before = _holds()
  held = shared_parameters.SharedParameters.attach(handle)
  os.kill(process.pid, signal.SIGKILL)
  process.join()
  with pytest.raises(FileNotFoundError, match=r'owner has ended.*another host'):
    shared_parameters.SharedParameters.attach(handle)
  # The memory exists until its last descriptor is closed.
  held.add(np.ones(_SIZE, np.float32), worker=0)
  np.testing.assert_array_equal(held.read(), np.arange(_SIZE) + 2)
  assert _holds() > before
  held.close()
  assert _holds() == before


def test_closing_frees():
  before = _holds()
  shared = shared_parameters.SharedParameters.create(np.zeros(3), 1)
  handle = shared.handle
  with _attach(shared) as other:
    shared.close()
    np.testing.assert_array_equal(other.read(), 0)
    assert _holds() > before
  assert _holds() == before
  with pytest.raises(FileNotFoundError, match=f'/proc/{os.getpid()}/fd'):
    shared_parameters.SharedParameters.attach(handle)


def test_only_the_memory_of_the_handle_is_mapped(create, tmp_path):
  shared = create(np.zeros(4))
  precious = tmp_path / 'precious'
  precious.write_bytes(bytes(100))
  attach = shared_parameters.SharedParameters.attach
  another = os.memfd_create('actor_parameters')
  os.ftruncate(another, 100)
  fifo = tmp_path / 'fifo'
  os.mkfifo(fifo)
  numbers = [another, *(os.open(f, os.O_RDWR) for f in (precious, fifo))]
  for number in numbers:
    with pytest.raises(ValueError, match=f'fd/{number} is .*not the memory'):
      attach(shared.handle._replace(descriptor=number))
    os.close(number)
  for sizes in ({'size': 5}, {'size': 3}, {'num_workers': 1}):
    with pytest.raises(ValueError, match=r'has 32 bytes, but \d+ param'):
      attach(shared.handle._replace(**sizes))
  assert precious.read_bytes() == bytes(100)


def test_the_kernel_reclaims_the_memory():
  def shmem():
    with open('/proc/meminfo') as file:
      line = next(line for line in file if line.startswith('Shmem:'))
    return int(line.split()[1]) * 1024

  before, size = shmem(), 16_000_000
  shared = shared_parameters.SharedParameters.create(np.ones(size), 1)
  assert shmem() - before > 3 * size
  shared.close()
  assert shmem() - before < size

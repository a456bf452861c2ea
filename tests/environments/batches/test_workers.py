"""Environments in worker processes: the same steps, and a clean end."""

import functools
import itertools
import os
import pathlib
import signal
import subprocess
import sys
import textwrap
import threading
import time

import dm_env
from dm_env import specs
import numpy as np
import pytest
import tree

from ald_acme import activity
from ald_acme.environments import registry
from ald_acme.environments.batches import members
from ald_acme.environments.batches import stacking
from ald_acme.environments.batches import trials
from ald_acme.environments.batches import workers
from ald_acme.environments.tasks import i_maze

ROOT = str(pathlib.Path(__file__).parents[2])
HERE = __name__  # The workers import the factories below from here.


@pytest.fixture(autouse=True)
def importable(monkeypatch):
  monkeypatch.syspath_prepend(ROOT)


class Probe(dm_env.Environment):
  """Shows the process it is in; what it does is told by its actions."""

  FINE, RAISE, EXIT, NAN, HANG = range(5)

  def __init__(self, seed, slow_end=False):
    self._seed, self._slow_end = seed, slow_end

  def reset(self):
    return dm_env.restart(self._observation())

  def step(self, action):
    if action == self.RAISE:
      raise KeyError(f'no such room in {self._seed}')
    if action == self.HANG:
      time.sleep(1000)
    if action == self.EXIT:
      os._exit(3)
    reward = float('nan') if action == self.NAN else 1.0
    return dm_env.transition(reward, self._observation())

  def _observation(self):
    return {
      'pid': np.int64(os.getpid()),
      'seed': np.int64(self._seed),
      'tensorflow': np.bool_('tensorflow' in sys.modules),
    }

  def observation_spec(self):
    return {
      'pid': specs.Array((), np.int64),
      'seed': specs.Array((), np.int64),
      'tensorflow': specs.Array((), bool),
    }

  def action_spec(self):
    return specs.DiscreteArray(5)

  def render(self):
    return np.full((1, 1, 3), self._seed % 251, np.uint8)

  def close(self):
    if self._slow_end:
      time.sleep(1000)


class Tasked(Probe):
  """Shows how many tasks it was to draw as well."""

  def new_task(self):
    self._seed += 100


def maze(seed, size, view=3):
  return i_maze.IMaze(
    size=size,
    view=view,
    seed=seed,
    limit=9,
    random_goals=True,
    random_start=True,
  )


def unlike(seed):
  """A maze; of the first more is seen."""
  return maze(seed, 5, view=5 if seed == members.seed_of(7, 0) else 3)


def picky(seed):
  if seed == members.seed_of(1, 3):
    raise OSError('the fourth is refused')
  return Probe(seed)


@pytest.fixture
def make():
  """Makes workers, and closes them."""
  made = []

  def start(factory=Probe, batch_size=5, seed=7, count=2, **kwargs):
    made.append(workers.Workers(factory, batch_size, seed, count, **kwargs))
    return made[-1]

  yield start
  for environment in made:
    environment.close()


def _seeds(seed, number):
  return np.array([members.seed_of(seed, i) for i in range(number)])


def _actions(*actions):
  return np.array(actions, np.int32)


def _is_gone(pid):
  """Whether there is no such process, not even one that is not reaped."""
  try:
    os.kill(pid, 0)
  except ProcessLookupError:
    return True
  return False


def _wait_until(condition):
  while not condition():
    time.sleep(0.05)


def test_halves_step_independently(make):
  """Begun and ended in turns, with a question to one while the other steps."""
  factory = functools.partial(maze, size=5)
  mine, theirs = make(factory, count=2), stacking.stack(factory, 5, seed=7)
  halves = mine.halves()
  rows = (slice(0, 3), slice(3, 5))
  assert [half.batch_size for half in halves] == [3, 2]
  assert stacking.stack(factory, 5, seed=7).halves()[0].batch_size == 5
  expected = theirs.reset()
  steps = [half.reset() for half in halves]
  rng = np.random.RandomState(0)
  for t in range(30):
    for step, own in zip(steps, rows):
      tree.map_structure(
        lambda x, y, own=own: np.testing.assert_array_equal(x, y[own]),
        step,
        expected,
      )
    action = rng.randint(4, size=5)
    for half, own in zip(halves, rows):
      half.begin_step(action[own])
    expected = theirs.step(action)
    steps = [halves[0].end_step()]
    if t == 3:  # The second half has not been asked for its step.
      which = np.array([True, False, True])
      assert halves[0].restart(which)
      theirs.restart(np.append(which, [False, False]))
    steps.append(halves[1].end_step())


def test_an_environment_of_a_half_raises(make):
  environment = make(count=2, name="environment 'x:y'")
  first, second = environment.halves()
  pids = np.append(
    *(half.reset().observation['pid'] for half in (first, second))
  )
  second.begin_step(_actions(0, Probe.RAISE))
  first.step(_actions(0, 0, 0))
  first.begin_step(_actions(0, 0, 0))
  with pytest.raises(
    RuntimeError, match="'x:y', number 4, step 1: step raised"
  ):
    second.end_step()
  assert all(_is_gone(pid) for pid in pids)
  for call in (first.end_step, lambda: first.step(_actions(0, 0, 0))):
    with pytest.raises(RuntimeError, match='are closed'):
      call()


def test_specs_must_agree(make):
  with pytest.raises(ValueError, match='observation_spec must be the same in'):
    make(unlike, batch_size=2, count=2)


def test_new_tasks(make):
  probes = make(Tasked, count=2)
  np.testing.assert_array_equal(
    probes.reset().observation['seed'], _seeds(7, 5) + 100
  )
  probes.keep_tasks()
  probes.new_tasks(np.array([True, False, False, True, False]))
  seeds = probes.reset().observation['seed']
  np.testing.assert_array_equal(seeds, _seeds(7, 5) + [200, 100, 100, 200, 100])


@pytest.mark.parametrize('count', [1, 2, 5, 9])
def test_steps_match_those_without_workers(make, count):
  factory = functools.partial(maze, size=5)
  mine, theirs = make(factory, count=count), stacking.stack(factory, 5, seed=7)
  assert mine.batch_size == 5
  for name in ('observation', 'action', 'reward', 'discount'):
    assert getattr(mine, f'{name}_spec')() == getattr(theirs, f'{name}_spec')()
  rng = np.random.RandomState(0)
  step, expected = mine.reset(), theirs.reset()
  for _ in range(40):
    for one, other in zip(tree.flatten(step), tree.flatten(expected)):
      np.testing.assert_array_equal(one, other)
      assert one.dtype == other.dtype
    action = rng.randint(4, size=5)
    step, expected = mine.step(action), theirs.step(action)


@pytest.mark.parametrize(
  'count, shares', [(1, [5]), (2, [3, 2]), (4, [2, 1, 1, 1]), (9, [1] * 5)]
)
def test_each_worker_has_a_share(make, count, shares):
  seen = make(count=count).reset().observation
  np.testing.assert_array_equal(seen['seed'], _seeds(7, 5))
  assert os.getpid() not in seen['pid']
  pids, sizes = np.unique(seen['pid'], return_counts=True)
  assert len(pids) == len(shares)
  assert sorted(sizes, reverse=True) == shares


@pytest.mark.parametrize('size', range(1, 9))
@pytest.mark.parametrize('count', range(1, 9))
def test_shares_are_even(size, count):
  count = min(size, count)
  shares = workers._divide(size, count)
  held = [[i for s in own if s for i in range(size)[s]] for own in shares]
  assert sorted(itertools.chain(*held)) == list(range(size))
  for half in (0, 1):
    first, *rest = sorted(len(range(size)[x[half] or slice(0)]) for x in shares)
    assert max(rest, default=first) - first <= 1
  assert max(map(len, held)) - min(map(len, held)) <= 1


def test_workers_inherit_no_modules(make):
  import tensorflow  # noqa: F401 (This process has it, the workers must not.)

  assert not make().reset().observation['tensorflow'].any()


def test_close_leaves_no_process(make):
  environment = make()
  pids = set(environment.reset().observation['pid'])
  assert not any(_is_gone(pid) for pid in pids)
  environment.close()
  assert all(_is_gone(pid) for pid in pids)
  environment.close()
  with pytest.raises(RuntimeError, match='the workers of Probe are closed'):
    environment.step(_actions(0, 0, 0, 0, 0))


def test_close_kills_workers_that_do_not_end(make, monkeypatch):
  monkeypatch.setattr(workers, '_GRACE', 0.1)
  environment = make(functools.partial(Probe, slow_end=True))
  pids = environment.reset().observation['pid']
  environment.close()
  assert all(_is_gone(pid) for pid in pids)


def test_an_environment_that_raises_is_named(make):
  environment = make(count=2, name="environment 'x:y'")
  pids = environment.reset().observation['pid']
  with pytest.raises(RuntimeError) as error:
    environment.step(_actions(0, 0, 0, 0, Probe.RAISE))
  assert str(error.value) == (
    "environment 'x:y', number 4, step 1: step raised KeyError: "
    f"'no such room in {members.seed_of(7, 4)}'"
  )
  assert all(_is_gone(pid) for pid in pids)


def test_environments_that_raise_are_recreated(make):
  environment = make(count=2, remakes=1)
  before = environment.reset().observation['seed']
  step = environment.step(_actions(0, 0, 0, 0, Probe.RAISE))
  np.testing.assert_array_equal(environment.lost, [0, 0, 0, 0, 1])
  np.testing.assert_array_equal(step.step_type, [1, 1, 1, 1, 2])
  step = environment.step(_actions(0, 0, 0, 0, 0))
  assert not environment.lost.any() and step.step_type[4] == 0
  np.testing.assert_array_equal(
    step.observation['seed'] == before, [1, 1, 1, 1, 0]
  )
  assert environment.metrics() == {'environments_remade': 1.0}
  with pytest.raises(members.Failure, match='number 4, step 3: step raised'):
    environment.step(_actions(0, 0, 0, 0, Probe.RAISE))


def test_a_breach_of_the_specs_is_named(make):
  environment = make(count=2, name="environment 'x:y'")
  environment.reset()
  environment.step(_actions(0, 0, 0, 0, 0))
  message = "'x:y', number 4, step 2: reward must be finite"
  with pytest.raises(RuntimeError, match=message):
    environment.step(_actions(0, 0, 0, 0, Probe.NAN))


def test_an_environment_that_hangs_is_named(make):
  environment = make(count=2, name="environment 'x:y'")
  environment.reset()
  own = []

  def step():
    own.append(activity.current())
    environment.step(_actions(0, 0, 0, Probe.HANG, 0))

  thread = threading.Thread(target=step, daemon=True)
  thread.start()
  said = (
    "worker 0 of environment 'x:y' (environments 0 to 1 and 3): waiting for "
  )
  said += "step of environment 'x:y', number 3 (in "
  _wait_until(lambda: own and own[0].describe().startswith(said))
  environment._processes[0].kill()
  thread.join()


def test_a_worker_that_dies_is_named(make):
  environment = make(count=3)
  pids = environment.reset().observation['pid']
  with pytest.raises(RuntimeError, match=r'worker 2 .* 4\).* exit code 3'):
    environment.step(_actions(0, 0, 0, 0, Probe.EXIT))
  assert all(_is_gone(pid) for pid in pids)


def test_a_worker_that_was_killed_is_named(make):
  environment = make(count=2)
  pid = int(environment.reset().observation['pid'][0])
  os.kill(pid, signal.SIGKILL)
  with pytest.raises(RuntimeError, match=r'worker 0 of Probe.* exit code -9'):
    environment.step(_actions(0, 0, 0, 0, 0))


def test_workers_ignore_interrupts(make):
  environment = make()
  pids = environment.reset().observation['pid']
  for pid in set(pids):
    os.kill(pid, signal.SIGINT)
  step = environment.step(_actions(0, 0, 0, 0, 0))
  np.testing.assert_array_equal(step.observation['pid'], pids)


def test_environments_that_cannot_be_created_are_named(make):
  with pytest.raises(RuntimeError, match=r'worker 1 .*OSError: the fourth'):
    make(picky, batch_size=4, seed=1, count=2)


def test_factories_must_be_importable(make, monkeypatch):
  with pytest.raises(ValueError, match='factory of <lambda> cannot be pickled'):
    make(lambda seed: Probe(seed))
  monkeypatch.setattr(picky, '__module__', '__main__')
  monkeypatch.setattr(sys.modules['__main__'], 'picky', picky, raising=False)
  with pytest.raises(ValueError, match='factory of picky cannot be pickled'):
    make(picky)


@pytest.mark.parametrize('size', [4, 6])
def test_there_must_be_an_action_for_each_environment(make, size):
  environment = make()
  environment.reset()
  with pytest.raises(ValueError, match=f'length 5, but received {size}'):
    environment.step(np.zeros(size, np.int32))


def test_render(make):
  environment = make(count=3)
  environment.reset()
  for index in (0, 3, 4, -1):
    np.testing.assert_array_equal(
      environment.render(index), np.full((1, 1, 3), _seeds(7, 5)[index] % 251)
    )


def _hang(end):
  return f"""
    import threading, time
    threading.Thread(
      target=environment.step, args=([Probe.HANG, 0],), daemon=True
    ).start()
    time.sleep(0.2)  # The worker is within the step, or will be.
    {end}"""


@pytest.mark.parametrize(
  'end',
  [
    'os._exit(1)',
    'os.kill(os.getpid(), 9)',
    '',
    _hang('os._exit(1)'),
    _hang('os.kill(os.getpid(), 9)'),
  ],
)
def test_workers_end_with_their_parent(end):
  program = f"""
    import os, sys
    sys.path.insert(0, {ROOT!r})
    from ald_acme.environments.batches import workers
    from {HERE} import Probe
    environment = workers.Workers(Probe, 2, 0, 2)
    print(*environment.reset().observation['pid'], flush=True)
    {end}
  """
  done = subprocess.run(
    [sys.executable, '-c', textwrap.dedent(program)],
    capture_output=True,
    text=True,
    check=False,
  )
  pids = [int(pid) for pid in done.stdout.split()]
  assert len(pids) == 2, done.stderr

  def ended(pid):
    try:
      state = pathlib.Path(f'/proc/{pid}/stat').read_text().split()[2]
    except FileNotFoundError:
      return True
    return state == 'Z'  # Its new parent has not reaped it yet.

  _wait_until(lambda: all(ended(pid) for pid in pids))


def test_from_a_script_without_a_main_guard(tmp_path):
  """Workers do not run the script that started them."""
  script = tmp_path / 'script.py'
  script.write_text(
    textwrap.dedent(f"""
      import sys
      sys.path.insert(0, {ROOT!r})
      from ald_acme.environments.batches import workers
      from {HERE} import Probe
      environment = workers.Workers(Probe, 2, 0, 2)
      print('reset', environment.reset().observation['seed'])
      environment.close()
    """)
  )
  done = subprocess.run(
    [sys.executable, str(script)], capture_output=True, text=True, check=True
  )
  assert done.stdout == f'reset {_seeds(0, 2)}\n'


# --- By name.


def test_by_name():
  name, arguments = f'{HERE}:maze', {'size': 5}
  one = registry.make(name, {**arguments, 'workers': 2}, 3, seed=4)
  other = registry.make(name, arguments, 3, seed=4)
  assert isinstance(one, workers.Workers) and isinstance(
    other, stacking.Stacked
  )
  action = _actions(0, 1, 2)
  for mine, theirs in [(one.reset(), other.reset())] + [
    (one.step(action), other.step(action)) for _ in range(15)
  ]:
    tree.map_structure(np.testing.assert_array_equal, mine, theirs)
  one.close()


def test_trials_of_workers():
  arguments = {'size': 5, 'workers': 2, 'trial_episodes': 2}
  made = registry.make(f'{HERE}:maze', arguments, 3, seed=4)
  assert isinstance(made, trials.Trials)
  assert made.reset().observation['observation'].shape == (3, 3, 3, 6)
  made.close()


def test_one_environment_needs_no_worker():
  made = registry.make(f'{HERE}:Probe', {'workers': 2}, 1, seed=4)
  np.testing.assert_array_equal(made.reset().observation['pid'], [os.getpid()])
  registry.check(f'{HERE}:Probe', {'workers': 2})


def test_by_name_the_failure_is_named():
  with pytest.raises(ValueError, match=f"'{HERE}:picky' cannot be created"):
    registry.make(f'{HERE}:picky', {'workers': 2}, 4, seed=1)

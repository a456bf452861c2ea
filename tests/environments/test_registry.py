"""Environments by name; misuse is an error before anything starts."""

import functools
import re
import subprocess
import sys

import dm_env
from dm_env import specs
import numpy as np
import pytest
import tree

from ald_acme.environments import registry
from ald_acme.environments.batches import members
from ald_acme.environments.batches import stacking
from ald_acme.environments.batches import trials
from ald_acme.environments.tasks import i_maze

SEEDS = [members.seed_of(7, i) for i in range(3)]
ADAPTERS = 'ald_acme.environments.adapters'
HERE = __name__  # This module is 'package.module' of the factories below.


class Echo(dm_env.Environment):
  """Shows what it was made from."""

  def __init__(self, size, seed=None):
    self.made_from = [size, -1 if seed is None else seed]

  def reset(self):
    return dm_env.restart(np.float32(self.made_from))

  def step(self, action):
    return dm_env.transition(0.0, np.float32(self.made_from))

  def observation_spec(self):
    return specs.Array((2,), np.float32)

  def action_spec(self):
    return specs.DiscreteArray(2)


def batched():
  return i_maze.BatchedIMaze(2)


class Spaces:
  """An environment of Gym's kind, old or of another package."""

  action_space = observation_space = None


class Vector(Spaces):
  num_envs = 4


def gym_like():
  return Spaces()


def vector():
  return Vector()


def gymnasium_env():
  import gymnasium

  return gymnasium.make('CartPole-v1')


def unseeded(size=3):
  return Echo(size)


def seeded(seed, size=3):
  return Echo(size, seed)


def anything(**kwargs):
  return Echo(len(kwargs))


def needy():
  import no_such_suite

  return no_such_suite.make()


def picky(size=3):
  if size < 3:
    raise ValueError(f'size must be at least 3, but received {size}.')
  return Echo(size)


class Continuous(Echo):
  """Has an action without bounds."""

  def __init__(self):
    super().__init__(2)

  def action_spec(self):
    return specs.Array((2,), np.float32)


class Says(Echo):
  """Shows words."""

  def __init__(self):
    super().__init__(2)

  def observation_spec(self):
    return specs.StringArray(())


class Liar(Echo):
  """Does not show what its spec says."""

  def observation_spec(self):
    return specs.Array((3,), np.float32)


class Anything:
  """No environment."""


def words() -> str:
  pytest.fail('It must not be called.')


def nothing() -> None:
  words()


def leaves():
  sys.exit(3)


def unknown() -> 'NameOfATypeChecker':  # noqa: F821
  return 3


borrowed = subprocess.getoutput
bound = functools.partial(subprocess.getoutput, 'id')
NO_FACTORY = 3


@pytest.mark.parametrize(
  'text, arguments',
  [
    ('', {}),
    (' , ', {}),
    ('size=15,limit=250', {'size': 15, 'limit': 250}),
    (' size = 15 , ', {'size': 15}),
    ('a=0.5,b=True,c=None,d=-1', {'a': 0.5, 'b': True, 'c': None, 'd': -1}),
    ('level=easy,path=/a/b', {'level': 'easy', 'path': '/a/b'}),
    ("level='1'", {'level': '1'}),
    ('expression=a=b', {'expression': 'a=b'}),
    ('shape=(3,4),n=1', {'shape': (3, 4), 'n': 1}),
    (
      'sizes=[1,[2,3]],x={"a": (1,2)}',
      {'sizes': [1, [2, 3]], 'x': {'a': (1, 2)}},
    ),
    ("n=1,text=it's", {'n': 1, 'text': "it's"}),
    ("title='one, two',n=1", {'title': 'one, two', 'n': 1}),
  ],
)
def test_parse_arguments(text, arguments):
  parsed = registry.parse_arguments(text)
  assert parsed == arguments
  assert list(map(type, parsed.values())) == list(map(type, arguments.values()))


@pytest.mark.parametrize('text', ["a=it's,b=5", 'a=(3,b=2', 'x=1,a=],b=2'])
def test_brackets_must_match(text):
  with pytest.raises(ValueError, match='close its brackets and quotes'):
    registry.parse_arguments(text)


def test_repeated_arguments_are_rejected():
  with pytest.raises(ValueError, match=r"set size once.*'size=5,size=5'"):
    registry.parse_arguments('size=5,size=5')


@pytest.mark.parametrize('part', ['size', 'size=', '=15', '2x=1', 'a b=1'])
def test_arguments_need_names_and_values(part):
  with pytest.raises(ValueError) as error:
    registry.parse_arguments(f'limit=250,{part}')
  assert repr(part) in str(error.value)
  assert '"size=15,limit=250"' in str(error.value)


def test_names():
  assert registry.names() == ['bandit', 'i_maze', 'knights_tour', 'meta_fetch']


def test_make_by_name():
  made = registry.make('i_maze', {'size': 5, 'random_goals': True}, 3, seed=7)
  same = i_maze.BatchedIMaze(3, size=5, random_goals=True, seed=7)
  assert isinstance(made, i_maze.BatchedIMaze)
  step, expected = made.reset(), same.reset()
  for _ in range(30):
    for one, other in zip(step, expected):
      np.testing.assert_array_equal(one, other)
    action = np.array([1, 2, 3])
    step, expected = made.step(action), same.step(action)


@pytest.mark.parametrize(
  'factory, arguments, expected',
  [
    ('unseeded', {}, [[3, -1]] * 3),
    ('unseeded', {'size': 5}, [[5, -1]] * 3),
    ('seeded', {}, [[3, x] for x in SEEDS]),
    ('seeded', {'size': 5}, [[5, x] for x in SEEDS]),
    ('anything', {'a': 1, 'b': 2}, [[2, -1]] * 3),
    ('Echo', {'size': 5}, [[5, x] for x in SEEDS]),
  ],
)
def test_make_from_a_factory(factory, arguments, expected):
  made = registry.make(f'{HERE}:{factory}', arguments, 3, seed=7)
  assert isinstance(made, stacking.Stacked)
  assert made.batch_size == 3
  np.testing.assert_array_equal(made.reset().observation, np.float32(expected))


def test_batches_share_no_environments():
  """Not even those of batches whose seeds are near each other."""
  seeds = {members.seed_of(seed, i) for seed in range(100) for i in range(16)}
  assert len(seeds) == 1600
  assert all(0 <= seed < 2**31 for seed in seeds)


@pytest.mark.parametrize(
  'name, arguments, plain',
  [
    ('bandit', {'arms': 3}, {'arms': 3}),
    ('i_maze', {'size': 5}, {'size': 5}),
    ('meta_fetch', {}, {}),
    (f'{HERE}:seeded', {'size': 5}, {'size': 5}),
  ],
)
def test_trial_episodes_make_trials(name, arguments, plain):
  arguments['trial_episodes'] = 4
  made = registry.make(name, arguments, 3, seed=7)
  assert arguments['trial_episodes'] == 4  # As it was given.
  assert isinstance(made, trials.Trials)
  assert made.batch_size == 3
  same = trials.Trials(registry.make(name, plain, 3, seed=7), 4)
  action = np.array([0, 1, 1])
  for step, expected in ((made.reset(), same.reset()),) + tuple(
    (made.step(action), same.step(action)) for _ in range(20)
  ):
    tree.map_structure(np.testing.assert_array_equal, step, expected)


@pytest.mark.parametrize('episodes', [0, -2, 1.5, True, 'many', None])
@pytest.mark.parametrize('name', ['i_maze', f'{HERE}:seeded', 'bandit'])
def test_bad_trial_episodes_are_named(name, episodes):
  with pytest.raises(ValueError, match='trial_episodes must be') as error:
    registry.make(name, {'trial_episodes': episodes}, 2, seed=0)
  assert str(error.value).startswith('trial_episodes')
  assert repr(episodes) in str(error.value)


def test_describe_lists_every_environment_and_argument():
  lines = registry.describe().splitlines()
  assert [line for line in lines if not line.startswith(' ')] == [
    *registry.names(),
    'package.module:factory',
    'gymnasium:ID',
    'gymnasium_vec:ID',
    'classic_control:ID',
    'minigrid:ID',
    'dm_control:DOMAIN-TASK',
    'envpool:ID',
    'every environment of another package that is created one at a time',
    'every environment of another package',
    'every environment',
  ]
  assert all(len(line) <= 80 for line in lines)
  stripped = [line.strip() for line in lines]
  start = stripped.index('meta_fetch')
  assert stripped[start + 1].startswith('Meta-Fetch: ')
  assert stripped[start + 2 : start + 8] == [
    'size=7',
    'objects=5',
    'view=5',
    'limit=150',
    'repeat=True',
    'apart=True',
  ]
  for line in ('arms=5', 'limit=None', 'random_goals=False'):
    assert line in stripped
  assert not any(line.startswith(('seed', 'batch_size')) for line in stripped)
  assert stripped[-1].startswith('trial_episodes=N')
  assert any(line.startswith('workers=N') for line in stripped)


def test_registry_imports_nothing_heavy():
  code = (
    'import sys; from ald_acme.environments import registry; '
    'registry.check("meta_fetch", {"trial_episodes": 2}); '
    'print([m for m in "tensorflow reverb launchpad acme gymnasium".split() '
    'if m in sys.modules])'
  )
  done = subprocess.run(
    [sys.executable, '-c', code], capture_output=True, text=True, check=True
  )
  assert done.stdout.strip() == '[]'


@pytest.mark.parametrize(
  'name, arguments, message',
  [
    ('maze', {}, 'meta_fetch, or "package.module:factory".*\'maze\''),
    ('', {}, "one of bandit, i_maze, knights_tour, meta_fetch, or .*''"),
    ('i_maze', {'sise': 5}, "i_maze has no argument 'sise'; it has size, view"),
    ('i_maze', {'size': 4}, 'size must be an odd number.* received 4'),
    ('i_maze', {'seed': 1}, 'must not set seed: it follows from the run'),
    ('i_maze', {'batch_size': 1}, 'must not set batch_size'),
    ('i_maze', {'trials': 2}, "no argument 'trials'.*, trial_episodes"),
    ('meta_fetch', {'objects': 30}, 'objects must be at most 24'),
    ('bandit', {'arms': 0}, 'arms must be a number of at least 1'),
    (
      f'{HERE}:unseeded',
      {'sise': 5},
      "no argument 'sise'; it has size, workers, .*action_mask, trial_epi",
    ),
    (
      'gymnasium:CartPole-v1',
      {'steps': 5},
      "no argument 'steps'; it has .*, max_episode_steps, .*, trial_episodes",
    ),
    ('gymnasium:CartPole-v1', {'seed': 5}, 'must not set seed'),
    (f'{HERE}:seeded', {'remakes': -1}, 'remakes must be .* received -1'),
    (f'{HERE}:seeded', {'workers': -1}, 'workers must be .* received -1'),
    (f'{HERE}:seeded', {'workers': 2.5}, 'workers must be an integer.* 2.5'),
    ('i_maze', {'workers': 2}, "i_maze has no argument 'workers'"),
    (
      f'{HERE}:Continuous',
      {},
      f"action of .*'{HERE}:Continuous' must .* its spec is Array.* bounds",
    ),
    (f'{HERE}:Says', {}, f"observation of .*'{HERE}:Says' must hold numbers"),
    (f'{HERE}:seeded', {'seed': 5}, 'must not set seed'),
    (f'{HERE}:leaves', {}, r"leaves' cannot be created \(SystemExit"),
    (f'{HERE}:picky', {'size': 1}, r'cannot be created with size=1 \(Val'),
    (f'{HERE}:picky', {'size': 2}, 'size must be at least 3.* received 2'),
  ],
)
def test_misuse_is_refused(name, arguments, message):
  with pytest.raises(ValueError, match=message):
    registry.make(name, arguments, 2, seed=0)


@pytest.mark.parametrize(
  'name',
  [
    'no_such_module:make',
    f'{HERE}.inner:make',
    f'{HERE}:no_such_factory',
    f'{HERE}:',
    ':make',
    '.relative:make',
  ],
)
def test_import_errors_are_named(name):
  with pytest.raises(ValueError, match=re.escape(repr(name))):
    registry.make(name, {}, 1, seed=0)


@pytest.mark.parametrize(
  'name',
  [
    'no_such_suite.mazes:make',
    'gymnasium:no_such_suite:Maze-v0',  # Which imports it for the ID.
    f'{HERE}:needy',
  ],
)
def test_a_missing_package_is_named_with_its_cure(name):
  with pytest.raises(ValueError) as error:
    registry.check(name, {})
  message = str(error.value)
  assert message.startswith(f"environment {name!r} needs 'no_such_suite', ")
  assert 'pip install -c requirements.txt no-such-suite;' in message
  assert 'PYTHONPATH' in message


@pytest.mark.parametrize(
  'factory, what',
  [
    ('NO_FACTORY', 'NO_FACTORY'),  # Cannot be called.
    ('Echo', 'size'),  # Has an argument without a default.
  ],
)
def test_failing_factories_are_named(factory, what):
  with pytest.raises(ValueError, match=what):
    registry.make(f'{HERE}:{factory}', {}, 1, seed=0)


@pytest.mark.parametrize(
  'name, arguments',
  [
    ('i_maze', {'size': 5}),
    ('meta_fetch', {'objects': 2}),
    ('bandit', {}),
    ('bandit', {'trial_episodes': 3}),
    (f'{HERE}:seeded', {}),
    (f'{HERE}:seeded', {'trial_episodes': 3}),
    (f'{HERE}:Echo', {'size': 1}),
  ],
)
def test_check(name, arguments):
  registry.check(name, arguments)


@pytest.mark.parametrize(
  'name, message',
  [
    (f'{HERE}:Liar', 'does not match its specs'),
    (f'{HERE}:NO_FACTORY', "must name a function .* received a int, '3'"),
    (
      f'{HERE}:Anything',
      'must return a dm_env.Environment, .* return Anything',
    ),
    (f'{HERE}:words', 'must return a dm_env.Environment, .* return str'),
    (f'{HERE}:nothing', 'must return a dm_env.Environment, .* return NoneType'),
    (f'{HERE}:borrowed', "'subprocess' is in the standard library"),
    (f'{HERE}:bound', "'subprocess' is in the standard library"),
    (f'{HERE}:leaves', r'cannot be created .*SystemExit: 3'),
    (f'{HERE}:batched', 'BatchedIMaze is a BatchedEnvironment.*base.Single'),
    (f'{HERE}:vector', 'vector of 4.*envs_per_actor'),
    (f'{HERE}:gym_like', 'Spaces has the old Gym API.*shimmy'),
    (
      f'{HERE}:gymnasium_env',
      r'a gymnasium.Env; return ald_acme.*gymnasium_adapter\.wrap\(environment',
    ),
    (
      'gymnasium:MiniGrid-NoSuch-v0',
      'does not know the ID.*try minigrid:MiniGrid-NoSuch-v0',
    ),
    (
      'gymnasium:NoSuch-v0',
      'does not know the ID.*try gymnasium:package:NoSuch-v0',
    ),
    (f'{HERE}:unknown', r'cannot be created .* is not a dm_env.Environment'),
    ('builtins:quit', "'builtins' is in the standard library"),
    ('sys:exit', "'sys' is in the standard library"),
    ('os.path:exists', "'os' is in the standard library"),
    ('subprocess:getoutput', "'subprocess' is in the standard library"),
    ('__main__:main', "'__main__' is in the standard library"),
    ('maze', 'one of bandit, i_maze.* is i_maze meant'),
    ('CartPole-v1', 'is gymnasium:CartPole-v1 meant'),
    ('MiniGrid-X-v0', 'is minigrid:MiniGrid-X-v0 meant'),
    ('BabyAI-Synth-v0', 'is minigrid:BabyAI-Synth-v0 meant'),
    ('minigird:MiniGrid-X-v0', 'is minigrid:MiniGrid-X-v0 meant.*PYTHONPATH'),
    (f'{ADAPTERS}.minigrid_adapter:make', 'use "minigrid:ID" instead'),
    (f'{ADAPTERS}.control_suite:make', 'use "dm_control:DOMAIN-TASK" inst'),
    (f'{HERE}:leavs', f"has no 'leavs'; is {HERE}:leaves meant"),
    (f'{HERE}:no_such_factory', 'has no .*; name another'),
  ],
)
def test_check_refuses(name, message):
  arguments = {'size': 2} if name.endswith('Liar') else {}
  with pytest.raises(ValueError, match=message) as error:
    registry.check(name, arguments)
  assert repr(name) in str(error.value)


@pytest.mark.parametrize(
  'name, imports',
  [
    ('i_maze', False),
    ('gymnasium:CartPole-v1', False),
    ('gymnasium:popgym:popgym-Autoencode-v0', True),
    ('classic_control:Pendulum-v1', False),
    ('minigrid:popgym:MiniGrid-MemoryS7-v0', False),  # It is refused.
    ('dm_control:cartpole-swingup', False),
    ('ald_acme.environments.tasks.i_maze:BatchedIMaze', False),
    # These import what their arguments name.
    ('ald_acme.environments.registry:make', True),
    (f'{ADAPTERS}.gymnasium_adapter:make', True),
    (f'{ADAPTERS}.gymnasium_vectors:make', True),
    ('my_maze:make', True),
    ('ald_acme_of_others:make', True),
    ('subprocess:getoutput', True),
  ],
)
def test_which_names_import_code(name, imports):
  assert registry.imports_code(name) == imports


@pytest.mark.parametrize(
  'name, arguments, solved',
  [
    ('i_maze', {'size': 15}, 0.95),
    ('i_maze', {'correct_reward': 3.0}, None),
    ('i_maze', {'trial_episodes': 2}, None),
    ('meta_fetch', {}, None),
    ('gymnasium:CartPole-v1', {}, 475.0),
    ('gymnasium:Blackjack-v1', {}, None),
    ('classic_control:MountainCar-v0', {'velocities': 'hidden'}, -110.0),
    ('classic_control:Pendulum-v1', {}, None),
    ('ald_acme.environments.tasks.i_maze:BatchedIMaze', {}, 0.95),
  ],
)
def test_a_task_says_what_solves_it(name, arguments, solved):
  assert registry.solved_return(name, arguments) == solved

"""Environments by name; misuse is refused before anything starts."""

import re

import dm_env
from dm_env import specs
import numpy as np
import pytest

from ald_acme.environments import base
from ald_acme.environments import i_maze
from ald_acme.environments import registry

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


def unseeded(size=3):
  return Echo(size)


def seeded(seed, size=3):
  return Echo(size, seed)


def anything(**kwargs):
  return Echo(len(kwargs))


def picky(size=3):
  if size < 3:
    raise ValueError(f'size must be at least 3, but received {size}.')
  return Echo(size)


class Liar(Echo):
  """Does not show what its spec says."""

  def observation_spec(self):
    return specs.Array((3,), np.float32)


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
  ],
)
def test_parse_arguments(text, arguments):
  parsed = registry.parse_arguments(text)
  assert parsed == arguments
  assert list(map(type, parsed.values())) == list(map(type, arguments.values()))


@pytest.mark.parametrize('part', ['size', 'size=', '=15', '2x=1', 'a b=1'])
def test_arguments_need_names_and_values(part):
  with pytest.raises(ValueError) as error:
    registry.parse_arguments(f'limit=250,{part}')
  assert repr(part) in str(error.value)
  assert '"size=15,limit=250"' in str(error.value)


def test_names():
  assert registry.names() == ['i_maze']


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
    ('seeded', {}, [[3, 7], [3, 8], [3, 9]]),
    ('seeded', {'size': 5}, [[5, 7], [5, 8], [5, 9]]),
    ('anything', {'a': 1, 'b': 2}, [[2, -1]] * 3),
    ('Echo', {'size': 5}, [[5, 7], [5, 8], [5, 9]]),
  ],
)
def test_make_from_a_factory(factory, arguments, expected):
  made = registry.make(f'{HERE}:{factory}', arguments, 3, seed=7)
  assert isinstance(made, base.Stacked)
  assert made.batch_size == 3
  np.testing.assert_array_equal(made.reset().observation, expected)


@pytest.mark.parametrize(
  'name, arguments, message',
  [
    ('maze', {}, 'one of i_maze, or "package.module:factory".*\'maze\''),
    ('', {}, "one of i_maze, or .*''"),
    ('i_maze', {'sise': 5}, "i_maze has no argument 'sise'; it has size, view"),
    ('i_maze', {'size': 4}, 'size must be an odd number.* received 4'),
    ('i_maze', {'seed': 1}, 'must not set seed: use its own flag'),
    ('i_maze', {'batch_size': 1}, 'must not set batch_size'),
    (f'{HERE}:unseeded', {'sise': 5}, "no argument 'sise'; it has size"),
    (f'{HERE}:seeded', {'seed': 5}, 'must not set seed'),
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
def test_what_cannot_be_imported_is_named(name):
  with pytest.raises(ValueError, match=re.escape(repr(name))):
    registry.make(name, {}, 1, seed=0)


@pytest.mark.parametrize(
  'factory, what',
  [
    ('NO_FACTORY', 'NO_FACTORY'),  # Cannot be called.
    ('Echo', 'size'),  # Has an argument without a default.
  ],
)
def test_what_cannot_be_made_is_named(factory, what):
  with pytest.raises(ValueError, match=what):
    registry.make(f'{HERE}:{factory}', {}, 1, seed=0)


@pytest.mark.parametrize(
  'name, arguments',
  [
    ('i_maze', {'size': 5}),
    (f'{HERE}:seeded', {}),
    (f'{HERE}:Echo', {'size': 1}),
  ],
)
def test_check(name, arguments):
  registry.check(name, arguments)


@pytest.mark.parametrize(
  'name, message',
  [
    (f'{HERE}:Liar', 'does not do what its specs say'),
    (f'{HERE}:NO_FACTORY', 'cannot be made'),
    ('builtins:object', 'cannot be made'),
    ('maze', 'one of i_maze'),
  ],
)
def test_check_refuses(name, message):
  arguments = {'size': 2} if name.endswith('Liar') else {}
  with pytest.raises(ValueError, match=message) as error:
    registry.check(name, arguments)
  assert repr(name) in str(error.value)

"""Checks name the field, the value and the bound."""

import dataclasses
import math

import numpy as np
import pytest

from ald_acme import validation


@dataclasses.dataclass
class Config:
  count: int = 1
  rate: float = 0.5
  flag: bool = True
  name: str = 'a'
  other: tuple = (1, 2)


@pytest.mark.parametrize(
  'field, value',
  [
    ('count', 1.0),
    ('count', True),
    ('count', np.int64(1)),
    ('count', '1'),
    ('count', None),
    ('rate', '0.5'),
    ('rate', False),
    ('rate', None),
    ('flag', 1),
    ('flag', 'yes'),
    ('name', 3),
    ('name', b'a'),
  ],
)
def test_types(field, value):
  wanted = Config.__annotations__[field].__name__
  with pytest.raises(ValueError) as error:
    validation.check_types(Config(**{field: value}))
  assert str(error.value) == (
    f'{field} must be of type {wanted}, but received {value!r}.'
  )


def test_right_types_pass():
  config = Config(rate=2, other='anything')
  validation.check_types(config)
  assert isinstance(config.rate, float)
  assert config == Config(rate=2.0, other='anything')


def test_annotations_may_be_text():
  made = dataclasses.make_dataclass('Made', [('count', 'int', 1.5)])
  with pytest.raises(ValueError, match='count must be of type int'):
    validation.check_types(made())


@pytest.mark.parametrize('value', [math.nan, math.inf, -math.inf])
def test_numbers_are_finite(value):
  with pytest.raises(ValueError, match=rf'rate must be a finite .* {value}\.'):
    validation.check_types(Config(rate=value))


def _make(default, **ranges):
  """A class whose one field has a range."""
  field = validation.setting(default, 'Help.', **ranges)
  kind = type(default)
  return dataclasses.make_dataclass('Made', [('x', kind, field)])


@pytest.mark.parametrize(
  'ranges, good, bad, message',
  [
    ({'at_least': 2}, [2.0, 2.5], [1.0, -3.5], 'at least 2'),
    ({'above': 0.0}, [1e-9, 3.0], [0.0, -1.0], 'above 0.0'),
    ({'between': (0.0, 1.0)}, [0.0, 0.5, 1.0], [-0.1, 1.1], '0.0 to 1.0'),
    ({'one_of': ('a', 'b')}, ['a', 'b'], ['c', '', 'A'], 'one of a, b'),
  ],
)
def test_ranges(ranges, good, bad, message):
  made = _make(good[0], **ranges)
  for value in good:
    validation.check(made(value))
  for value in bad:
    with pytest.raises(ValueError, match=f'^x must be .*{message}') as e:
      validation.check(made(value))
    assert f'received {value!r}.' in str(e.value)
    with pytest.raises(ValueError, match=r'^networks\.x must'):
      validation.check(made(value), 'networks')


def test_types_are_checked_before_ranges():
  with pytest.raises(ValueError, match=r'^networks\.x must be of type int'):
    validation.check(_make(1, at_least=0)('much'), 'networks')


@pytest.mark.parametrize('value', [3, 5, 2**70 + 1, np.int32(3), np.uint8(7)])
def test_good_integer_arguments(value):
  validation.integer('size', value, 3, odd=True)


@pytest.mark.parametrize(
  'value, message',
  [
    (2, 'size must be a number of at least 3, but received 2'),
    (-5, 'at least 3, but received -5'),
    (3.0, 'size must be an integer, but received 3.0'),
    (True, 'size must be an integer, but received True'),
    ('3', "size must be an integer, but received '3'"),
    (None, 'size must be an integer, but received None'),
  ],
)
def test_bad_integer_arguments(value, message):
  with pytest.raises(ValueError, match=message):
    validation.integer('size', value, 3)


@pytest.mark.parametrize('value', [1, 4])
def test_bad_odd_arguments(value):
  with pytest.raises(ValueError, match=f'size .* odd .* 3, .* {value}'):
    validation.integer('size', value, 3, odd=True)


def test_number_arguments():
  for value in (1, -0.5, np.float32(3), np.int64(2)):
    validation.number('reward', value)
  for value in (True, '1', None, [1.0]):
    with pytest.raises(ValueError, match='reward must be a number') as error:
      validation.number('reward', value)
    assert repr(value) in str(error.value)


def test_flag_arguments():
  for value in (True, False):
    validation.flag('repeat', value)
  for value in (1, 'yes', None, np.True_):
    with pytest.raises(ValueError, match='repeat must be True or') as error:
      validation.flag('repeat', value)
    assert repr(value) in str(error.value)

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


@pytest.mark.parametrize(
  'check, arguments, good, bad, message',
  [
    (validation.at_least, (2,), [2, 2.5, math.inf], [1, -math.inf], 'least 2'),
    (validation.above, (0.0,), [1e-9, 3], [0.0, 0, -1], 'above 0.0'),
    (validation.between, (0.0, 1.0), [0, 0.5, 1], [-0.1, 1.1], '0.0 to 1.0'),
    (validation.one_of, (('a', 'b'),), ['a', 'b'], ['c', '', 'A'], 'of a, b'),
  ],
)
def test_ranges(check, arguments, good, bad, message):
  field = 'name' if check is validation.one_of else 'rate'
  for value in good:
    check(Config(**{field: value}), field, *arguments)
  for value in bad:
    with pytest.raises(ValueError, match=f'^{field} must be .*{message}') as e:
      check(Config(**{field: value}), field, *arguments)
    assert f'received {value!r}.' in str(e.value)


@pytest.mark.parametrize(
  'check',
  [
    lambda c: validation.check_types(c, 'networks'),
    lambda c: validation.at_least(c, 'count', 1, 'networks'),
    lambda c: validation.above(c, 'count', 0, 'networks'),
    lambda c: validation.between(c, 'count', 1, 2, 'networks'),
    lambda c: validation.one_of(c, 'count', ('a',), 'networks'),
  ],
)
def test_nested_fields_are_named_in_full(check):
  with pytest.raises(ValueError, match=r'^networks\.count must'):
    check(Config(count=-1.5))

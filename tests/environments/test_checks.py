"""Checks of arguments name the argument and the value."""

import numpy as np
import pytest

from ald_acme.environments import checks


@pytest.mark.parametrize('value', [3, 5, 2**70 + 1, np.int32(3), np.uint8(7)])
def test_good_integers(value):
  checks.integer('size', value, 3, odd=True)


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
def test_bad_integers(value, message):
  with pytest.raises(ValueError, match=message):
    checks.integer('size', value, 3)


@pytest.mark.parametrize('value', [1, 4])
def test_bad_odd_integers(value):
  with pytest.raises(ValueError, match=f'size .* odd .* 3, .* {value}'):
    checks.integer('size', value, 3, odd=True)


def test_numbers():
  for value in (1, -0.5, np.float32(3), np.int64(2)):
    checks.number('reward', value)
  for value in (True, '1', None, [1.0]):
    with pytest.raises(ValueError, match='reward must be a number') as error:
      checks.number('reward', value)
    assert repr(value) in str(error.value)


def test_flags():
  for value in (True, False):
    checks.flag('repeat', value)
  for value in (1, 'yes', None, np.True_):
    with pytest.raises(ValueError, match='repeat must be True or') as error:
      checks.flag('repeat', value)
    assert repr(value) in str(error.value)

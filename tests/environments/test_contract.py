"""Environments that break their word are named, with the field and the step."""

import dm_env
from dm_env import specs
import numpy as np
import pytest

from ald_acme.environments import base


class Toy(dm_env.Environment):
  """Shows what it is told to, in steps of 0 to 4."""

  def __init__(self, show, reward=1.0, discount=1.0, at=0):
    self._show, self._reward, self._discount = show, reward, discount
    self._at = at

  def reset(self):
    self._step = 0
    return dm_env.restart(self._observation())

  def step(self, action):
    self._step += 1
    now = self._step >= self._at
    return dm_env.TimeStep(
      dm_env.StepType.MID,
      self._reward if now else 0.0,
      self._discount if now else 1.0,
      self._observation(),
    )

  def _observation(self):
    return self._show if self._step >= self._at else _sound()

  def observation_spec(self):
    return {
      'a': specs.Array((2,), np.float32),
      'b': (specs.BoundedArray((), np.int32, 0, 9),),
    }

  def action_spec(self):
    return specs.DiscreteArray(2)


def _sound(a=(1, 2), b=3):
  return {'a': np.array(a, np.float32), 'b': (np.int32(b),)}


def _play(broken, index=2, steps=4):
  environments = [Toy(_sound()) for _ in range(4)]
  environments[index] = broken
  stacked = base.Stacked(environments)
  stacked.reset()
  for _ in range(steps):
    stacked.step(np.zeros(4, np.int32))


def test_what_is_sound_passes():
  _play(Toy(_sound(a=(-1e30, 0), b=-5)))  # Bounds are not held to.


@pytest.mark.parametrize('at', [0, 1, 3])
@pytest.mark.parametrize(
  'show, message',
  [
    (_sound(a=(1, np.nan)), r"observation\['a'\] must be finite.* 1 of .* nan"),
    (_sound(a=(-np.inf, np.inf)), r"\['a'\] must be finite.* 2 of .* -inf"),
    (
      {'a': np.float64([1, 2]), 'b': (np.int32(3),)},
      r"\['a'\] must be float32 of shape \(2,\).* received float64 of shape",
    ),
    (_sound(a=(1, 2, 3)), r"\['a'\] must be .* received float32 of shape \(3,"),
    (_sound(a=1), r"\['a'\] must be float32 of shape \(2,\).* of shape \(\)"),
    (
      {'a': np.float32([1, 2]), 'b': (np.int64(3),)},
      r"observation\['b'\]\[0\] must be int32 of shape \(\).* received int64",
    ),
    ({'a': np.float32([1, 2])}, 'observation must be nested as its spec is'),
    (
      {'a': np.float32([1, 2]), 'b': np.int32(3)},
      'observation must be nested as its spec is',
    ),
    (np.float32([1, 2]), 'observation must be nested as its spec is'),
  ],
)
def test_broken_observations_are_named(show, message, at):
  with pytest.raises(ValueError, match=message) as error:
    _play(Toy(show, at=at))
  assert str(error.value).startswith(f'Toy, number 2, step {at}: ')
  assert '\n' not in str(error.value)


@pytest.mark.parametrize('at', [1, 3])
@pytest.mark.parametrize(
  'broken, message',
  [
    ({'reward': float('nan')}, 'reward must be finite.* nan'),
    ({'reward': np.float32('-inf')}, 'reward must be finite.* -inf'),
    ({'reward': 1e300}, 'reward must be finite'),  # Not in 32 bits.
    ({'reward': None}, 'reward must be finite'),
    ({'reward': np.ones(2)}, r'reward must be a single number.* \(2,\)'),
    ({'discount': float('nan')}, 'discount must be finite'),
    ({'discount': np.ones(3)}, 'discount must be a single number'),
  ],
)
def test_broken_rewards_and_discounts_are_named(broken, message, at):
  with pytest.raises(ValueError, match=message) as error:
    _play(Toy(_sound(), at=at, **broken))
  assert str(error.value).startswith(f'Toy, number 2, step {at}: ')


def test_all_alike_are_seen_through():
  """Breaches that stack well: in every environment the same."""
  for show in (_sound(a=(1, 2, 3)), {'a': np.zeros(2), 'b': (np.int32(0),)}):
    with pytest.raises(ValueError, match=r'^Toy, number 0, step 0: observ'):
      base.Stacked([Toy(show), Toy(show)]).reset()


def test_names_and_numbers_may_be_given():
  broken = Toy(_sound(a=(np.nan, 0)))
  stacked = base.Stacked([Toy(_sound()), broken], "environment 'x:y'", first=6)
  with pytest.raises(
    ValueError, match=r"^environment 'x:y', number 7, step 0:"
  ):
    stacked.reset()


@pytest.mark.parametrize(
  'spec, field',
  [
    ({'mission': specs.StringArray(())}, r"observation\['mission'\] of Says"),
    ((specs.Array((2,), object),), r'observation\[0\] of Says'),
    (specs.Array((), np.complex64), 'observation of Says'),
    (specs.Array((), 'datetime64[s]'), 'observation of Says'),
    ({'a': specs.Array((), bool), 'b': None}, r"observation\['b'\] of Says"),
  ],
)
def test_observations_that_are_no_numbers_are_named(spec, field):
  class Says(Toy):
    def observation_spec(self):
      return spec

  message = f'^{field} must hold numbers or booleans.*leave it out, or encode'
  with pytest.raises(ValueError, match=message):
    base.Stacked([Says(None)])

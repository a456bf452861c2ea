"""Violations of the specs are named with environment, field and step."""

import dm_env
from dm_env import specs
import numpy as np
import pytest

from ald_acme.environments.batches import stacking
from ald_acme.environments.interface import base


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


def _play(broken, index=2):
  environments = [Toy(_sound()) for _ in range(4)]
  environments[index] = broken
  _run(*environments)


def _run(*environments):
  stacked = stacking.Stacked(environments)
  stacked.reset()
  for _ in range(4):
    stacked.step(np.zeros(len(environments), np.int32))


def test_valid_steps_pass():
  _play(Toy(_sound(a=(-1e30, 0), b=9), reward=-1e15, discount=0.5))


@pytest.mark.parametrize(
  'dtype, bounds, good, bad',
  [
    (np.float32, (0.1, [1, 2]), (0.1 - 1e-7, 2), (0, 2)),  # Rounding is fine.
    (np.float32, (0.1, [1, 2]), (1 + 1e-7, 2), (1.1, 0)),
    (np.float64, (-np.inf, 1e3), (-1e30, 1e3), (-1e30, 1e3 + 1)),
    (np.int8, (-1, 1), (-1, 1), (2, 0)),
    (np.uint8, (0, 255), (255, 0), None),
    (np.uint64, (0, 2**64 - 1), (2**63 - 1, 0), (2**63, 0)),
    (bool, (False, True), (True, False), None),
  ],
)
def test_bounds_are_checked_at_every_step(dtype, bounds, good, bad):
  class Bounded(Toy):
    def observation_spec(self):
      return specs.BoundedArray((2,), dtype, *bounds)

    def _observation(self):
      return np.array(self._show if self._step == 3 else good, dtype)

  _run(Bounded(good), Bounded(good))
  if bad is not None:
    with pytest.raises(
      ValueError, match=r'^Bounded, number 1, step 3: observation must be'
    ):
      _run(Bounded(good), Bounded(bad))


@pytest.mark.parametrize(
  'dtype, expected',
  [
    *((x, x) for x in ('bool', 'int8', 'int16', 'int32', 'int64', 'uint8')),
    *(('uint16', 'int32'), ('uint32', 'int64'), ('uint64', 'int64')),
    *((x, 'float32') for x in ('float16', 'float32', 'float64', '>f4', '>f8')),
    ('>i4', 'int32'),
  ],
)
def test_observations_are_cast_to_supported_dtypes(dtype, expected):
  class Typed(Toy):
    def observation_spec(self):
      return specs.BoundedArray((2,), dtype, 0, 1, name='two')

    def _observation(self):
      return np.array([1, 0], dtype)

  stacked = stacking.Stacked([Typed(None), Typed(None)])
  spec = stacked.observation_spec()
  assert spec.dtype == expected and spec.dtype.isnative
  assert (spec.shape, spec.minimum, spec.maximum) == ((2,), 0, 1)
  for step in (stacked.reset(), stacked.step([0, 0])):
    assert step.observation.dtype == expected
    assert step.reward.dtype == step.discount.dtype == np.float32
    np.testing.assert_array_equal(step.observation, [[1, 0]] * 2)
  # And so where a single environment is stepped.
  assert base.as_batch(Typed(None).reset()).observation.dtype == expected


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
    (
      {'a': np.float32([1, 2])},
      'observation must have the structure of its spec',
    ),
    (
      {'a': np.float32([1, 2]), 'b': np.int32(3)},
      'observation must have the structure of its spec',
    ),
    (np.float32([1, 2]), 'observation must have the structure of its spec'),
    (_sound(b=10), r"\['b'\]\[0\] must be 0 to 9.* 10: widen the bounds"),
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
    ({'reward': 1e300}, 'reward must be -1e.15 to 1e.15, .* 1e.300'),
    ({'reward': None}, 'reward must be finite'),
    ({'reward': np.ones(2)}, r'reward must be a single number.* \(2,\)'),
    ({'discount': float('nan')}, 'discount must be finite'),
    ({'reward': -1e25}, 'reward must be -1e.15 to 1e.15, .* -1e.25.*scale it'),
    ({'discount': 1.5}, 'discount must be 0 to 1, .* 1.5'),
    ({'discount': -1}, 'discount must be 0 to 1, .* -1'),
    ({'discount': np.ones(3)}, 'discount must be a single number'),
  ],
)
def test_broken_rewards_and_discounts_are_named(broken, message, at):
  with pytest.raises(ValueError, match=message) as error:
    _play(Toy(_sound(), at=at, **broken))
  assert str(error.value).startswith(f'Toy, number 2, step {at}: ')


def test_the_same_breach_in_all_environments_is_found():
  """Breaches that stack well: in every environment the same."""
  for show in (_sound(a=(1, 2, 3)), {'a': np.zeros(2), 'b': (np.int32(0),)}):
    with pytest.raises(ValueError, match=r'^Toy, number 0, step 0: observ'):
      stacking.Stacked([Toy(show), Toy(show)]).reset()


def test_names_and_numbers_may_be_given():
  broken = Toy(_sound(a=(np.nan, 0)))
  stacked = stacking.Stacked(
    [Toy(_sound()), broken], "environment 'x:y'", first=6
  )
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
    stacking.Stacked([Says(None)])


@pytest.mark.parametrize(
  'spec, message',
  [
    ({'a': specs.Array((0,), np.float32)}, r"\['a'\] of Says .* one number"),
    (specs.Array((8, 8, 0), np.uint8), r'shape is \(8, 8, 0\); leave it out'),
    ({}, r'observation of Says must not be empty'),
  ],
)
def test_empty_observations_are_refused_before_the_first_step(spec, message):
  class Says(Toy):
    def observation_spec(self):
      return spec

  with pytest.raises(ValueError, match=message):
    stacking.Stacked([Says(None)])


def test_float64_beyond_32_bits_is_named():
  class Doubles(Toy):
    def observation_spec(self):
      return specs.Array((2,), np.float64)

    def _observation(self):
      return np.array([1.0, 1e300 if self._step == 3 else 2.0])

  with pytest.raises(ValueError, match=r'step 3: .* finite in float32.*1e.300'):
    _run(Doubles(None))

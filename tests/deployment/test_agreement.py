"""The comparison finds every kind of difference."""

import numpy as np
import pytest

from ald_acme.deployment import act
from ald_acme.deployment import agreement


class Spoiled:
  """A policy of which something is changed."""

  def __init__(self, policy, before=None, after=None):
    self._policy, self._before, self._after = policy, before, after

  def step(self, inputs):
    inputs = {**inputs, **(self._before(inputs) if self._before else {})}
    outputs = self._policy.step(inputs)
    return {**outputs, **(self._after(outputs) if self._after else {})}


@pytest.fixture
def difference(export):
  exported = export('numpy')

  def compare(**changes):
    policy = Spoiled(act.load(exported.folder), **changes)
    return agreement.largest_difference(
      policy, exported.step, exported.episodes
    )

  return compare


def test_none(difference):
  assert difference() < 2e-6


def test_another_logit(difference):
  def change(outputs):
    return {'policy': outputs['policy'] + np.float32([[0, 0.5, 0]])}

  np.testing.assert_allclose(difference(after=change), 0.5, atol=1e-5)


def test_another_value(difference):
  def change(outputs):
    return {'value': outputs['value'] - 0.25}

  np.testing.assert_allclose(difference(after=change), 0.25, atol=1e-5)


def test_nan(difference):
  assert np.isnan(difference(after=lambda outputs: {'value': [np.nan]}))


@pytest.mark.parametrize(
  'change',
  [
    lambda inputs: {'start_of_episode': np.array([False])},
    lambda inputs: {'start_of_episode': np.array([True])},
    lambda inputs: {'previous_action': np.array([0], np.int32)},
    lambda inputs: {'previous_reward': np.zeros(1, np.float32)},
    lambda inputs: {'cell': np.zeros((1, 6), np.float32)},
    lambda inputs: {'hidden': np.zeros((1, 6), np.float32)},
  ],
)
def test_ignored_inputs_are_detected(difference, change):
  assert difference(before=change) > 1e-3

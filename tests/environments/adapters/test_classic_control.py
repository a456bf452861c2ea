"""Velocities as a separate entry, or hidden; the rest is unchanged."""

import sys

import gymnasium
import numpy as np
import pytest

from ald_acme.environments import registry
from ald_acme.environments.adapters import classic_control

NAME = 'classic_control:Pendulum-v1'


@pytest.mark.parametrize('task', classic_control._VELOCITIES)
def test_velocities_match_the_state(task):
  own = gymnasium.make(task)
  expected, _ = own.reset(seed=3)
  steps = []
  for velocities in ('apart', 'hidden'):
    made = classic_control.make(task, 3, velocities)
    steps.append(made.reset())
  apart, hidden = (step.observation for step in steps)
  which = classic_control._VELOCITIES[task]
  np.testing.assert_array_equal(apart['velocity'], expected[which])
  np.testing.assert_array_equal(apart['position'], np.delete(expected, which))
  assert list(hidden) == ['position']
  np.testing.assert_array_equal(hidden['position'], apart['position'])


@pytest.mark.parametrize('task', ['Pendulum-v1', 'CartPole-v1'])
def test_velocity_is_the_change_of_position(task):
  """By finite differences: of the angle, and of the cart."""
  made = classic_control.make(task, 0)
  before = made.reset().observation
  after = made.step(made.action_spec().generate_value()).observation
  if task == 'Pendulum-v1':
    angles = [np.arctan2(*x['position'][::-1]) for x in (before, after)]
    change, velocity = (angles[1] - angles[0]) / 0.05, after['velocity'][0]
  else:  # CartPole moves with the velocity that it had.
    change = (after['position'] - before['position'])[0] / 0.02
    velocity = before['velocity'][0]
  assert change == pytest.approx(velocity, rel=0.05, abs=1e-3)


@pytest.mark.parametrize(
  'name, arguments, message',
  [
    ('classic_control:Walker-v1', {}, "no task 'Walker-v1'; it has Acrobot"),
    # The names do not import code, so nothing before the ID is imported.
    ('classic_control:this:Pendulum-v1', {}, "no task 'this:Pendulum-v1'; it"),
    (NAME, {'velocities': 'no'}, "apart or hidden.* 'no'"),
    (NAME, {'task': 'CartPole-v1'}, "no argument 'task'; it has .*, velociti"),
  ],
)
def test_misuse(name, arguments, message):
  with pytest.raises(ValueError, match=message):
    registry.make(name, arguments, 1, seed=0)
  assert registry.solved_return(name, arguments) is None
  assert 'this' not in sys.modules


def test_on_the_command_line():
  specs = registry.check(NAME, {'velocities': 'hidden'})
  seen = {key: x.shape for key, x in specs.observations.items()}
  assert seen == {'position': (2,)}

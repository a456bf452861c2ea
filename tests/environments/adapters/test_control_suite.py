"""The DeepMind Control Suite's tasks act and learn as any other environment."""

import acme
import numpy as np
import pytest

from ald_acme import distributions
from ald_acme.environments import registry
from ald_acme.environments.interface import actions

pytest.importorskip('dm_control')


def test_a_task_by_its_name():
  name, arguments = 'dm_control:cartpole-swingup', {'time_limit': 0.05}
  assert not registry.imports_code(name)
  registry.check(name, arguments)
  environment = registry.make(name, arguments, 2, seed=3)
  spec = acme.make_environment_spec(environment)
  assert {key: x.shape for key, x in spec.observations.items()} == {
    'position': (3,),
    'velocity': (2,),
  }
  assert distributions.from_spec(spec.actions).num_parameters == 2
  rng = np.random.default_rng(0)
  first = environment.reset()
  for _ in range(5):
    action = actions.uniform(spec.actions, 2, rng)
    timestep = environment.step(action)
  # The time limit cuts off: the future still counts.
  assert timestep.step_type.tolist() == [2, 2]
  assert timestep.discount.tolist() == [1.0, 1.0]
  assert timestep.observation['position'].dtype == np.float32
  assert not np.array_equal(*first.observation['position'])
  again = registry.make(name, arguments, 2, seed=3).reset()
  np.testing.assert_array_equal(
    first.observation['position'], again.observation['position']
  )


@pytest.mark.parametrize(
  'name, arguments, message',
  [
    ('dm_control:cartpole-swing', {}, "no task 'cartpole-swing'; it has acro"),
    ('dm_control:cartpole-swingup', {'speed': 1}, "no argument 'speed'"),
  ],
)
def test_misuse_is_refused(name, arguments, message):
  with pytest.raises(ValueError, match=message):
    registry.make(name, arguments, 1, seed=0)

"""Actions that do not match their spec are errors that name the field."""

from dm_env import specs
import numpy as np
import pytest

from ald_acme.environments.interface import actions

ARM = specs.BoundedArray((2,), np.float32, [-1, 0], [1, 5])
HAND = specs.DiscreteArray(3)
BOTH = {'arm': ARM, 'hand': HAND}


@pytest.mark.parametrize(
  'action',
  [
    {'arm': np.float32([0, 5]), 'hand': 2},
    {'arm': np.float64([-1, 0]), 'hand': np.int64(0)},
  ],
)
def test_valid_actions_pass(action):
  actions.validate(BOTH, action)


@pytest.mark.parametrize(
  'action, message',
  [
    ({'arm': [np.nan, 0]}, r"action\['arm'\] must be float32 .* \[nan, 0.0\]"),
    ({'arm': [0, np.inf]}, r"action\['arm'\] .* received \[0.0, inf\]"),
    ({'arm': [0, 5.1]}, r"action\['arm'\] must be float32 .* from \[-1.*5.1\]"),
    ({'arm': [0.0]}, r"action\['arm'\] must be .* of shape \(2,\)"),
    ({'arm': ['a', 'b']}, r"action\['arm'\] must be float32"),
    ({'hand': 3}, r"action\['hand'\] must be int32 of shape \(\) from 0 to 2"),
    ({'hand': 1.0}, r"action\['hand'\] .* but received 1.0"),
    ({'hand': [1]}, r"action\['hand'\] .* but received \[1\]"),
  ],
)
def test_invalid_actions_are_named(action, message):
  sound = {'arm': np.float32([0, 1]), 'hand': 1}
  # A list would be a nest.
  action = {name: np.array(value) for name, value in action.items()}
  with pytest.raises(ValueError, match=message):
    actions.validate(BOTH, {**sound, **action})


@pytest.mark.parametrize('action', [{'arm': np.zeros(2)}, [1, 2], 1])
def test_another_nest_is_refused(action):
  with pytest.raises(ValueError, match='action must be nested as its spec'):
    actions.validate(BOTH, action)


@pytest.mark.parametrize(
  'low, high, message',
  [
    (-np.inf, 1, r'action of Arm must have finite bounds, but has \[-inf'),
    (0, np.nan, 'action of Arm must have finite bounds'),
    ([0, 0], [1, 0], 'bounds with minimum < maximum.*leave out'),
  ],
)
def test_infinite_bounds_are_rejected(low, high, message):
  spec = specs.BoundedArray((2,), np.float32, 0, 1)
  spec._minimum, spec._maximum = (np.array(x, np.float32) for x in (low, high))
  with pytest.raises(ValueError, match=message):
    actions.parts(spec, 'Arm')

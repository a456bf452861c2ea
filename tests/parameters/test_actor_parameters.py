"""The owner of the actor parameters as a variable source."""

import contextlib

import numpy as np
import pytest

from ald_acme.parameters import shared as shared_parameters

INITIAL = [np.float32([[1, 2], [3, 4]]), np.float32(5), np.float32([6])]


@pytest.fixture
def attach():
  """A distiller's view of a store, closed at the end."""
  with contextlib.ExitStack() as stack:
    yield lambda parameters: stack.enter_context(
      contextlib.closing(
        shared_parameters.SharedParameters.attach(parameters.handle())
      )
    )


def _assert_equal(variables, expected):
  assert [np.shape(x) for x in variables] == [np.shape(x) for x in expected]
  for one, other in zip(variables, expected):
    np.testing.assert_array_equal(one, other)


def test_variables_by_name_and_order():
  parameters = shared_parameters.ActorParameters(INITIAL, num_workers=2)
  updates, actor = parameters.get_variables(['updates', 'actor'])
  _assert_equal(actor, INITIAL)
  assert updates == [0]
  assert np.asarray(updates[0]).dtype == np.int64
  actor, updates = parameters.get_variables(['actor', 'updates'])
  _assert_equal(actor, INITIAL)
  assert parameters.get_variables([]) == []
  (again,) = parameters.get_variables(['actor'])
  _assert_equal(again, INITIAL)


@pytest.mark.parametrize('names', [['learner'], ['actor', 'critic']])
def test_unknown_names(names):
  with pytest.raises(KeyError, match=names[-1]):
    shared_parameters.ActorParameters(INITIAL, 1).get_variables(names)


def test_the_vector_is_served_if_it_has_changed(attach):
  parameters = shared_parameters.ActorParameters(INITIAL, num_workers=2)
  first, updates, vector = parameters.get_vector('actor', None)
  np.testing.assert_array_equal(vector, np.arange(1, 7))
  assert updates == 0
  assert parameters.get_vector('actor', first) == (first, 0, None)
  attach(parameters).add(np.ones(6, np.float32), 1)
  second, updates, vector = parameters.get_vector('actor', first)
  np.testing.assert_array_equal(vector, np.arange(2, 8))
  assert second != first and updates == 1
  # Restored parameters differ, even if as many updates made them.
  parameters.restore({'variables': vector + 1, 'updates': np.int64(1)})
  third, updates, vector = parameters.get_vector('actor', second)
  np.testing.assert_array_equal(vector, np.arange(3, 9))
  assert third != second and updates == 1
  with pytest.raises(KeyError, match='learner'):
    parameters.get_vector('learner', third)


def test_updates_of_distillers_are_served(attach):
  parameters = shared_parameters.ActorParameters(INITIAL, num_workers=2)
  (before,) = parameters.get_variables(['actor'])
  for worker in range(2):
    attach(parameters).add(np.ones(6, np.float32), worker)
  actor, updates = parameters.get_variables(['actor', 'updates'])
  _assert_equal(actor, [x + 2 for x in INITIAL])
  assert updates == [2]
  _assert_equal(before, INITIAL)  # A copy, not a view.


def test_a_handle_is_plain_values():
  handle = shared_parameters.ActorParameters(INITIAL, 3).handle()
  assert [type(value) for value in handle] == [int] * 4 + [str]
  assert handle[2:4] == [6, 3]


def test_save_and_continue(attach):
  parameters = shared_parameters.ActorParameters(INITIAL, num_workers=2)
  attach(parameters).add(np.full(6, 0.5, np.float32), worker=1)
  state = parameters.save()
  again = shared_parameters.ActorParameters(
    [np.zeros_like(x) for x in INITIAL], num_workers=3
  )
  again.restore(state)
  actor, updates = again.get_variables(['actor', 'updates'])
  _assert_equal(actor, [x + 0.5 for x in INITIAL])
  assert updates == [1]
  attach(again).add(np.ones(6, np.float32), worker=2)
  assert again.save()['updates'] == 2
  assert state['updates'] == 1  # The saved state is unchanged.
  np.testing.assert_array_equal(state['variables'], np.arange(1, 7) + 0.5)


def test_a_state_of_other_sizes_is_refused():
  state = shared_parameters.ActorParameters(INITIAL[:2], 1).save()
  with pytest.raises(ValueError, match=r'\(6,\).*other sizes'):
    shared_parameters.ActorParameters(INITIAL, 1).restore(state)

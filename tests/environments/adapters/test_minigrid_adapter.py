"""MiniGrid's memory task and its observations."""

import sys

import numpy as np
import pytest

from ald_acme.environments import registry
from ald_acme.environments.batches import members

pytest.importorskip('minigrid')

NAME = 'minigrid:MiniGrid-MemoryS7-v0'
VIEW = {'agent_view_size': 3}


def _make(seed=0, batch_size=1, **arguments):
  return registry.make(NAME, {**VIEW, **arguments}, batch_size, seed)


def test_specs():
  environment = _make()
  spec = environment.observation_spec()
  # Four directions; 3x3 cells of 11 kinds, 6 colours and 3 states.
  assert {k: v.shape for k, v in spec.items()} == {
    'direction': (4,),
    'image': (9 * (11 + 6 + 3),),
  }
  assert environment.action_spec().num_values == 7
  assert _make(actions=3).action_spec().num_values == 3


def test_observations_are_one_hot():
  from minigrid.core import constants

  environment = _make(batch_size=3)
  observation = environment.reset().observation
  cells = observation['image'].reshape(3, 9, 20)
  assert set(np.unique(cells)) == {0, 1}
  for part in np.split(cells, [11, 17], axis=-1):
    np.testing.assert_array_equal(part.sum(-1), 1)
  # The agent faces right: walls to its left and right, its own cell empty.
  np.testing.assert_array_equal(observation['direction'], [[1, 0, 0, 0]] * 3)
  kinds = cells[..., :11].argmax(-1).reshape(3, 3, 3)
  assert (kinds[:, 1, 2] == constants.OBJECT_TO_IDX['empty']).all()


def test_episodes_match_minigrid():
  """The same actions are paid the same as without the adapter."""
  import gymnasium

  original = gymnasium.make(
    'minigrid:MiniGrid-MemoryS7-v0', agent_view_size=3, max_steps=20
  )
  original.reset(seed=members.seed_of(5, 0))
  environment = _make(seed=5, max_steps=20, actions=3)
  environment.reset()
  actions = np.random.default_rng(2).integers(3, size=400)
  paid, over, ends = 0.0, False, set()
  for action in actions:
    timestep = environment.step([action])
    if over:
      original.reset()
      over = False
      assert timestep.first()
      continue
    _, reward, terminated, truncated, _ = original.step(action)
    over = terminated or truncated
    assert timestep.last() == over
    np.testing.assert_allclose(timestep.reward, reward, rtol=1e-6)
    assert timestep.discount == (0.0 if terminated else 1.0)
    paid += reward
    ends |= {(terminated, reward > 0)} if over else set()
  assert paid > 0
  assert ends == {(True, True), (True, False), (False, False)}


@pytest.mark.parametrize('actions', [0, 8, 2.5, 'all'])
def test_a_wrong_number_of_actions_is_refused(actions):
  with pytest.raises(ValueError, match='actions must be 1 to 7') as error:
    _make(actions=actions)
  assert repr(actions) in str(error.value)


@pytest.mark.parametrize(
  'name, message',
  [
    (
      'minigrid:MiniGrid-Emty-8x8-v0',
      "no task 'MiniGrid-Emty-8x8-v0'; is MiniGrid-Empty-8x8-v0 meant",
    ),
    ('minigrid:MiniGrid-Empty-8x8-v9', 'is MiniGrid-Empty-8x8-v0 meant'),
    ('minigrid:Pendulum-v1', "no task 'Pendulum-v1'; it has .*MiniGrid-Mem"),
    ('minigrid:this:MiniGrid-Empty-8x8-v0', "no task 'this:MiniGrid-Empty"),
  ],
)
def test_unknown_tasks_are_refused(name, message):
  with pytest.raises(ValueError, match=message):
    registry.check(name, {})
  assert registry.solved_return(name, {}) is None
  assert 'this' not in sys.modules


@pytest.mark.parametrize(
  'task, own',
  [
    ('MiniGrid-MemoryS7-v0', 'random_length'),
    ('BabyAI-GoToRedBall-v0', 'room_size'),
  ],
)
def test_arguments_of_base_classes_are_known(task, own):
  wrong = f'has no argument .siz.; it has .*{own}, .*agent_view_size, .*actions'
  with pytest.raises(ValueError, match=wrong):
    registry.check(f'minigrid:{task}', {'siz': 7})
  registry.make(f'minigrid:{task}', {'agent_view_size': 5}, 1, seed=0)


def test_a_declared_threshold_solves_a_task(monkeypatch):
  import gymnasium

  assert registry.solved_return(NAME, VIEW) is None
  spec = gymnasium.spec(NAME.partition(':')[2])
  monkeypatch.setattr(spec, 'reward_threshold', 0.9)
  assert registry.solved_return(NAME, VIEW) == 0.9

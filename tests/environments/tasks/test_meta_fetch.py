"""Meta-Fetch against a slow room written from the text of the task."""

import collections
import itertools
import math

from absl.testing import absltest
import dm_env
from dm_env import test_utils
import numpy as np
import pytest

from ald_acme.environments.tasks import meta_fetch

FIRST, MID, LAST = (int(step_type) for step_type in dm_env.StepType)
MOVES = {0: (-1, 0), 1: (1, 0), 2: (0, -1), 3: (0, 1)}
UP, DOWN, LEFT, RIGHT = MOVES


class SlowRoom:
  """One episode in plain loops, for one guess of the hidden order."""

  def __init__(self, size, view, limit, repeat, layout, order):
    self.size, self.view, self.limit, self.repeat = size, view, limit, repeat
    self.colours, self.here = layout  # {cell: colour} and the agent's cell.
    self.order, self.left = order, list(order)
    self.steps, self.happened = 0, collections.Counter()

  def step(self, action):
    """Moves; returns the type of the step and its reward."""
    down, across = MOVES[action]
    row, column = self.here[0] + down, self.here[1] + across
    self.steps += 1
    reward, ended = 0, self.steps == self.limit
    if 0 < row < self.size - 1 and 0 < column < self.size - 1:
      self.here = row, column
      if self.here == self.left[0]:
        self.happened['right'] += 1
        reward = 1
        self.left = self.left[1:]
        if not self.left:
          self.happened['complete'] += 1
          self.left = list(self.order)
          ended = ended or not self.repeat
      elif self.here in self.left:
        self.happened['wrong'] += 1
        self.happened['wrong later'] += len(self.left) < len(self.order)
        self.left = list(self.order)
    elif self.here in self.left:
      self.happened['bump on object'] += 1
    return LAST if ended else MID, reward

  def window(self):
    """The agent's observation."""
    seen = np.zeros([self.view, self.view, 5], np.float32)
    for i, j in itertools.product(range(self.view), repeat=2):
      row = self.here[0] + i - self.view // 2
      column = self.here[1] + j - self.view // 2
      if not (0 < row < self.size - 1 and 0 < column < self.size - 1):
        seen[i, j, 0] = 1
      elif (row, column) in self.left:
        seen[i, j, 2:] = self.colours[row, column]
      else:
        seen[i, j, 1] = 1
    return seen


def _layout(window, size):
  """The layout of an episode, read from a window that shows the whole room.

  Returns the objects' colours by cell, and the agent's cell.
  """
  inside = np.argwhere(window[..., 0] == 0)
  corner = inside.min(0) - 1
  assert (inside.max(0) + 1 - corner == size - 1).all()
  room = window[corner[0] :, corner[1] :][:size, :size]
  cells = map(tuple, np.argwhere(room[..., :2].sum(-1) == 0))
  here = tuple(np.array(window.shape[:2]) // 2 - corner)
  return {cell: room[cell][2:] for cell in cells}, here


def _rows(timestep):
  return [
    timestep._replace(**{k: v[i] for k, v in timestep._asdict().items()})
    for i in range(len(timestep.reward))
  ]


def _assert_same(timestep, other):
  for mine, theirs in zip(timestep, other, strict=True):
    np.testing.assert_array_equal(mine, theirs)


class MetaFetchTest(test_utils.EnvironmentTestMixin, absltest.TestCase):
  """The contract of `dm_env`."""

  def make_object_under_test(self):
    return meta_fetch.MetaFetch(limit=30)

  def make_action_sequence(self):
    yield from np.random.RandomState(0).randint(4, size=200)


@pytest.mark.parametrize(
  'size, objects, view, limit, repeat',
  [
    (5, 3, 3, 60, True),
    (5, 3, 5, 60, False),
    (6, 2, 3, 80, True),
    (4, 3, 1, 40, True),
    (4, 1, 3, 30, False),
    (7, 4, 5, 150, True),
  ],
)
def test_steps_match_the_slow_room(size, objects, view, limit, repeat):
  batch_size = 4
  kwargs = {'size': size, 'objects': objects, 'limit': limit, 'seed': 3}
  kwargs['repeat'] = repeat
  rooms = meta_fetch.BatchedMetaFetch(batch_size, view=view, **kwargs)
  # A copy that sees everything reveals what was drawn, but not the order.
  twins = meta_fetch.BatchedMetaFetch(batch_size, view=2 * size - 1, **kwargs)
  guesses, ended = [None] * batch_size, [True] * batch_size
  happened, orders = collections.Counter(), set()
  actions = np.random.RandomState(1).randint(4, size=[1500, batch_size])
  for action in actions:
    timestep, twin = rooms.step(action), twins.step(action)
    for i, step in enumerate(_rows(timestep)):
      if ended[i]:
        layout = _layout(twin.observation[i], size)
        assert len(layout[0]) == objects
        guesses[i] = [
          SlowRoom(size, view, limit, repeat, layout, order)
          for order in itertools.permutations(sorted(layout[0]))
        ]
        outcomes = [(FIRST, 0)] * len(guesses[i])
      else:
        outcomes = [guess.step(action[i]) for guess in guesses[i]]
      # Every guess that has been right so far must meet the same step.
      guesses[i] = [
        guess
        for guess, outcome in zip(guesses[i], outcomes)
        if outcome == (step.step_type, step.reward)
        and (guess.window() == step.observation).all()
      ]
      assert guesses[i]
      ended[i] = step.step_type == LAST
      assert step.discount == (0 if ended[i] else 1)
      if ended[i] and len(guesses[i]) == 1:
        (guess,) = guesses[i]
        happened += guess.happened
        orders.add(tuple(map(sorted(guess.order).index, guess.order)))
        happened['at limit'] += guess.steps == limit
  kinds = {'right', 'complete', 'at limit'}
  if objects > 1:
    kinds |= {'wrong', 'bump on object'}
  if objects > 2:
    kinds |= {'wrong later'}
  assert all(happened[kind] for kind in kinds)
  # The positions of objects do not reveal their order.
  assert len(orders) == math.factorial(objects) or objects > 3


def _walk(here, there):
  """Actions from cell to cell, first up or down, then across."""
  (row, column), (to_row, to_column) = here, there
  vertical = [DOWN if to_row > row else UP] * abs(to_row - row)
  across = [RIGHT if to_column > column else LEFT] * abs(to_column - column)
  return vertical + across


def _beside(**kwargs):
  """A room of 4 x 4 with two objects, and what it shows at first.

  The agent is in a corner and the objects are in the corners beside it, so that
  neither is in the way to the other.
  """
  for seed in itertools.count():
    room = meta_fetch.MetaFetch(size=4, objects=2, view=7, seed=seed, **kwargs)
    timestep = room.reset()
    objects, here = _layout(timestep.observation, 4)
    if all(np.abs(np.subtract(cell, here)).sum() == 1 for cell in objects):
      return room, here, sorted(objects)


def _steps(room, here, cells):
  """Steps onto cells that lie beside the agent's cell, and back each time."""
  rewards, seen = [], []
  for cell in cells:
    for action in _walk(here, cell) + _walk(cell, here):
      timestep = room.step(action)
      rewards.append(timestep.reward)
    seen.append(sorted(_layout(timestep.observation, 4)[0]))
  return rewards, seen


def test_a_sequence_by_hand():
  room, here, cells = _beside()
  # The first try tells the order.
  (reward, _), _ = _steps(room, here, cells[:1])
  first, second = cells if reward else cells[::-1]
  room, here, _ = _beside()
  rewards, seen = _steps(
    room, here, [second, first, first, second, second, first, second]
  )
  # On a wrong one nothing happens; one that is gone may be passed.
  assert rewards == [0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 1, 0]
  both = sorted([first, second])
  assert seen == [both, [second], [second], both, both, [second], both]


@pytest.mark.parametrize('repeat', [True, False])
def test_completion_ends_the_episode_unless_it_repeats(repeat):
  orders = []
  for turn in (1, -1):
    room, here, cells = _beside(repeat=repeat)
    first, second = cells[::turn]
    path = _walk(here, first) + _walk(first, here) + _walk(here, second)
    steps = [room.step(action) for action in path]
    if [step.reward for step in steps] == [1, 0, 1]:
      orders.append(turn)
      assert steps[-1].last() != repeat
      assert steps[-1].discount == float(repeat)
      assert not any(step.last() for step in steps[:-1])
      assert room.step(UP).first() != repeat
  assert len(orders) == 1


def test_a_wrong_object_restores_all_objects():
  # Three objects in a room of four cells: the agent goes round and round.
  rooms = meta_fetch.BatchedMetaFetch(32, size=4, objects=3, view=7, seed=1)
  timestep = rooms.reset()
  seen = set()

  def count(timestep):
    return [len(_layout(window, 4)[0]) for window in timestep.observation]

  for action in np.random.RandomState(0).randint(4, size=[140, 32]):
    before = count(timestep)
    timestep = rooms.step(action)
    seen |= set(zip(before, count(timestep), timestep.reward))
  assert seen == {
    (3, 3, 0),
    (2, 2, 0),
    (1, 1, 0),
    (3, 2, 1),
    (2, 1, 1),
    (1, 3, 1),  # Complete.
    (2, 3, 0),  # Wrong. With one left there is no wrong one.
  }


@pytest.mark.parametrize('truncate', [False, True])
@pytest.mark.parametrize('limit', [1, 7, 150])
def test_limit_ends_the_episode(limit, truncate):
  room = meta_fetch.MetaFetch(limit=limit, truncate=truncate)
  for _ in range(2):
    room.reset()
    for _ in range(limit - 1):
      timestep = room.step(UP)
      assert timestep.mid()
      assert timestep.discount == 1
    timestep = room.step(UP)
    assert timestep.last()
    assert timestep.discount == truncate


def test_reset_forgets_the_steps_before():
  room = meta_fetch.MetaFetch(limit=3)
  for _ in range(3):
    assert room.reset().first()
    assert room.step(UP).mid()
    assert room.step(UP).mid()


def test_single_and_batched_give_the_same_steps():
  kwargs = {'seed': 5, 'limit': 20}
  room = meta_fetch.MetaFetch(**kwargs)
  rooms = meta_fetch.BatchedMetaFetch(**kwargs)
  plain, batched = room.reset(), rooms.reset()
  for action in np.random.RandomState(0).randint(4, size=200):
    (row,) = _rows(batched)
    if plain.first():
      assert (row.reward, row.discount) == (0, 1)
      row = dm_env.restart(row.observation)
    _assert_same(plain, row)
    plain, batched = room.step(action), rooms.step(action[np.newaxis])


def test_episodes_do_not_depend_on_batch_size():
  # With one object to find, episodes end at different times.
  kwargs = {'seed': 2, 'size': 5, 'objects': 1, 'repeat': False, 'view': 9}
  few, many = (meta_fetch.BatchedMetaFetch(n, **kwargs) for n in (3, 8))
  _assert_same(few.reset().observation, many.reset().observation[:3])
  for action in np.random.RandomState(0).randint(4, size=[300, 8]):
    _assert_same(few.step(action[:3]), [leaf[:3] for leaf in many.step(action)])


def test_rooms_do_not_depend_on_each_other():
  kwargs = {'seed': 2, 'size': 5, 'objects': 1, 'repeat': False, 'view': 9}
  one, other = (meta_fetch.BatchedMetaFetch(4, **kwargs) for _ in range(2))
  actions = np.random.RandomState(0).randint(4, size=[2, 300, 4])
  actions[1, :, 2] = actions[0, :, 2]
  for mine, theirs in zip(*actions):
    _assert_same(
      [leaf[2] for leaf in one.step(mine)],
      [leaf[2] for leaf in other.step(theirs)],
    )


def test_seeds_and_rooms_have_their_own_episodes():
  windows = set()
  for seed in range(4):
    rooms = meta_fetch.BatchedMetaFetch(4, view=13, seed=seed)
    for _ in range(5):
      windows |= {window.tobytes() for window in rooms.reset().observation}
  assert len(windows) == 4 * 4 * 5


def _layouts(rooms, size, objects, resets):
  """Draws of resets; no object hides another, or lies under the agent."""
  layouts = [
    _layout(window, size)
    for _ in range(resets)
    for window in rooms.reset().observation
  ]
  assert all(len(found) == objects for found, _ in layouts)
  assert not any(here in found for found, here in layouts)
  return layouts


def test_draws_are_uniform():
  size, objects, count = 6, 3, 4000
  rooms = meta_fetch.BatchedMetaFetch(
    count // 4, size=size, objects=objects, view=2 * size - 1, apart=False
  )
  layouts = _layouts(rooms, size, objects, resets=4)
  inside = set(itertools.product(range(1, size - 1), repeat=2))
  for cells in (
    [here for _, here in layouts],
    [cell for found, _ in layouts for cell in found],
  ):
    counts = collections.Counter(cells)
    assert set(counts) == inside
    shares = np.array(list(counts.values())) / len(cells)
    np.testing.assert_allclose(shares, 1 / len(inside), atol=0.015)
  colours = np.array([c for found, _ in layouts for c in found.values()])
  assert colours.min() >= 0.2
  assert colours.max() <= np.float32(1.2)
  for channel in colours.T:
    shares, _ = np.histogram(channel, bins=10, range=(0.2, 1.2))
    np.testing.assert_allclose(shares / len(colours), 0.1, atol=0.015)
  assert np.abs(np.corrcoef(colours.T) - np.eye(3)).max() < 0.05
  assert len(np.unique(colours, axis=0)) == len(colours)


def _neighbours(cells):
  """How many pairs of cells lie beside each other."""
  return sum(
    np.abs(np.subtract(one, other)).sum() == 1
    for one, other in itertools.combinations(cells, 2)
  )


@pytest.mark.parametrize('size, objects', [(7, 5), (5, 2), (9, 6)])
def test_objects_lie_apart(size, objects):
  beside = []
  for apart in (True, False):
    rooms = meta_fetch.BatchedMetaFetch(
      300, size=size, objects=objects, view=2 * size - 1, apart=apart
    )
    layouts = _layouts(rooms, size, objects, resets=3)
    beside.append(sum(_neighbours(found) for found, _ in layouts))
  assert beside[0] == 0 and beside[1] > 100


def test_objects_may_touch_in_small_rooms():
  rooms = meta_fetch.BatchedMetaFetch(200, size=4, objects=3, view=7)
  layouts = _layouts(rooms, size=4, objects=3, resets=1)
  assert len({frozenset(found) for found, _ in layouts}) == 4


def test_step_after_last_ignores_the_action():
  rooms = [meta_fetch.BatchedMetaFetch(4, limit=1) for _ in range(4)]
  begun = []
  for action, room in enumerate(rooms):
    room.reset()
    assert (room.step(np.full(4, UP)).step_type == LAST).all()
    begun.append(room.step(np.full(4, action)))
  for timestep in begun:
    _assert_same(timestep, begun[0])
  assert (begun[0].step_type == FIRST).all()
  np.testing.assert_array_equal(begun[0].reward, 0)
  np.testing.assert_array_equal(begun[0].discount, 1)


@pytest.mark.parametrize('view', [1, 3, 5])
def test_steps_keep_to_the_specs(view):
  rooms = meta_fetch.BatchedMetaFetch(3, view=view, limit=9)
  assert rooms.batch_size == 3
  assert rooms.action_spec().num_values == 4
  timestep = rooms.reset()
  for action in np.random.RandomState(0).randint(4, size=[30, 3]):
    assert timestep.step_type.dtype == np.int64
    assert timestep.observation.shape == (3, view, view, 5)
    for row in _rows(timestep):
      rooms.observation_spec().validate(row.observation)
      rooms.reward_spec().validate(row.reward)
      rooms.discount_spec().validate(row.discount)
    timestep = rooms.step(action)


def test_returned_steps_may_be_changed():
  mine, other = (meta_fetch.BatchedMetaFetch(2, limit=3) for _ in range(2))
  for _ in range(9):
    timestep = mine.step(np.full(2, RIGHT))
    _assert_same(timestep, other.step(np.full(2, RIGHT)))
    for leaf in timestep:
      leaf[:] = 7


@pytest.mark.parametrize('view', [1, 5])
def test_render_draws_the_room(view):
  size = 6
  rooms = meta_fetch.BatchedMetaFetch(2, size=size, view=view, seed=1)
  twins = meta_fetch.BatchedMetaFetch(2, size=size, view=11, seed=1)
  rooms.reset()
  for window, index in zip(twins.reset().observation, range(2)):
    found, here = _layout(window, size)
    picture = rooms.render(index)
    assert picture.dtype == np.uint8
    assert picture.shape == (12 * size, 12 * size, 3)
    cells = picture[::12, ::12]
    np.testing.assert_array_equal(
      picture, cells.repeat(12, axis=0).repeat(12, axis=1)
    )
    for cell, colour in found.items():
      np.testing.assert_allclose(cells[cell], 255 * (colour - 0.2), atol=1)
    # Walls, empty cells, objects and the agent.
    _, counts = np.unique(cells.reshape(-1, 3), axis=0, return_counts=True)
    assert sorted(counts) == [1, 1, 1, 1, 1, 1, 10, 20]
    assert (cells == cells[here]).all(-1).sum() == 1


@pytest.mark.parametrize(
  'field, value',
  [
    ('batch_size', 0),
    ('size', 3),
    ('size', 7.0),
    ('size', '7'),
    ('objects', 0),
    ('objects', 25),
    ('objects', 2.0),
    ('objects', None),
    ('view', 2),
    ('view', 0),
    ('limit', 0),
    ('limit', None),
    ('repeat', 1),
    ('repeat', 'no'),
    ('apart', 1),
    ('truncate', 1),
    ('seed', -1),
  ],
)
def test_bad_arguments_are_named(field, value):
  with pytest.raises(ValueError) as error:
    meta_fetch.BatchedMetaFetch(**{field: value})
  assert field in str(error.value)
  assert repr(value) in str(error.value)


def test_a_room_may_be_full():
  rooms = meta_fetch.BatchedMetaFetch(5, size=4, objects=3, view=7)
  for window in rooms.reset().observation:
    assert len(_layout(window, 4)[0]) == 3
  with pytest.raises(ValueError, match='at most 3 in a room of size 4'):
    meta_fetch.BatchedMetaFetch(size=4, objects=4)


def _room(rooms):
  """The rooms' tasks, a row for each room."""
  return np.concatenate(
    [rooms._objects, rooms._colours.reshape(rooms.batch_size, -1)], -1
  )


def test_kept_tasks_stay_until_new_tasks():
  rooms = meta_fetch.BatchedMetaFetch(50, objects=4, limit=7)
  rooms.keep_tasks()
  rooms.reset()
  task, starts = _room(rooms), []
  for _ in range(6):
    rooms.reset()
    np.testing.assert_array_equal(_room(rooms), task)
    assert not (rooms._objects == rooms._cell[:, np.newaxis]).any()
    starts.append(rooms._cell.copy())
  assert (np.ptp(starts, 0) > 0).mean() > 0.9  # The agent begins elsewhere.
  renewed = np.arange(50) < 20
  rooms.new_tasks(renewed)
  np.testing.assert_array_equal(_room(rooms), task)  # Not before an episode.
  rooms.reset()
  assert (_room(rooms)[renewed] != task[renewed]).any(-1).all()
  np.testing.assert_array_equal(_room(rooms)[~renewed], task[~renewed])


def test_first_episodes_do_not_depend_on_keeping():
  kept, plain = (meta_fetch.BatchedMetaFetch(9, seed=4) for _ in range(2))
  kept.keep_tasks()
  for leaf, other in zip(kept.reset(), plain.reset()):
    np.testing.assert_array_equal(leaf, other)
  plain.reset()
  kept.reset()
  assert (_room(kept) != _room(plain)).any()

"""The contract of environments, as tests to inherit.

As `dm_env.test_utils.EnvironmentTestMixin`, for what goes wrong in training
without an error: arrays that change after they were returned, environments that
do not begin anew, dtypes and bounds that are not those of the specs, episodes
that never end.

  class MyMazeTest(testing.ConformanceTestMixin):
    def make_object_under_test(self):
      return MyMaze(seed=0)
"""

import abc
from collections.abc import Iterator
from typing import Any

import dm_env
import numpy as np
import tree

from ald_acme.environments import base
from ald_acme.environments import contract
from ald_acme.environments import dtypes
from ald_acme.environments import masks

_FIRST, _LAST = int(dm_env.StepType.FIRST), int(dm_env.StepType.LAST)


class ConformanceTestMixin(abc.ABC):
  """Tests that any environment passes, a `dm_env.Environment` or a batch.

  Attributes:
    steps: that most tests take.
    longest_episode: steps within which each environment ends an episode when
      its actions are random and, where there is a mask, legal; None where
      episodes are meant to have no end.
  """

  steps = 300
  longest_episode: int | None = 10_000

  @abc.abstractmethod
  def make_object_under_test(self) -> Any:
    """A `dm_env.Environment` or a `BatchedEnvironment`, not yet reset."""

  def _run(
    self, steps: int, environment: Any = None
  ) -> Iterator[dm_env.TimeStep]:
    """Yields the time steps of random legal actions, as they were returned."""
    environment = environment or self.make_object_under_test()
    batched = isinstance(environment, base.BatchedEnvironment)
    rng = np.random.default_rng(0)
    action_spec = environment.action_spec()
    observation_spec = environment.observation_spec()
    timestep = environment.reset()
    yield timestep
    for _ in range(steps):
      seen = timestep.observation
      if not batched:
        seen = tree.map_structure(lambda x: np.asarray(x)[np.newaxis], seen)
      action = masks.uniform(action_spec, observation_spec, seen, rng)
      if not batched:
        action = tree.map_structure(lambda x: x[0], action)
      timestep = environment.step(action)
      yield timestep

  def _run_as_batch(
    self, steps: int, environment: Any = None
  ) -> Iterator[dm_env.TimeStep]:
    """As `_run`, but of a single environment as a batch of one, not cast."""
    for timestep in self._run(steps, environment):
      single = np.ndim(timestep.step_type) == 0
      yield base.raw_batch([timestep]) if single else timestep

  def test_time_steps_are_what_the_specs_say(self) -> None:
    """Nested as the specs are, of their shapes, dtypes and bounds, finite."""
    environment = self.make_object_under_test()
    kept = contract.Contract(
      type(environment).__name__,
      environment.observation_spec(),
      environment.action_spec(),
    )
    for number, timestep in enumerate(
      self._run_as_batch(self.steps, environment)
    ):
      try:
        kept.take(timestep)
      except contract.Breach as breach:
        raise AssertionError(f'step {number}: {breach}') from breach

  def test_batches_have_the_dtypes_that_are_taken(self) -> None:
    """Other dtypes of single environments are cast; a batch casts its own."""
    environment = self.make_object_under_test()
    if not isinstance(environment, base.BatchedEnvironment):
      return
    for spec in tree.flatten(environment.observation_spec()):
      taken = dtypes.taken(spec.dtype)
      assert spec.dtype == taken, (
        f'{spec!r} must be of a dtype that is taken; cast it to {taken}.'
      )
    timestep = environment.reset()
    for field in ('reward', 'discount'):
      dtype = getattr(timestep, field).dtype
      assert dtype == np.float32, f'{field} must be float32, but is {dtype}.'

  def test_an_episode_begins_without_reward(self) -> None:
    for timestep in self._run_as_batch(self.steps):
      first = timestep.step_type == _FIRST
      assert (timestep.reward[first] == 0).all(), (
        'FIRST must have a reward of 0.'
      )
      assert (timestep.discount[first] == 1).all(), (
        'FIRST must have a discount of 1.'
      )

  def test_an_episode_begins_after_the_last_step_and_there_alone(self) -> None:
    before = np.bool_(True)
    for number, timestep in enumerate(self._run_as_batch(self.steps)):
      first = timestep.step_type == _FIRST
      assert (first == before).all(), (
        f'step {number}: the step after LAST, and no other, must be FIRST, but '
        f'step types are {timestep.step_type} and LAST was at {before}; begin '
        'a new episode where the last one is over, and end it with LAST.'
      )
      before = timestep.step_type == _LAST

  def test_reset_begins_an_episode_at_any_time(self) -> None:
    environment = self.make_object_under_test()
    for steps in (1, 3, 2):
      begun = next(self._run_as_batch(steps, environment))
      assert (begun.step_type == _FIRST).all(), 'reset must return FIRST.'
      for _ in self._run_as_batch(steps, environment):
        pass

  def test_what_was_returned_does_not_change(self) -> None:
    """An array that is filled again at each step is recorded wrongly."""
    returned: list[tuple[list[Any], list[Any]]] = []
    for number, timestep in enumerate(self._run(self.steps)):
      for before, copies in returned:
        for x, copy in zip(before, copies):
          assert np.array_equal(x, copy), (
            f'step {number}: an observation that was returned earlier has '
            'changed; return a copy of what the environment changes.'
          )
      leaves = [np.asarray(x) for x in tree.flatten(timestep.observation)]
      returned = [*returned[-2:], (leaves, [x.copy() for x in leaves])]

  def test_episodes_end(self) -> None:
    """With random actions, in every environment; or `longest_episode` is None.

    An episode without an end is never evaluated, and no run ends within it.
    """
    if self.longest_episode is None:
      return
    ended = np.bool_(False)
    for timestep in self._run_as_batch(self.longest_episode):
      ended = ended | (timestep.step_type == _LAST)
      if ended.all():
        return
    raise AssertionError(
      f'no episode must be longer than {self.longest_episode} steps, but '
      f'{np.sum(~ended)} of {ended.size} environments ended none; give them a '
      'time limit (a LAST step with a discount of 1), or set longest_episode.'
    )

"""Conformance tests of environments, to inherit.

They extend `dm_env.test_utils.EnvironmentTestMixin` by faults that spoil
training without an error: returned arrays that change later, environments that
do not reset, dtypes and bounds that differ from the specs, episodes that never
end.

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

from ald_acme.environments.interface import base
from ald_acme.environments.interface import contract
from ald_acme.environments.interface import dtypes
from ald_acme.environments.interface import masks

_FIRST, _LAST = int(dm_env.StepType.FIRST), int(dm_env.StepType.LAST)


class ConformanceTestMixin(abc.ABC):
  """Tests that every environment passes, a `dm_env.Environment` or a batch.

  Attributes:
    steps: number of steps of most tests.
    longest_episode: steps within which each environment ends an episode under
      random legal actions; None if episodes never end.
  """

  steps = 300
  longest_episode: int | None = 10_000

  @abc.abstractmethod
  def make_object_under_test(self) -> Any:
    """A `dm_env.Environment` or a `BatchedEnvironment`, not yet reset."""

  def _run(
    self, steps: int, environment: Any = None
  ) -> Iterator[dm_env.TimeStep]:
    """Yields the time steps of random legal actions, as returned."""
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
    """As `_run`, with a single environment as a batch of one, not cast."""
    for timestep in self._run(steps, environment):
      single = np.ndim(timestep.step_type) == 0
      yield base.raw_batch([timestep]) if single else timestep

  def test_time_steps_match_the_specs(self) -> None:
    """Structures, shapes, dtypes and bounds; all values are finite."""
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

  def test_batches_have_supported_dtypes(self) -> None:
    """Single environments are cast; batches must cast themselves."""
    environment = self.make_object_under_test()
    if not isinstance(environment, base.BatchedEnvironment):
      return
    for spec in tree.flatten(environment.observation_spec()):
      taken = dtypes.taken(spec.dtype)
      assert spec.dtype == taken, (
        f'{spec!r} must have a supported dtype; cast it to {taken}.'
      )
    timestep = environment.reset()
    for field in ('reward', 'discount'):
      dtype = getattr(timestep, field).dtype
      assert dtype == np.float32, (
        f'{field} must be float32, but received {dtype}.'
      )

  def test_an_episode_starts_without_reward(self) -> None:
    for timestep in self._run_as_batch(self.steps):
      first = timestep.step_type == _FIRST
      assert (timestep.reward[first] == 0).all(), (
        'FIRST must have a reward of 0.'
      )
      assert (timestep.discount[first] == 1).all(), (
        'FIRST must have a discount of 1.'
      )

  def test_only_the_step_after_last_is_first(self) -> None:
    before = np.bool_(True)
    for number, timestep in enumerate(self._run_as_batch(self.steps)):
      first = timestep.step_type == _FIRST
      assert (first == before).all(), (
        f'step {number}: the step after LAST, and no other, must be FIRST, but '
        f'step types are {timestep.step_type} and LAST was at {before}; start '
        'a new episode after LAST, and only there.'
      )
      before = timestep.step_type == _LAST

  def test_reset_starts_an_episode_at_any_time(self) -> None:
    environment = self.make_object_under_test()
    for steps in (1, 3, 2):
      begun = next(self._run_as_batch(steps, environment))
      assert (begun.step_type == _FIRST).all(), 'reset must return FIRST.'
      for _ in self._run_as_batch(steps, environment):
        pass

  def test_returned_arrays_do_not_change(self) -> None:
    """Recording an array that is reused at each step would be wrong."""
    returned: list[tuple[list[Any], list[Any]]] = []
    for number, timestep in enumerate(self._run(self.steps)):
      for before, copies in returned:
        for x, copy in zip(before, copies):
          assert np.array_equal(x, copy), (
            f'step {number}: an observation returned earlier has changed; '
            'return copies.'
          )
      leaves = [np.asarray(x) for x in tree.flatten(timestep.observation)]
      returned = [*returned[-2:], (leaves, [x.copy() for x in leaves])]

  def test_episodes_end(self) -> None:
    """Unless `longest_episode` is None.

    An endless episode is never evaluated, and a run cannot stop in it.
    """
    if self.longest_episode is None:
      return
    ended = np.bool_(False)
    for timestep in self._run_as_batch(self.longest_episode):
      ended = ended | (timestep.step_type == _LAST)
      if ended.all():
        return
    raise AssertionError(
      f'episodes must end within {self.longest_episode} steps, but '
      f'{np.sum(~ended)} of {ended.size} environments ended none; give them a '
      'time limit (a LAST step with a discount of 1), or set longest_episode.'
    )

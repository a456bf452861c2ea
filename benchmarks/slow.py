"""Frames per second of an actor whose environments are slow.

  uv run benchmarks/slow.py

One actor with the default config acts, without learning, in environments that
sleep for a millisecond at each step; like a simulator on another machine, they
use no CPU. The batch is stepped one by one, or by 2 to 16 worker processes
(`--environment_kwargs=workers=N`). Observations have the shape of the 9x9
I-Maze's, or are images of 84x84 pixels. Each round measures all rows in turn;
it prints medians of five rounds. Milliseconds of CPU (user and system, of the
actor and its workers) are per step of the whole batch.
"""

import argparse
import os
import statistics
import sys
import time

_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, _ROOT)

import dm_env
from dm_env import specs
import numpy as np
import psutil

from benchmarks import one_thread

_ROUNDS, _SECONDS = 5, 1.0  # Seconds per row in a round.
_EPISODE = 100  # Steps of an episode.
_SHAPES = {'3x3x6': ((3, 3, 6), np.float32), '84x84x3': ((84, 84, 3), np.uint8)}


class Slow(dm_env.Environment):
  """Sleeps for some milliseconds at each step."""

  def __init__(self, seed: int, shape: str, milliseconds: float):
    shape_, dtype = _SHAPES[shape]
    rng = np.random.default_rng(seed)
    self._observation = rng.integers(0, 2, shape_).astype(dtype)
    self._seconds = milliseconds / 1e3
    self._steps = 0

  def reset(self) -> dm_env.TimeStep:
    self._steps = 0
    return dm_env.restart(self._observation)

  def step(self, action) -> dm_env.TimeStep:
    time.sleep(self._seconds)
    self._steps += 1
    if self._steps == _EPISODE:
      return dm_env.termination(1.0, self._observation)
    return dm_env.transition(0.0, self._observation)

  def observation_spec(self) -> specs.BoundedArray:
    shown = self._observation
    return specs.BoundedArray(shown.shape, shown.dtype, 0, 255)

  def action_spec(self) -> specs.DiscreteArray:
    return specs.DiscreteArray(4)


class _Nowhere:
  """A writer that discards unrolls."""

  def write(self, step, select):
    return True


class _Row:
  """An actor and its environments."""

  def __init__(self, shape: str, workers: int, milliseconds: float):
    import acme
    from acme.utils import counting

    from agents.actor_critic import acting
    from agents.ald import config as ald_config
    from agents.ald import networks as ald_networks
    from ald_acme.environments import registry
    from ald_acme.replay import adder as unroll_adder

    me = psutil.Process()
    others = set(me.children())  # The workers of other rows.
    config = ald_config.ALDConfig()
    self.environment = registry.make(
      'benchmarks.slow:Slow',
      {'shape': shape, 'milliseconds': milliseconds, 'workers': workers},
      config.envs_per_actor,
      seed=0,
    )
    self._size = config.envs_per_actor
    network = ald_networks.make_default_networks(
      acme.make_environment_spec(self.environment)
    ).actor
    adder = unroll_adder.UnrollAdder(_Nowhere(), config.unroll_length)
    self._counter = counting.Counter()
    self._loop = acting.UnrollLoop(
      self.environment,
      acting.RecurrentActor(network, seed=0, adder=adder),
      adder,
      config.unroll_length,
      self._counter,
    )
    self._processes = {me, *me.children()} - others
    self._loop.step()

  def _cpu(self) -> float:
    """CPU seconds that the actor and its workers have used."""
    times = [process.cpu_times() for process in self._processes]
    return sum(own.user + own.system for own in times)

  def measure(self) -> tuple[float, float]:
    """Frames per second, and CPU seconds per step of the batch."""

    def frames() -> int:
      return self._counter.get_counts()['frames']

    frames_before, cpu, began = frames(), self._cpu(), time.monotonic()
    while time.monotonic() < began + _SECONDS:
      self._loop.step()
    seconds, made = time.monotonic() - began, frames() - frames_before
    return made / seconds, (self._cpu() - cpu) / made * self._size


def main():
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--milliseconds', type=float, default=1.0, help='a step')
  parser.add_argument('--workers', default='0,2,4,8,16')
  parser.add_argument('--shapes', default=','.join(_SHAPES))
  arguments = parser.parse_args()
  one_thread.prepare()
  rows = {
    (shape, int(workers)): _Row(shape, int(workers), arguments.milliseconds)
    for shape in arguments.shapes.split(',')
    for workers in arguments.workers.split(',')
  }
  measured = {key: [] for key in rows}
  for _ in range(_ROUNDS):
    for key, row in rows.items():
      measured[key].append(row.measure())
  print(f'{"":10}{"workers":>8}{"frames/s":>10}{"ms of CPU":>11}')
  for (shape, workers), pairs in measured.items():
    speed, cpu = map(statistics.median, zip(*pairs))
    print(f'{shape:10}{workers:8}{speed:10,.0f}{1e3 * cpu:11.2f}')
  for row in rows.values():
    row.environment.close()


if __name__ == '__main__':
  main()

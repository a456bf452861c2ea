"""CPU cost of learning from images.

  uv run benchmarks/images.py

CPU milliseconds (user and system) of an update of ALD's learner with the
default config and one thread, after the first ones: with observations of the
9x9 I-Maze, and with images of 24x24 and 84x84 pixels through either torso. It
prints the median of five rounds; frames/s are an upper bound for one core.
"""

import itertools
import os
import statistics
import sys
import time

_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, _ROOT)

from benchmarks import one_thread

_ROUNDS, _SECONDS = 5, 0.5  # Least duration of a round.


def measure(shape: tuple[int, ...], dtype, torso: str):
  """Prints a row for observations of a shape."""
  from acme import specs
  import numpy as np
  import tree

  from agents import ald
  from agents.actor_critic import learner_runner
  from ald_acme.networks import sizes

  config = ald.ALDConfig(networks=sizes.NetworkSizes(image_torso=torso))
  spec = specs.EnvironmentSpec(
    specs.BoundedArray(shape, dtype, 0, 255),
    specs.DiscreteArray(4),
    specs.Array((), np.float32),
    specs.BoundedArray((), np.float32, 0.0, 1.0),
  )
  builder = ald.ALDBuilder(config)
  (signature,) = (
    table.info.signature
    for table in builder.make_replay_tables(spec)
    if table.name == learner_runner.LEARNER
  )
  item = tree.map_structure(
    lambda s: np.zeros(s.shape, s.dtype.as_numpy_dtype), signature
  )
  learner = builder.make_learner(
    builder.make_networks(spec),
    itertools.repeat([item] * config.learner_batch),
  )
  for _ in range(3):
    learner.step()

  def timed() -> float:
    began, updates = time.process_time(), 0
    while time.process_time() < began + _SECONDS:
      learner.step()
      updates += 1
    return (time.process_time() - began) / updates

  seconds = statistics.median(timed() for _ in range(_ROUNDS))
  frames = config.unroll_length * config.envs_per_actor * config.learner_batch
  name = 'x'.join(map(str, shape))
  print(f'{name:10}{torso:>10}{1e3 * seconds:12.1f}{frames / seconds:12,.0f}')


def main():
  one_thread.prepare()
  import numpy as np

  print(f'{"":20}{"ms":>12}{"frames/s":>12}')
  measure((3, 3, 6), np.float32, 'shallow')  # No image, so the torso is unused.
  for side in (24, 84):
    for torso in ('shallow', 'residual'):
      measure((side, side, 3), np.uint8, torso)


if __name__ == '__main__':
  main()

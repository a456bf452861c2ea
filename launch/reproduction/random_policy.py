"""Measures what uniformly random actions earn on a task."""

import json
import os
import sys

sys.path.insert(
  0,
  os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))),
)

from launch import bootstrap

bootstrap.prepare()

from dm_env import specs
import numpy as np
import tree

from ald_acme.environments import base
from ald_acme.environments import registry
from ald_acme.runs import files


def play(environment: base.BatchedEnvironment, episodes: int, seed: int = 0):
  """Returns of the first `episodes` that end: float64 `[episodes]`."""
  rng = np.random.default_rng(seed)
  size, spec = environment.batch_size, environment.action_spec()

  def draw(leaf: specs.Array) -> np.ndarray:
    shape = (size, *leaf.shape)
    if isinstance(leaf, specs.DiscreteArray):
      return rng.integers(leaf.num_values, size=shape).astype(leaf.dtype)
    if leaf.dtype.kind in 'iu':
      high = np.asarray(leaf.maximum) + 1
      return rng.integers(leaf.minimum, high, size=shape).astype(leaf.dtype)
    return rng.uniform(leaf.minimum, leaf.maximum, shape).astype(leaf.dtype)

  environment.reset()
  totals, returns = np.zeros(size), []
  while len(returns) < episodes:
    timestep = environment.step(tree.map_structure(draw, spec))
    totals += timestep.reward
    ended = timestep.step_type == 2
    returns.extend(totals[ended].tolist())
    totals[ended] = 0.0
  return np.array(returns[:episodes])


def main():
  path, name, arguments, episodes = sys.argv[1:]
  environment = registry.make(name, registry.parse_arguments(arguments), 20, 0)
  mean = float(play(environment, int(episodes)).mean())
  with files.atomic(path) as file:
    file.write(json.dumps({'return': mean, 'episodes': int(episodes)}).encode())


if __name__ == '__main__':
  main()

"""This project's tasks as Gymnasium environments, for the peers.

Imports no TensorFlow, so that it runs in the peers' Python environments.
"""

from collections.abc import Sequence
import os
import sys
from typing import Any

_ROOT = os.path.dirname(
  os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
)
sys.path.insert(0, _ROOT)

from dm_env import specs
import gymnasium
from gymnasium import spaces
import numpy as np
import tree

from ald_acme.environments import registry


class Task(gymnasium.Env):
  """An environment named as by `launch/local.py --environment`.

  The observation is one float32 vector, which all peers support: bounded
  integers are one-hot, everything else is flattened.
  """

  def __init__(self, name: str, arguments: str, seed: int):
    """Creates the environment.

    Args:
      name: as the launcher's --environment.
      arguments: as its --environment_kwargs.
      seed: seed of its episodes.
    """
    self._environment = registry.make(
      name, registry.parse_arguments(arguments), 1, seed
    )
    action = self._environment.action_spec()
    if not isinstance(action, specs.DiscreteArray):
      raise ValueError(
        f'the action of {name} must be one discrete number, but is {action}.'
      )
    self._dtype = action.dtype
    self.action_space = spaces.Discrete(int(action.num_values))
    self._specs = tree.flatten(self._environment.observation_spec())
    size = sum(
      _size(spec) * int(np.prod(spec.shape, dtype=int)) for spec in self._specs
    )
    self.observation_space = spaces.Box(-np.inf, np.inf, (size,), np.float32)
    self._begun = False

  def reset(self, *, seed: int | None = None, options: Any = None):
    """Starts the next episode; only the constructor's seed is used."""
    super().reset(seed=seed)
    if self._begun:  # A step after LAST starts the next episode.
      timestep = self._environment.step(np.zeros(1, self._dtype))
      while timestep.step_type[0] != 0:
        timestep = self._environment.step(np.zeros(1, self._dtype))
    else:
      timestep = self._environment.reset()
      self._begun = True
    return self._read(timestep.observation), {}

  def step(self, action):
    timestep = self._environment.step(np.array([action], self._dtype))
    last = timestep.step_type[0] == 2
    terminated = bool(last and timestep.discount[0] == 0.0)
    return (
      self._read(timestep.observation),
      float(timestep.reward[0]),
      terminated,
      bool(last and not terminated),
      {},
    )

  def close(self):
    self._environment.close()

  def _read(self, observation: Any) -> np.ndarray:
    parts = []
    for spec, leaf in zip(self._specs, tree.flatten(observation)):
      leaf = np.ravel(leaf[0])
      if _size(spec) > 1:
        leaf = np.eye(_size(spec))[leaf.astype(int) - int(np.min(spec.minimum))]
      parts.append(np.ravel(leaf).astype(np.float32))
    return np.concatenate(parts)


def _size(spec: specs.Array) -> int:
  """Number of inputs per element of a leaf: one-hot size, or 1."""
  if not isinstance(spec, specs.BoundedArray) or spec.dtype.kind not in 'iu':
    return 1
  size = int(np.max(spec.maximum)) - int(np.min(spec.minimum)) + 1
  return size if 1 < size <= 64 else 1


def parse(argv: Sequence[str]) -> tuple[str, str, int, int, str]:
  """Reads the command line of a peer.

  Args:
    argv: the task's name and arguments, frames, seed, and the CSV file.
  """
  name, arguments, frames, seed, path = argv
  return name, arguments, int(frames), int(seed), path

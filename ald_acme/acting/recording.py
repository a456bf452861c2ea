"""Recording of one episode: observations, outputs and actions."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import dm_env
import numpy as np
import tensorflow as tf
import tree

from ald_acme import distributions
from ald_acme import graphs
from ald_acme import types
from ald_acme.acting import evaluation
from ald_acme.acting import policies
from ald_acme.environments.interface import base
from ald_acme.environments.interface import observed
from ald_acme.networks import protocols

_LAST = int(dm_env.StepType.LAST)


class Recording(NamedTuple):
  """An episode of T steps.

  Attributes:
    inputs: the network's inputs at the T + 1 time steps, leaves `[T + 1, 1,
      ...]`. `action[t + 1]` and `reward[t + 1]` are those of step t.
    outputs: the network's outputs, policy `[T, P]` and value `[T]`.
    pictures: the environment at each time step, uint8 `[T + 1, height, width,
      3]`; None if it cannot be rendered.
    distribution: distribution of the actions.
    action_names: names of the actions; None if they have none.
    agent: the agent's row and column in its observed window; None if unknown.
  """

  inputs: types.Inputs
  outputs: types.Outputs
  pictures: np.ndarray | None
  distribution: distributions.Distribution
  action_names: Sequence[str] | None = None
  agent: tuple[int, int] | None = None

  @property
  def length(self) -> int:
    """T."""
    return len(self.outputs.value)


def record(
  environment: base.BatchedEnvironment,
  network: protocols.Network,
  seed: Any,
  deterministic: bool = False,
  max_steps: int = evaluation.MAX_STEPS,
) -> Recording:
  """Plays an episode.

  Args:
    environment: a batch of 1, which is reset.
    network: its variables exist.
    seed: seed of the actions; anything that `np.random.default_rng` takes.
    deterministic: whether to take the distribution's mode instead of samples.
    max_steps: bound of the episode's length; a longer one is truncated.

  Raises:
    ValueError: if there is more than one environment.
  """
  if environment.batch_size != 1:
    raise ValueError(
      'record needs one environment, but received batch_size='
      f'{environment.batch_size}; make it with batch_size=1.'
    )
  rng = None if deterministic else np.random.default_rng(seed)
  answer = graphs.function(lambda *x: network(*x))
  state = network.initial_state(1)
  distribution = network.distribution
  sample = np.zeros((1, *distribution.shape), distribution.dtype)
  inputs: list[types.Inputs] = []
  outputs: list[types.Outputs] = []
  pictures: list[np.ndarray] = []
  timestep = environment.reset()
  while True:
    seen = policies.inputs_at(timestep, sample)._replace(
      observation=observed.by(network, timestep.observation)
    )
    inputs.append(tree.map_structure(np.array, seen))
    picture = _picture(environment)
    if picture is not None:
      pictures.append(picture)
    if timestep.step_type[0] == _LAST or len(outputs) == max_steps:
      break
    output, state = answer(
      tree.map_structure(tf.convert_to_tensor, seen), state
    )
    outputs.append(tree.map_structure(lambda x: x.numpy()[0], output))
    parameters = outputs[-1].policy[np.newaxis]
    sample = policies.choose(distribution, parameters, rng)
    timestep = environment.step(distribution.to_environment(sample))
  return Recording(
    inputs=_stack(inputs),
    outputs=_stack(outputs),
    pictures=np.stack(pictures) if pictures else None,
    distribution=distribution,
    action_names=environment.action_names(),
    agent=environment.agent_in_window(),
  )


def _picture(environment: base.BatchedEnvironment) -> np.ndarray | None:
  try:
    return environment.render()
  except ValueError:  # It cannot be rendered.
    return None


def _stack(steps: list) -> types.Nest:
  return tree.map_structure(lambda *leaves: np.stack(leaves), *steps)

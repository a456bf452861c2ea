"""Folders of finished runs without training, and programs of launch/."""

import dataclasses
import json
import os
import subprocess
import sys
from typing import NamedTuple

from dm_env import specs
import numpy as np
import pytest

from ald_acme.runs import checkpoints

FRAMES = 12_345
_LAUNCH = os.path.join(os.path.dirname(os.path.dirname(__file__)), 'launch')


class MadeRun(NamedTuple):
  """A run's folder, and the networks that its checkpoint is of."""

  path: str
  networks: object
  checkpoint: str


@pytest.fixture(scope='session')
def action_specs():
  """An action spec of each kind, by name."""
  low, high = np.array([-2.0, 0.0, 5.0]), np.array([2.0, 1.0, 5.5])
  return {
    'one': specs.DiscreteArray(5),
    'equal': specs.BoundedArray((2, 2), np.int64, 0, 2),
    'unequal': specs.BoundedArray((3,), np.int32, [0, -1, 3], [1, 2, 9]),
    'bits': specs.BoundedArray((4,), np.int8, 0, 1),
    'box': specs.BoundedArray((3,), np.float32, low, high),
    'mixed': {
      'arm': (
        specs.BoundedArray((3,), np.float64, low, high),
        specs.DiscreteArray(4),
      ),
      'legs': specs.BoundedArray((2,), np.int32, [0, 0], [1, 2]),
    },
    'numbers': (specs.DiscreteArray(2), specs.DiscreteArray(3)),
  }


@pytest.fixture
def make_run(tmp_path):
  """Makes runs of small networks; no variable is as the seed makes it."""
  import acme

  from agents import catalogue
  from ald_acme.environments import registry
  from ald_acme.networks import sizes

  def make(agent='ald', environment='i_maze', kwargs='size=5,limit=12'):
    config = catalogue.config_class(agent)(
      networks=dataclasses.replace(sizes.PRESETS['tiny'], lstm=6),
    )
    spec = acme.make_environment_spec(
      registry.make(environment, registry.parse_arguments(kwargs), 1, 0)
    )
    networks = catalogue.make_builder(agent, config).make_networks(spec)
    rng = np.random.default_rng(1)

    def vector(network):
      for variable in network.trainable_variables:
        variable.assign_add(rng.normal(scale=0.4, size=variable.shape))
      return np.concatenate(
        [variable.numpy().ravel() for variable in network.trainable_variables]
      )

    state = {
      'learner': {'variables': vector(networks.learner), 'updates': 7},
      'counts': {'frames': FRAMES},
    }
    actor = vector(networks.actor)
    if agent == 'ald':
      state['actor_parameters'] = {'variables': actor, 'updates': 28}

    path = tmp_path / f'run-{agent}'
    path.mkdir()
    (path / 'config.json').write_text(
      json.dumps(
        {
          'agent': agent,
          'environment': environment,
          'environment_kwargs': kwargs,
          'config': dataclasses.asdict(config),
          'git_commit': 'c0ffee',
        }
      )
    )
    folder = checkpoints.CheckpointFolder(str(path / 'checkpoints'))
    return MadeRun(str(path), networks, folder.save(state))

  return make


class Done(NamedTuple):
  """A program that has ended."""

  status: int
  out: str
  error: str

  def refusal(self):
    """The one line that says what was wrong."""
    assert 'Traceback' not in self.error
    (line,) = (x for x in self.error.splitlines() if x.startswith('error: '))
    return line


@pytest.fixture
def launch(tmp_path):
  """Runs a program of launch/ by name and flags, in a folder of the test."""

  def run(name, *flags):
    done = subprocess.run(
      [sys.executable, os.path.join(_LAUNCH, name), *flags],
      capture_output=True,
      text=True,
      cwd=tmp_path,
      check=False,
    )
    return Done(done.returncode, done.stdout, done.stderr)

  return run

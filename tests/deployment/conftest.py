"""A policy to export; its observation has several parts and dtypes."""

import dataclasses
from typing import NamedTuple

import acme
import dm_env
from dm_env import specs
import numpy as np
import pytest

from agents.ald import networks as ald_networks
from ald_acme.acting import recording
from ald_acme.deployment import exporting
from ald_acme.deployment import step as steps
from ald_acme.environments.batches import stacking
from ald_acme.networks import sizes


class Toy(dm_env.Environment):
  """Episodes of five steps, of which every part is random."""

  def __init__(self):
    self._rng = np.random.default_rng(0)
    self._step = 0

  def reset(self):
    self._step = 0
    return dm_env.restart(self._observe())

  def step(self, action):
    self._step += 1
    make = dm_env.termination if self._step == 5 else dm_env.transition
    return make(float(self._rng.normal()), self._observe())

  def _observe(self):
    return {
      'picture': self._rng.integers(4, size=(2, 2, 3)).astype(np.uint8),
      'place': {
        'at': self._rng.normal(size=3).astype(np.float32),
        'floor': self._rng.integers(-5, 5, size=()),
      },
      'indoors': self._rng.random(1) < 0.5,
    }

  def observation_spec(self):
    return {
      'picture': specs.Array((2, 2, 3), np.uint8),
      'place': {
        'at': specs.Array((3,), np.float32),
        'floor': specs.Array((), np.int64),
      },
      'indoors': specs.Array((1,), bool),
    }

  def action_spec(self):
    return specs.DiscreteArray(3)


class Exported(NamedTuple):
  """An exported policy and what it was made from."""

  folder: str
  step: steps.Step
  episodes: list


@pytest.fixture(scope='session')
def networks():
  """Networks whose answers depend on everything; and the spec."""
  spec = acme.make_environment_spec(stacking.Stacked([Toy()]))
  made = ald_networks.make_default_networks(
    spec,
    dataclasses.replace(sizes.PRESETS['tiny'], lstm=6),
  )
  rng = np.random.default_rng(1)
  for network in (made.actor, made.learner):
    for variable in network.trainable_variables:
      variable.assign(rng.normal(scale=0.4, size=variable.shape))
  return made, spec


@pytest.fixture(scope='session')
def step(networks):
  made, spec = networks
  return steps.Step(made.actor, spec)


@pytest.fixture(scope='session')
def episodes(networks):
  environment = stacking.Stacked([Toy()])
  made, _ = networks
  return [recording.record(environment, made.actor, seed) for seed in range(3)]


@pytest.fixture(scope='session')
def export(step, episodes, tmp_path_factory):
  """Exports in a format, each once."""
  done = {}

  def make(form):
    if form == 'onnx':
      pytest.importorskip('tf2onnx')
      pytest.importorskip('onnxruntime')
    if form not in done:
      folder = str(tmp_path_factory.mktemp(form))
      exporting.export(step, form, folder, {'agent': 'toy', 'frames': 5})
      done[form] = Exported(folder, step, episodes)
    return done[form]

  return make

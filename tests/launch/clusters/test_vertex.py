"""Launchpad's own launch on Vertex AI, with a stand-in for XManager."""

import contextlib
import json
import os
import signal
import sys
import types

from absl import flags
import pytest

from agents.ald import config as ald_config
from ald_acme import run_folder
from launch import options
from launch.clusters import programs
from launch.clusters import vertex


class _Requirements:
  """As XManager's `JobRequirements`."""

  def __init__(self, **resources):
    self.resources, self.replicas = resources, 1


class _Caip(types.SimpleNamespace):
  """As XManager's executor, until it was named `Vertex`."""

  Spec = types.SimpleNamespace


class _Experiment:
  """As XManager's: keeps what is packaged and added."""

  def __init__(self):
    self.packaged, self.jobs = [], {}

  def package(self, packageables):
    self.packaged += packageables
    return list(packageables)

  def add(self, group):
    self.jobs = group


@pytest.fixture
def experiment(monkeypatch):
  """The experiment that a launch makes."""
  made = _Experiment()
  record = types.SimpleNamespace

  xm = types.ModuleType('xmanager.xm')
  xm.GiB = 2**30
  xm.JobRequirements = _Requirements
  xm.CommandList = list
  xm.PythonContainer = xm.Packageable = xm.Job = record
  xm.JobGroup = dict
  xm_local = types.ModuleType('xmanager.xm_local')
  xm_local.Caip = _Caip
  xm_local.create_experiment = lambda experiment_title: contextlib.nullcontext(
    made
  )
  xmanager = types.ModuleType('xmanager')
  xmanager.xm, xmanager.xm_local = xm, xm_local
  for module in (xmanager, xm, xm_local):
    monkeypatch.setitem(sys.modules, module.__name__, module)
  earlier = {
    number: signal.getsignal(number)
    for number in (signal.SIGINT, signal.SIGQUIT)
  }
  yield made
  for number, handler in earlier.items():
    signal.signal(number, handler)
  for name in [name for name in sys.modules if 'xm_docker' in name]:
    del sys.modules[name]  # They hold the stand-in.


def _make(tmp_path, agent='ald', **fields):
  if not flags.FLAGS.is_parsed():
    flags.FLAGS.mark_as_parsed()
  opts = options.Options(
    agent=agent,
    environment='i_maze',
    environment_kwargs='',
    environment_arguments={},
    workdir=None,
    resume=False,
    config=ald_config.ALDConfig(**fields),
  )
  folder = run_folder.RunFolder(str(tmp_path / 'run'))
  os.makedirs(folder.path)
  program, _ = programs.make(opts, folder, None, 0.0)
  return program, folder


@pytest.mark.parametrize('agent', ['ald', 'lstm'])
def test_launchpad_comes_to_the_same_pools(agent, experiment, tmp_path):
  program, folder = _make(tmp_path, agent, num_actors=3)
  parts = vertex.pools(program)
  path = vertex.write(program, parts, folder)
  vertex.launch(program, parts, path)
  replicas = [
    job.executor.requirements.replicas for job in experiment.jobs.values()
  ]
  assert replicas == [len(part.nodes) for part in parts]
  assert replicas[0] == 1 and len(replicas) <= 4
  resources = [
    job.executor.requirements.resources for job in experiment.jobs.values()
  ]
  accelerated = [bool(r.get('t4')) for r in resources]
  assert accelerated == [part.accelerator == 't4' for part in parts]
  for packaged in experiment.packaged:
    there = os.listdir(packaged.executable_spec.path)
    assert {'job.pkl', 'process_entry.py', 'requirements.txt', 'launch'} <= set(
      there
    )


def test_addresses_are_those_of_the_cluster(tmp_path, monkeypatch):
  program, folder = _make(tmp_path, num_actors=2, num_distillers=2)
  parts = vertex.pools(program)
  vertex.write(program, parts, folder)
  cluster = {
    part.name: [f'{part.name}-{i}:2222' for i in range(len(part.nodes))]
    for part in parts
  }
  monkeypatch.setenv('CLUSTER_SPEC', json.dumps({'cluster': cluster}))
  addresses = set()
  for part in parts:
    for replica, (_, node) in enumerate(part.nodes):
      for offset, address in enumerate(node.addresses):
        expected = f'{part.name}-{replica}:{2222 + offset}'
        assert address.resolve() == expected
        addresses.add(expected)
  # replay, counter, monitor, evaluator, learner, parameters, two distillers.
  assert len(addresses) == 8

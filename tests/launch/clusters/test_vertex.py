"""Launchpad's launch on Vertex AI, until it builds images."""

import contextlib
import json
import os
import signal

from absl import flags
import pytest

from agents import settings
from ald_acme.runs import folder as run_folder
from launch import options
from launch.clusters import programs
from launch.clusters import vertex


class _Experiment:
  """Instead of XManager's, which builds images: keeps what it is given."""

  def __init__(self):
    self.packaged, self.jobs = [], {}

  def package(self, packageables):
    self.packaged += packageables
    return [packageable.executable_spec for packageable in packageables]

  def add(self, group):
    self.jobs = group.jobs


@pytest.fixture
def experiment(monkeypatch):
  """The experiment that a launch makes; the rest is XManager's own."""
  pytest.importorskip('xmanager', reason='the extra "cluster" has it')
  from xmanager import xm_local

  made = _Experiment()
  monkeypatch.setattr(
    xm_local,
    'create_experiment',
    lambda experiment_title: contextlib.nullcontext(made),
  )
  earlier = {
    number: signal.getsignal(number)
    for number in (signal.SIGINT, signal.SIGQUIT)
  }
  yield made
  for number, handler in earlier.items():
    signal.signal(number, handler)


def _make(tmp_path, agent='ald', **fields):
  if not flags.FLAGS.is_parsed():
    flags.FLAGS.mark_as_parsed()
  made = settings.make(agent, fields)
  opts = options.Options(
    agent=agent,
    environment='i_maze',
    environment_kwargs='',
    environment_arguments={},
    workdir=None,
    resume=False,
    config=made.config,
    experiment=made.experiment,
    network_factory=None,
    wandb_project=None,
  )
  folder = run_folder.RunFolder(str(tmp_path / 'run'))
  os.makedirs(folder.path)
  program, _ = programs.make(opts, folder, None, 0.0)
  return program, folder


@pytest.mark.parametrize(
  'agent,fields',
  [
    ('ald', {'num_actors': 3}),
    ('ald', {'num_actors': 40, 'num_distillers': 20}),
    ('lstm', {'num_actors': 3}),
  ],
)
def test_pools_match_launchpad_and_xmanager(
  agent, fields, experiment, tmp_path
):
  from xmanager import xm
  from xmanager.cloud import caip

  program, folder = _make(tmp_path, agent, **fields)
  vertex.revive(program)
  parts = vertex.pools(program, 't4')
  path = vertex.write(program, parts, folder, 'IMAGES')
  vertex.launch(program, parts, path)
  with open(os.path.join(path, 'custom_job.json'), encoding='utf-8') as file:
    written = json.load(file)['jobSpec']['workerPoolSpecs']
  jobs = list(experiment.jobs.values())
  assert len(jobs) == len(written) <= 4  # As many as Vertex AI takes.
  for job, pool in zip(jobs, written):
    assert job.executor.requirements.replicas == pool['replicaCount']
    machine = caip.get_machine_spec(job)
    assert machine['machine_type'] == pool['machineSpec']['machineType']
    accelerator = machine.get('accelerator_type')
    assert (accelerator and accelerator.name) == pool['machineSpec'].get(
      'acceleratorType'
    )
  assert written[0]['replicaCount'] == 1  # As Vertex AI wants it.
  for packaged in experiment.packaged:
    assert isinstance(packaged, xm.Packageable)
    there = set(os.listdir(packaged.executable_spec.path))
    assert {'job.pkl', 'process_entry.py', 'requirements.txt'} <= there
    assert {'ald_acme', 'agents', 'launch'} <= there


def test_a_launch_that_fails_says_why_in_one_line(
  experiment, tmp_path, monkeypatch
):
  def fail(packageables):
    raise RuntimeError('no docker\nhere')

  monkeypatch.setattr(experiment, 'package', fail)
  program, folder = _make(tmp_path)
  parts = vertex.pools(program, 't4')
  path = vertex.write(program, parts, folder, 'IMAGES')
  with pytest.raises(ValueError, match='RuntimeError: no docker here'):
    vertex.launch(program, parts, path)


def test_addresses_are_those_of_the_cluster(tmp_path, monkeypatch):
  program, folder = _make(tmp_path, num_actors=2, num_distillers=2)
  vertex.revive(program)
  parts = vertex.pools(program, 't4')
  vertex.write(program, parts, folder, 'IMAGES')
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

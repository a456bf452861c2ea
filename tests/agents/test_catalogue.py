"""Agents by name, and the parts that their builders create."""

import pickle
import subprocess
import sys

from acme import specs
import cloudpickle
import numpy as np
import pytest
import reverb

from agents import catalogue
from ald_acme.environments.tasks import i_maze
from ald_acme.replay import tables


@pytest.mark.parametrize('name', catalogue.NAMES)
def test_builders_contain_plain_values(name):
  builder = catalogue.make_builder(name, catalogue.config_class(name)(seed=3))
  again = pickle.loads(cloudpickle.dumps(builder))
  assert again.config.seed == 3


@pytest.mark.parametrize('name', catalogue.NAMES)
def test_tables_of_each_agent(name):
  builder = catalogue.make_builder(
    name, catalogue.config_class(name)(envs_per_actor=2, unroll_length=3)
  )
  spec = specs.make_environment_spec(i_maze.BatchedIMaze())
  made = {t.name: t for t in builder.make_replay_tables(spec)}
  queues = {tables.QUEUE}
  if name in ('ald', 'asymmetric'):
    queues.add('learner')
  permits = {tables.permits(queue) for queue in queues}
  more = {'distill'} if name == 'ald' else set()
  assert made.keys() == queues | permits | more
  assert builder.learner_table in made
  reverb.Server(list(made.values()))


@pytest.mark.parametrize(
  'name', [name for name in catalogue.NAMES if name != catalogue.ALD]
)
def test_learners_serve_the_acting_network(name):
  builder = catalogue.make_builder(name, catalogue.config_class(name)())
  spec = specs.make_environment_spec(i_maze.BatchedIMaze())
  networks = builder.make_networks(spec)
  learner = builder.make_learner(networks, iter([]))
  (served,) = learner.get_variables(['actor'])
  assert [x.shape for x in served] == [
    tuple(v.shape) for v in networks.actor.trainable_variables
  ]
  _, _, vector = learner.get_vector('actor', None)
  np.testing.assert_array_equal(
    vector, np.concatenate([x.ravel() for x in served])
  )


def test_names_import_no_tensorflow():
  code = (
    'import sys; from agents import catalogue; '
    'sys.exit("tensorflow" in sys.modules or "acme" in sys.modules)'
  )
  assert (
    subprocess.run([sys.executable, '-c', code], check=False).returncode == 0
  )


def test_unknown_name():
  with pytest.raises(ValueError, match=r"name must be one of ald, .*'alld'"):
    catalogue.make_builder('alld', None)

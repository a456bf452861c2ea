"""Trained agents are loaded as saved; errors name the cause."""

import dataclasses
import json
import os
import pathlib

import numpy as np
import pytest

from agents import actor_critic
from agents import catalogue
from agents import trained
from ald_acme.runs import checkpoints
from ald_acme.runs import folder as run_folder

BASELINES = ['lstm', 'gtrxl', 'asymmetric', 'memoryless']


def _same(network, other):
  """Whether two networks have the same parameters, in the same order."""
  pairs = zip(
    network.trainable_variables, other.trainable_variables, strict=True
  )
  return all(np.array_equal(a.numpy(), b.numpy()) for a, b in pairs)


@pytest.fixture
def made(make_run):
  return make_run()


def test_ald(made):
  agent = trained.load(trained.read(made.path))
  assert _same(agent.network('actor'), made.networks.actor)
  assert _same(agent.network('learner'), made.networks.learner)
  assert (agent.frames, agent.checkpoint) == (12_345, made.checkpoint)
  assert agent.environment_spec.actions.num_values == 4
  assert (agent.run.agent, agent.run.commit) == ('ald', 'c0ffee')


@pytest.mark.parametrize('name', BASELINES)
def test_actor_parameters_are_the_learners(make_run, name):
  made = make_run(name)
  agent = trained.load(trained.read(made.path))
  assert _same(agent.network('learner'), made.networks.learner)
  learned = made.networks.learner
  if name == 'asymmetric':
    learned = learned.policy
  assert _same(agent.network('actor'), learned)


def test_every_agent_is_tested():
  assert set(catalogue.NAMES) == {'ald', *BASELINES}


def test_environments_have_the_runs_arguments(made):
  environment = trained.read(made.path).make_environment(3, seed=1)
  assert environment.batch_size == 3
  environment.reset()
  for _ in range(12):  # The limit that the run was given.
    timestep = environment.step(np.zeros(3, np.int32))
  assert timestep.discount.tolist() == [0, 0, 0]


def test_runs_without_an_agents_name_are_ald(made):
  path = pathlib.Path(made.path, 'config.json')
  saved = json.loads(path.read_text())
  del saved['agent']
  path.write_text(json.dumps(saved))
  assert trained.read(made.path).agent == 'ald'


def test_the_newest_intact_checkpoint_is_loaded(made):
  state = checkpoints.read(made.checkpoint)
  state['counts']['frames'] = 20_000
  folder = checkpoints.CheckpointFolder(os.path.dirname(made.checkpoint))
  second = folder.save(state)
  run = trained.read(made.path)
  assert trained.load(run).frames == 20_000
  os.truncate(second, 100)
  assert trained.load(run).frames == 12_345


def test_a_run_in_progress_is_not_touched(made):
  def contents():
    return sorted(map(str, pathlib.Path(made.path).rglob('*')))

  with run_folder.RunFolder(made.path).reopen():
    before = contents()
    assert trained.load(trained.read(made.path)).frames == 12_345
    assert contents() == before


def test_no_run(tmp_path):
  with pytest.raises(ValueError, match=r'holds no run \(no config.json\)'):
    trained.read(str(tmp_path))


def test_no_checkpoint_yet(made):
  os.remove(made.checkpoint)
  with pytest.raises(ValueError, match='no checkpoint yet; wait'):
    trained.load(trained.read(made.path))


def test_all_checkpoints_damaged(made):
  os.truncate(made.checkpoint, os.path.getsize(made.checkpoint) // 2)
  with pytest.raises(ValueError, match=r'no checkpoint in .* all are damaged'):
    trained.load(trained.read(made.path))


@pytest.mark.parametrize('kwargs', ['size=5,view=5', 'size=5,trial_episodes=2'])
def test_checkpoint_of_another_environment(made, kwargs):
  run = dataclasses.replace(trained.read(made.path), environment_kwargs=kwargs)
  with pytest.raises(ValueError, match=f'does not fit .*{kwargs}.*parameters'):
    trained.load(run)


def test_checkpoint_of_other_networks(made):
  run = trained.read(made.path)
  run.config.networks.lstm = 7
  with pytest.raises(ValueError, match=r'does not fit .* of other sizes'):
    trained.load(run)


def test_checkpoint_of_another_agent(make_run):
  run = trained.read(make_run('lstm').path)
  with pytest.raises(ValueError, match='does not fit'):
    trained.load(
      dataclasses.replace(
        run, agent='asymmetric', config=actor_critic.AsymmetricConfig()
      )
    )


@pytest.mark.parametrize('part', ['learner', 'actor_parameters'])
def test_checkpoint_without_a_part(made, part):
  state = checkpoints.read(made.checkpoint)
  del state[part]
  folder = checkpoints.CheckpointFolder(os.path.dirname(made.checkpoint))
  folder.save(state)
  with pytest.raises(ValueError, match=f'it has no {part}/variables'):
    trained.load(trained.read(made.path))


def test_unknown_policy(made):
  agent = trained.load(trained.read(made.path))
  with pytest.raises(ValueError, match="actor, learner, but received 'critic'"):
    agent.network('critic')


@pytest.mark.parametrize(
  'field, value, error',
  [
    ('agent', 'ppo', "agent must be one of ald.*received 'ppo'"),
    ('config', {'networks': {}, 'warp': 9}, 'cannot be read by.*warp'),
    ('environment', None, "it has no 'environment'"),
  ],
)
def test_invalid_config(made, field, value, error):
  path = pathlib.Path(made.path, 'config.json')
  path.write_text(json.dumps({**json.loads(path.read_text()), field: value}))
  with pytest.raises(ValueError, match=error):
    trained.read(made.path)

"""The program of a builder with an additional part, in threads."""

import json
import os
import subprocess
import sys

import pytest

from ald_acme.runs import checkpoints

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))

_PROGRAM = """
import functools, os, sys
import launchpad as lp
from absl import flags
from acme.utils import loggers
from agents import ald
from agents import experiment as experiments
from agents import program as programs
from ald_acme.runs import folder as run_folder
from ald_acme.environments import registry

flags.FLAGS(sys.argv[:1])
config = ald.ALDConfig(
    envs_per_actor=4, num_distillers=2, unroll_length=10, dprl=0.5,
    loss='vmpo', learner_batch=2, distill_batch=2)
experiment = experiments.ExperimentConfig(
    num_actors=2, max_frames=4000, evaluation_episodes=10)
folder = run_folder.RunFolder(sys.argv[1])


class Builder(ald.ALDBuilder):

  def make_adder(self, replay_client, stream=0, *args, **kwargs):
    open(os.path.join(folder.path, f'adder_{stream}'), 'x').close()
    return super().make_adder(replay_client, stream, *args, **kwargs)


class Logger(loggers.Logger):

  def __init__(self, label, steps_key, task_instance):
    self.name = f'own_{label}_{task_instance}_{steps_key}'

  def write(self, data):
    open(os.path.join(folder.path, self.name), 'a').close()

  def close(self):
    open(os.path.join(folder.path, f'closed_{self.name}'), 'a').close()


small = functools.partial(registry.make, 'i_maze', {'size': 5})
large = functools.partial(registry.make, 'i_maze', {'size': 7})
builder = Builder(config)

def evaluate_elsewhere(networks, source, counter, logger):
  few = experiments.EvaluationConfig(evaluation_episodes=2)
  return builder.make_evaluator(
      networks, large, source, counter=counter, logger=logger, evaluation=few)


program, _ = programs.DistributedAgent(
    builder, small, folder, experiment, logger_factory=Logger,
    evaluator_factories=[evaluate_elsewhere]).build()
lp.launch(program, launch_type='local_mt', serialize_py_nodes=True).wait()
# All nodes have ended. The interpreter's own end may crash in threads that
# TensorFlow leaves behind.
os._exit(0)
"""
# The same with nodes between; keeps who was asked for parameters that act.
_CACHED_PROGRAM = """
import collections, functools, json, os, sys
import launchpad as lp
from absl import flags
from agents import catalogue
from agents import program as agents_program
from agents import settings
from agents.actor_critic import learning
from ald_acme.runs import folder as run_folder
from ald_acme.environments import registry
from ald_acme.parameters import pulled
from ald_acme.parameters import shared

flags.FLAGS(sys.argv[:1])
asked, lags, owners = collections.Counter(), collections.defaultdict(list), []

def watch(kind):
  get_vector = kind.get_vector
  def watched(self, name, version):
    answer = get_vector(self, name, version)
    if name == 'actor':
      key = f'{kind.__name__} {id(self)}'
      asked[key] += 1
      if kind is not pulled.ParameterCache:
        owners.append(self)
      else:
        (now,), = owners[0].get_variables(['updates'])
        lags[key].append(int(now) - answer[1])
    return answer
  kind.get_vector = watched

for kind in (pulled.ParameterCache, shared.ActorParameters,
             learning.ActorCriticLearner):
  watch(kind)
fields = {'num_actors': 4, 'actors_per_cacher': 2, 'envs_per_actor': 4,
          'unroll_length': 10, 'max_frames': 4000, 'evaluation_episodes': 10}
if sys.argv[2] == 'ald':
  fields['dprl'] = 2.0
made = settings.make(sys.argv[2], fields)
folder = run_folder.RunFolder(sys.argv[1])
builder = catalogue.make_builder(made.agent, made.config)
program, _ = agents_program.DistributedAgent(
    builder, functools.partial(registry.make, 'i_maze', {'size': 5}), folder,
    made.experiment).build()
assert len(program.groups['cacher']) == 2
lp.launch(program, launch_type='local_mt', serialize_py_nodes=True).wait()
print(json.dumps({'asked': asked, 'lags': lags}), flush=True)
os._exit(0)
"""


def _run(program, folder, *arguments):
  """The summary of a run, and what it printed."""
  os.makedirs(folder)
  script = [program] if program.endswith('.py') else ['-c', program]
  result = subprocess.run(
    [sys.executable, *script, str(folder), *arguments],
    env={**os.environ, 'PYTHONPATH': ROOT},
    capture_output=True,
    text=True,
    timeout=280,
    check=False,
  )
  # Launchpad kills the process where a node's thread does not end.
  assert result.returncode == 0, result.stderr[-3000:]
  with open(folder / 'summary.json', encoding='utf-8') as file:
    return json.load(file), result.stdout


@pytest.mark.parametrize(
  'agent,owner,updates',
  [
    ('ald', 'ActorParameters', 'actor_updates'),
    ('lstm', 'ActorCriticLearner', 'learner_updates'),
  ],
)
def test_cachers(agent, owner, updates, tmp_path):
  summary, out = _run(_CACHED_PROGRAM, tmp_path / 'run', agent)
  assert summary['frames'] >= 4000
  seen = json.loads(out.splitlines()[-1])
  caches = {k: v for k, v in seen['asked'].items() if 'ParameterCache' in k}
  assert len(caches) == 2
  # At each unroll's begin at least, and two actors' unrolls are 80 frames.
  assert min(caches.values()) > 10
  (owners_asked,) = (v for k, v in seen['asked'].items() if owner in k)
  assert owners_asked <= sum(caches.values())
  # The actors' parameters were nearly the newest all the time.
  assert summary[updates] > 50
  for name in caches:
    lags = sorted(seen['lags'][name])
    assert lags[len(lags) // 2] <= 0.1 * summary[updates]


def test_threads(tmp_path):
  summary, _ = _run(_PROGRAM, tmp_path / 'run')
  assert summary['stopped_because'] == 'max_frames'
  # At most two unrolls of 40 frames were under way.
  assert 4000 <= summary['frames'] < 4000 + 2 * 40
  # The part that the builder replaces is the one that each actor has.
  assert {'adder_0', 'adder_1'} <= set(os.listdir(tmp_path / 'run'))
  # Each node has a logger of the factory, and the factory's evaluator ran.
  labels = {
    *('learner_0', 'learner_runner_0', 'actor_0', 'actor_1', 'distiller_0'),
    *('distiller_1', 'evaluator_0', 'evaluator_1'),
  }
  written = {f'own_{label}_frames' for label in labels}
  assert written <= set(os.listdir(tmp_path / 'run'))
  closed = {f'closed_{name}' for name in written}
  assert closed <= set(os.listdir(tmp_path / 'run'))
  rows = (tmp_path / 'run' / 'logs' / 'evaluator_1.csv').read_text()
  assert 'actor_return' in rows.splitlines()[0]
  # Two unroll batches of 40 frames for each learner update.
  assert summary['learner_updates'] >= 40
  due = 0.5 * summary['learner_updates']
  assert abs(summary['actor_updates'] - due) <= 5


def test_a_builder_independent_of_our_agents(tmp_path):
  script = os.path.join(os.path.dirname(__file__), 'toy_builder.py')
  folder = tmp_path / 'run'
  summary, _ = _run(script, folder)
  assert summary['stopped_because'] == 'max_frames'
  assert summary['seed'] == 5
  assert summary['final_return'] > 0  # Updates that the evaluator saw.
  state = (
    checkpoints.CheckpointFolder(str(folder / 'checkpoints')).latest().state
  )
  assert summary['guesses'] == state['learner']['updates'] > 0
  assert [int(state[f'witness_{i}']['number']) for i in range(2)] == [0, 1]
  assert all(state[f'witness_{i}']['calls'] > 10 for i in range(2))
  assert state['counts']['calls'] == 2 * 10  # None were left unsent.
  # One environment for the specs of all nodes, and one for each actor.
  made = [name for name in os.listdir(folder) if name.startswith('made_')]
  assert len(made) == 1 + 2

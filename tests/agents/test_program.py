"""The program of a builder with a part of its own, in threads."""

import json
import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))

_PROGRAM = """
import functools, os, sys, time
import launchpad as lp
from absl import flags
from agents import ald
from agents import program as programs
from ald_acme import run_folder
from ald_acme.environments import registry

flags.FLAGS(sys.argv[:1])
config = ald.ALDConfig(
    num_actors=2, envs_per_actor=4, num_distillers=2, unroll_length=10,
    dprl=0.5, max_frames=4000, evaluation_episodes=10, loss='vmpo',
    learner_batch=2, distill_batch=2)
folder = run_folder.RunFolder(sys.argv[1])


class Builder(ald.ALDBuilder):

  def make_adder(self, replay_client, stream=0, *args, **kwargs):
    open(os.path.join(folder.path, f'adder_{stream}'), 'x').close()
    return super().make_adder(replay_client, stream, *args, **kwargs)


builder = Builder(config)
program, _ = programs.DistributedAgent(
    builder, builder.make_networks,
    functools.partial(registry.make, 'i_maze', {'size': 5}), folder).build()
lp.launch(program, launch_type='local_mt', serialize_py_nodes=True)
while not os.path.exists(folder.summary):
    time.sleep(0.2)
# Threads cannot be ended from outside while they wait for one another.
os._exit(0)
"""


def test_threads(tmp_path):
  os.makedirs(tmp_path / 'run')
  result = subprocess.run(
    [sys.executable, '-c', _PROGRAM, str(tmp_path / 'run')],
    env={**os.environ, 'PYTHONPATH': ROOT},
    capture_output=True,
    text=True,
    timeout=280,
    check=False,
  )
  assert result.returncode == 0, result.stderr[-3000:]
  with open(tmp_path / 'run' / 'summary.json', encoding='utf-8') as file:
    summary = json.load(file)
  assert summary['stopped_because'] == 'max_frames'
  assert summary['frames'] >= 4000
  # The part that the builder replaces is the one that each actor has.
  assert {'adder_0', 'adder_1'} <= set(os.listdir(tmp_path / 'run'))
  # Two unroll batches of 40 frames for each learner update.
  assert summary['learner_updates'] >= 40
  due = 0.5 * summary['learner_updates']
  assert abs(summary['actor_updates'] - due) <= 5

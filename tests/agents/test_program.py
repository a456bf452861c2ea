"""The same program with threads in one process, as for debugging."""

import json
import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))

_PROGRAM = """
import functools, sys
import launchpad as lp
from absl import flags
from agents import ald
from ald_acme import run_folder
from ald_acme.environments import registry

flags.FLAGS(sys.argv[:1])
config = ald.ALDConfig(
    num_actors=2, envs_per_actor=4, num_distillers=2, unroll_length=10,
    dprl=0.5, max_frames=4000, evaluation_episodes=10, loss='vmpo',
    learner_batch=2, distill_batch=2)
folder = run_folder.RunFolder(sys.argv[1])
program, _ = ald.DistributedALD(
    functools.partial(registry.make, 'i_maze', {'size': 5}),
    folder.path, config).build()
lp.launch(program, launch_type='local_mt', serialize_py_nodes=True).wait()
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
  # Launchpad kills the process where a node's thread does not end.
  assert result.returncode == 0, result.stderr[-3000:]
  with open(tmp_path / 'run' / 'summary.json', encoding='utf-8') as file:
    summary = json.load(file)
  assert summary['stopped_because'] == 'max_frames'
  assert summary['frames'] >= 4000
  # Two unroll batches of 40 frames for each learner update.
  assert summary['learner_updates'] >= 40
  due = 0.5 * summary['learner_updates']
  assert abs(summary['actor_updates'] - due) <= 5

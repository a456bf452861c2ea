"""Frames per second against Acme's stock TF IMPALA, side by side in one run.

  uv run --isolated --group benchmarks benchmarks/speed.py

Four measurements on the same 9x9 I-Maze with an LSTM of 64, each in its own
process, one after the other:

  stock acting   Acme's IMPALAActor in Acme's EnvironmentLoop, not learning
  stock loop     Acme's IMPALA agent in the same loop, acting and learning
  ALD acting     one actor of this project, default config, not learning
  ALD system     `launch/local.py`, default config, acting and learning

Start-up and the first updates, in which TensorFlow traces and compiles, are
left out everywhere. (Acme's adders import JAX, which is why the `benchmarks`
dependency group has it.)
"""

import functools
import os
import subprocess
import sys
import tempfile
import time

_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, _ROOT)

from ald_acme import processes
from launch import bootstrap

_SECONDS = 20.0  # Duration of a single-process measurement.
_WARM, _SYSTEM_FRAMES = 100_000, 300_000  # Timed from the one to the other.
_PATIENCE = 240.0  # Seconds for a measurement.
_ATTEMPTS = 3


def stock(learning: bool) -> float:
  """Frames per second of Acme's TF IMPALA."""
  import acme
  from acme import datasets
  from acme.agents.tf import impala
  from acme.tf import networks as acme_networks
  from acme.tf import utils as tf2_utils
  from acme.utils import loggers
  import sonnet as snt
  import tensorflow as tf

  from ald_acme.environments.tasks import i_maze

  class Network(snt.RNNCore):
    """The actor's network in the form of Acme's IMPALA."""

    def __init__(self, num_actions):
      super().__init__()
      self._network = snt.DeepRNN(
        [
          snt.Flatten(),
          snt.Linear(64),
          tf.nn.relu,
          snt.LSTM(64),
          acme_networks.PolicyValueHead(num_actions),
        ]
      )

    def __call__(self, inputs, state):
      return self._network(inputs, state)

    def initial_state(self, batch_size, **kwargs):
      return self._network.initial_state(batch_size)

    def unroll(self, inputs, state, sequence_length):
      return snt.static_unroll(self._network, inputs, state, sequence_length)

  environment = i_maze.IMaze(seed=0)
  spec = acme.make_environment_spec(environment)
  network = Network(spec.actions.num_values)
  silent = loggers.NoOpLogger()
  if learning:
    # Acme's default of 12 parallel readers deadlocks: each holds a part of the
    # first batch.
    datasets.make_reverb_dataset = functools.partial(
      datasets.make_reverb_dataset, num_parallel_calls=1
    )
    agent = impala.IMPALA(
      environment_spec=spec,
      network=network,
      sequence_length=40,
      sequence_period=40,
      batch_size=32,
      logger=silent,
    )
  else:
    tf2_utils.create_variables(network, [spec.observations])
    agent = impala.IMPALAActor(network)
  loop = acme.EnvironmentLoop(environment, agent, logger=silent)
  loop.run(num_steps=3_000)  # Traces the functions, and learns once.
  frames, began = 0, time.monotonic()
  while time.monotonic() - began < _SECONDS:
    frames += loop.run_episode()['episode_length']
  return frames / (time.monotonic() - began)


def acting() -> float:
  """Frames per second of one actor whose unrolls are discarded."""
  import acme
  from acme.utils import counting

  from agents.actor_critic import acting as agent_acting
  from agents.ald import config as ald_config
  from agents.ald import networks as ald_networks
  from ald_acme.environments.tasks import i_maze
  from ald_acme.replay import adder as ald_adder

  class Nowhere:
    def write(self, step, select):
      return True

  config = ald_config.ALDConfig()
  environment = i_maze.BatchedIMaze(config.envs_per_actor)
  spec = acme.make_environment_spec(environment)
  counter = counting.Counter()
  network = ald_networks.make_default_networks(spec).actor
  adder = ald_adder.UnrollAdder(Nowhere(), config.unroll_length)
  loop = agent_acting.UnrollLoop(
    environment,
    agent_acting.RecurrentActor(network, seed=0, adder=adder),
    adder,
    config.unroll_length,
    counter,
  )
  loop.step()
  frames = counter.get_counts()['frames']
  began = time.monotonic()
  while time.monotonic() - began < _SECONDS:
    loop.step()
  return (counter.get_counts()['frames'] - frames) / (time.monotonic() - began)


def system() -> float:
  """Frames per second of the whole program, once it is warm."""
  from ald_acme.runs import curves
  from ald_acme.runs import folder as run_folder

  with tempfile.TemporaryDirectory() as folder:
    workdir = os.path.join(folder, 'run')
    subprocess.run(
      [
        sys.executable,
        os.path.join(_ROOT, 'launch', 'local.py'),
        f'--workdir={workdir}',
        f'--max_frames={_SYSTEM_FRAMES}',
      ],
      check=True,
      stdout=subprocess.DEVNULL,
    )
    log = curves.read(run_folder.RunFolder(workdir), 'evaluator')
  warm = [
    row for row in zip(log['frames'], log['wall_seconds']) if row[0] >= _WARM
  ]
  (first, began), (last, ended) = warm[0], warm[-1]
  return (last - first) / (ended - began)


_MEASUREMENTS = {
  'stock acting': lambda: stock(learning=False),
  'stock loop': lambda: stock(learning=True),
  'ALD acting': acting,
  'ALD system': system,
}


def _measure(name: str) -> float:
  """Runs one measurement in a new process with one thread a pool."""
  environment = {**os.environ, 'TF_CPP_MIN_LOG_LEVEL': '3'}
  if name != 'ALD system':  # The launcher sets its own nodes' threads.
    environment.update(
      TF_NUM_INTRAOP_THREADS='1',
      TF_NUM_INTEROP_THREADS='1',
      OMP_NUM_THREADS='1',
    )
  for _ in range(_ATTEMPTS):
    try:
      printed = subprocess.run(
        [sys.executable, os.path.abspath(__file__), name],
        check=True,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        timeout=_PATIENCE,
      ).stdout
    except subprocess.TimeoutExpired:
      # Acme's parallel readers may deadlock, each with a part of a batch.
      print(f'{name} deadlocked; retrying', flush=True)
    else:
      return float(printed.splitlines()[-1])
  raise RuntimeError(f'{name} deadlocked {_ATTEMPTS} times.')


def main():
  bootstrap.prepare()
  if len(sys.argv) > 1:
    print(_MEASUREMENTS[sys.argv[1]](), flush=True)
    os._exit(0)  # Acme's agent owns a server that takes long to close.
  print(
    f'{processes.usable_cores()} cores; frames per second, start-up excluded'
  )
  speeds = {}
  for name in _MEASUREMENTS:
    speeds[name] = _measure(name)
    print(f'{name:14} {speeds[name]:10,.0f}', flush=True)
  for ours, theirs in (
    ('ALD acting', 'stock acting'),
    ('ALD acting', 'stock loop'),
    ('ALD system', 'stock loop'),
  ):
    print(f'{ours} / {theirs}: {speeds[ours] / speeds[theirs]:.0f}x')


if __name__ == '__main__':
  main()

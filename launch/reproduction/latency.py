"""Measures the latency of acting with each network, on one CPU thread.

  python launch/reproduction/latency.py OUT.csv STEPS PRESET [PRESET ...]

A step goes from the time step of one environment to a sampled action. The time
of the environment is excluded.
"""

import os
import sys

if __package__ in (None, ''):  # Run as a script: packages are two folders up.
  _HERE = os.path.dirname(os.path.abspath(__file__))
  sys.path[0] = os.path.dirname(os.path.dirname(_HERE))

from launch import bootstrap

bootstrap.prepare()

from ald_acme.networks import sizes
from launch import provenance
from launch.campaigns import tables

_WARM_UP = 20  # Steps.


def main(arguments: list[str]) -> None:
  path, steps, *presets = arguments
  # Read when TensorFlow is imported.
  os.environ['TF_NUM_INTRAOP_THREADS'] = '1'
  os.environ['TF_NUM_INTEROP_THREADS'] = '1'
  os.environ['CUDA_VISIBLE_DEVICES'] = '-1'
  rows = [row for preset in presets for row in measure(preset, int(steps))]
  tables.write_csv(path, rows)


def measure(preset: str, steps: int) -> tables.Rows:
  """Times steps of both networks in the 9x9 I-Maze.

  Args:
    preset: preset of the networks' sizes.
    steps: number of steps to time.

  Returns:
    A row for each network: its runtime, and the 50th and 99th percentile in
    milliseconds.
  """
  import acme

  from agents.ald import networks
  from ald_acme.acting import policies
  from ald_acme.deployment import latency
  from ald_acme.environments.tasks import i_maze

  environment = i_maze.BatchedIMaze(batch_size=1)
  spec = acme.make_environment_spec(environment)
  timestep = environment.reset()
  made = networks.make_default_networks(spec, sizes.PRESETS[preset])
  rows = []
  for name, network in (('LSTM', made.actor), ('GTrXL', made.learner)):
    policy = policies.BatchedPolicy(network, spec.observations, 1, seed=0)

    def act(policy: policies.BatchedPolicy = policy) -> None:
      policy.step(policy.inputs(timestep))

    measured = latency.measure(act, steps, _WARM_UP)
    rows.append(
      {
        'network': name,
        'preset': preset,
        'steps': steps,
        'runtime': policy.runtime,
        'p50_ms': round(measured.p50 / 1e3, 4),
        'p99_ms': round(measured.p99 / 1e3, 4),
        'commit': provenance.commit() or 'unknown',
      }
    )
  return rows


if __name__ == '__main__':
  main(sys.argv[1:])

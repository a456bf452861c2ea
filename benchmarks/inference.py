"""Latency of a step of acting in each runtime, in microseconds.

  uv run benchmarks/inference.py
  uv run --extra onnx benchmarks/inference.py --actions=continuous:6

The networks of the preset `small` in 1, 16 and 100 9x9 I-Mazes, one thread:
TensorFlow's `tf.function`, one XLA kernel, and TensorFlow Lite. It prints the
least mean of five rounds.

Then the exported LSTM in each format in one maze, from an observation to an
action: percentiles over 2,000 steps. `--actions` replaces the maze's actions:
`continuous:N` is a vector of N numbers, `discrete:N` a choice among N.
"""

import argparse
import functools
import os
import sys
import tempfile
import time

_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, _ROOT)

from ald_acme import processes
from benchmarks import one_thread

_ROUNDS, _STEPS = 5, 200
_PERCENTS = ('p50', 'p99')


def _microseconds(step) -> float:
  step()

  def timed():
    began = time.perf_counter()
    for _ in range(_STEPS):
      step()
    return (time.perf_counter() - began) / _STEPS * 1e6

  return min(timed() for _ in range(_ROUNDS))


def _in_tensorflow(network, inputs, batch_size: int):
  """A step in a plain `tf.function`."""
  import tensorflow as tf
  import tree

  function = tf.function(network.__call__, autograph=False)
  state = network.initial_state(batch_size)

  def step():
    tensors = tree.map_structure(tf.convert_to_tensor, inputs)
    outputs, _ = function(tensors, state)
    return outputs.policy.numpy()

  return step


def _spec(actions: str):
  """The I-Maze's spec with other actions; '' keeps its own."""
  import acme
  from dm_env import specs
  import numpy as np

  from ald_acme.environments.tasks import i_maze

  spec = acme.make_environment_spec(i_maze.BatchedIMaze())
  kind, _, count = actions.partition(':')
  if kind == 'continuous':
    bounds = specs.BoundedArray((int(count),), np.float32, -1, 1)
    return spec._replace(actions=bounds)
  if kind == 'discrete':
    return spec._replace(actions=specs.DiscreteArray(int(count)))
  return spec


def measure_exports(spec):
  """Prints a row for each format."""
  from agents.ald import networks as ald_networks
  from ald_acme.deployment import act
  from ald_acme.deployment import exporting
  from ald_acme.deployment import latency
  from ald_acme.deployment import step as steps

  actor = ald_networks.make_default_networks(spec).actor
  step = steps.Step(actor, spec)
  print(
    '\nthe exported LSTM, one maze' + ''.join(f'{x:>12}' for x in _PERCENTS)
  )
  for form in act.FORMATS:
    with tempfile.TemporaryDirectory() as folder:
      try:
        exporting.export(step, form, folder, {})
      except ValueError as error:  # ONNX is an optional extra.
        print(f'{form:27} {error}')
        continue
      policy = act.load(folder)
      observation = policy.blank()
      measured = latency.measure(functools.partial(policy.act, observation))
      print(f'{form:27}' + ''.join(f'{us:12,.0f}' for us in measured))


def measure(batch_size: int, spec):
  """Prints a row for each network."""
  import numpy as np
  import tree

  from agents.ald import networks as ald_networks
  from ald_acme.acting.inference import lite
  from ald_acme.acting.inference import xla
  from ald_acme.networks import inputs as network_inputs

  made = ald_networks.make_default_networks(spec)
  inputs = tree.map_structure(
    lambda s: np.zeros(s.shape, s.dtype.as_numpy_dtype),
    network_inputs.specs(
      spec.observations, made.actor.distribution, [batch_size]
    ),
  )
  for name, network in (('LSTM', made.actor), ('GTrXL', made.learner)):
    row = [_microseconds(_in_tensorflow(network, inputs, batch_size))]
    for runtime in (xla.XLAStep, lite.LiteStep):
      step = runtime(network, spec.observations, batch_size)
      row.append(_microseconds(functools.partial(step, inputs)))
    print(f'{name:8}{batch_size:5}', *(f'{us:12,.0f}' for us in row))


def main():
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument(
    '--actions', default='', help='continuous:N or discrete:N'
  )
  actions = parser.parse_args().actions
  one_thread.prepare()
  print(f'{processes.usable_cores()} cores; microseconds of a step')
  print(
    f'{"":8}{"mazes":>5}', *(f'{x:>12}' for x in ('TensorFlow', 'XLA', 'Lite'))
  )
  spec = _spec(actions)
  for batch_size in (1, 16, 100):
    measure(batch_size, spec)
  measure_exports(spec)


if __name__ == '__main__':
  main()

"""Microseconds of a step of acting in each runtime, side by side in one run.

  uv run benchmarks/inference.py

Steps of the 9x9 I-Maze's networks of the preset `small` for 1, 16 and 100
mazes, one thread: TensorFlow's `tf.function`, one XLA kernel, and TensorFlow
Lite. The least mean of five rounds.
"""

import functools
import os
import sys
import time

_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, _ROOT)

from ald_acme import processes
from benchmarks import one_thread

_ROUNDS, _STEPS = 5, 200


def _microseconds(step) -> float:
  step()

  def timed():
    began = time.perf_counter()
    for _ in range(_STEPS):
      step()
    return (time.perf_counter() - began) / _STEPS * 1e6

  return min(timed() for _ in range(_ROUNDS))


def _in_tensorflow(network, inputs, batch_size: int):
  """A step as a plain `tf.function`."""
  import tensorflow as tf
  import tree

  function = tf.function(network.__call__, autograph=False)
  state = network.initial_state(batch_size)

  def step():
    tensors = tree.map_structure(tf.convert_to_tensor, inputs)
    outputs, _ = function(tensors, state)
    return outputs.policy.numpy()

  return step


def measure(batch_size: int):
  """Prints a row for each network."""
  import acme
  import numpy as np
  import tree

  from agents.ald import networks as ald_networks
  from ald_acme.acting.inference import lite
  from ald_acme.acting.inference import specs
  from ald_acme.acting.inference import xla
  from ald_acme.environments import i_maze

  spec = acme.make_environment_spec(i_maze.BatchedIMaze(batch_size))
  inputs = tree.map_structure(
    lambda s: np.zeros(s.shape, s.dtype.as_numpy_dtype),
    specs.inputs(spec.observations, batch_size),
  )
  made = ald_networks.make_default_networks(spec)
  for name, network in (('LSTM', made.actor), ('GTrXL', made.learner)):
    row = [_microseconds(_in_tensorflow(network, inputs, batch_size))]
    for runtime in (xla.XLAStep, lite.LiteStep):
      step = runtime(network, spec.observations, batch_size)
      row.append(_microseconds(functools.partial(step, inputs)))
    print(f'{name:8}{batch_size:5}', *(f'{us:12,.0f}' for us in row))


def main():
  one_thread.prepare()
  print(f'{processes.usable_cores()} cores; microseconds of a step')
  print(
    f'{"":8}{"mazes":>5}', *(f'{x:>12}' for x in ('TensorFlow', 'XLA', 'Lite'))
  )
  for batch_size in (1, 16, 100):
    measure(batch_size)


if __name__ == '__main__':
  main()

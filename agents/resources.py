"""Threads and devices of the nodes of a program."""

import os

import launchpad as lp
from launchpad.nodes.python import local_multi_processing

from agents import cuda
from ald_acme import processes


class Accelerated(lp.CourierNode):
  """A node that gets the accelerator and half of the cores."""


class AcceleratedLoop(lp.PyNode):
  """As `Accelerated`, without methods for other nodes."""


def local(
  program: lp.Program,
) -> dict[str, local_multi_processing.PythonProcess]:
  """Threads and devices of each node for a local launch.

  TensorFlow starts a thread pool of all cores in each process, which thrashes
  on few cores. Only the learner and nodes that a builder marks see
  accelerators; any other process would reserve their memory.
  """
  half = max(1, processes.usable_cores() // 2)
  found = {}
  for label, nodes in program.groups.items():
    learns = isinstance(nodes[0], Accelerated | AcceleratedLoop)
    environment = {
      **threads(half if learns else 1),
      'TF_CPP_MIN_LOG_LEVEL': '2',
      'TF_FORCE_GPU_ALLOW_GROWTH': 'true',
    }
    if learns:
      own = {k: os.environ.get(k, v) for k, v in cuda.CACHE.items()}
      environment.update(own)
      if cuda.find():
        environment[cuda.LOAD] = '1'
    else:
      environment['CUDA_VISIBLE_DEVICES'] = '-1'
    found[label] = local_multi_processing.PythonProcess(env=environment)
  return found


def threads(number: int) -> dict[str, str]:
  """Environment variables of a node with so many TensorFlow threads."""
  return {
    'TF_NUM_INTRAOP_THREADS': str(number),
    'TF_NUM_INTEROP_THREADS': '1',
    'OMP_NUM_THREADS': '1',
    'OPENBLAS_NUM_THREADS': '1',
    # Off by default in TensorFlow 2.8; makes matrix products faster.
    'TF_ENABLE_ONEDNN_OPTS': '1',
  }

"""Loads CUDA from PyPI's wheels, where TensorFlow 2.8 does not look for it.

TensorFlow opens CUDA's libraries by name during its import, and registers no
GPU kernels if they are missing. A library that the process has already loaded
is found by name in any folder, so accelerated nodes load them first. They need
a fresh process, because the fork server has already imported TensorFlow.
"""

import ctypes
import os
import sys

from absl import logging

# Of CUDA 11 and cuDNN 8; the extra `cuda` of the project.
WHEELS = (
  'nvidia-cublas-cu11==11.11.3.6',
  'nvidia-cuda-runtime-cu11==11.8.89',
  'nvidia-cudnn-cu11==8.9.6.50',
  'nvidia-cufft-cu11==10.9.0.58',
  'nvidia-curand-cu11==10.3.0.86',
  'nvidia-cusolver-cu11==11.4.1.48',
  'nvidia-cusparse-cu11==11.7.5.86',
)
LOAD = 'ALD_LOAD_CUDA'  # Set in nodes that load CUDA before TensorFlow.
# The driver's own 256 MB cannot hold TensorFlow's kernels for a newer card.
CACHE = {'CUDA_CACHE_MAXSIZE': '4294967296'}
# Compute capability of the newest cards that TensorFlow 2.8 has kernels for;
# those run on all cards of the same major version.
_NEWEST = (8, 0)
# Libraries of TensorFlow 2.8 in order of dependency, each with its package in
# `nvidia`. cuDNN opens its parts on demand.
_LIBRARIES = (
  ('cuda_runtime', 'libcudart.so.11.0'),
  ('cublas', 'libcublasLt.so.11'),
  ('cublas', 'libcublas.so.11'),
  ('cufft', 'libcufft.so.10'),
  ('curand', 'libcurand.so.10'),
  ('cusparse', 'libcusparse.so.11'),
  ('cusolver', 'libcusolver.so.11'),
  ('cudnn', 'libcudnn.so.8'),
)


def load(path: list[str] | None = None) -> list[str]:
  """Loads the CUDA libraries of installed wheels, if any.

  Call it before TensorFlow is imported.

  Args:
    path: folders to search; by default `sys.path`.

  Returns:
    The names of the loaded libraries, as TensorFlow asks for them.
  """
  files = find(path)
  for file in files:
    ctypes.CDLL(file, ctypes.RTLD_GLOBAL)
  return [os.path.basename(file) for file in files]


def find(path: list[str] | None = None) -> list[str]:
  """Paths of the wheels' libraries, in order of dependency.

  Args:
    path: folders to search; by default `sys.path`.
  """
  found = []
  for package, name in _LIBRARIES:
    for folder in sys.path if path is None else path:
      file = os.path.join(folder, 'nvidia', package, 'lib', name)
      if os.path.exists(file):
        found.append(file)
        break
  return found


def environment(path: list[str] | None = None) -> dict[str, str]:
  """Environment variables for a new process to find the wheels' libraries.

  Args:
    path: folders to search; by default `sys.path`.
  """
  folders = [os.path.dirname(file) for file in find(path)]
  if not folders:
    return {}
  earlier = os.environ.get('LD_LIBRARY_PATH')
  joined = os.pathsep.join([*folders, *filter(None, [earlier])])
  return {'LD_LIBRARY_PATH': joined}


def report() -> None:
  """Logs this process's accelerators, and whether kernels must be compiled.

  Without the message a first start on a newer card looks like a hang, because
  TensorFlow's own is below the level of the nodes' logs.
  """
  import tensorflow as tf

  for device in tf.config.list_physical_devices('GPU'):
    details = tf.config.experimental.get_device_details(device)
    capability = details.get('compute_capability', _NEWEST)
    logging.warning('Using %s.', details.get('device_name', device))
    if capability[0] > _NEWEST[0]:
      logging.warning(
        'TensorFlow has no kernels for compute capability %d.%d: at the first '
        'start the driver compiles them, which takes many minutes. It caches '
        'them in CUDA_CACHE_PATH (~/.nv/ComputeCache by default).',
        *capability,
      )

"""Environment variables of a single-threaded benchmark on a CPU."""

import os

from launch import bootstrap

_ENVIRONMENT = {
  'TF_NUM_INTRAOP_THREADS': '1',
  'TF_NUM_INTEROP_THREADS': '1',
  'OMP_NUM_THREADS': '1',
  'OPENBLAS_NUM_THREADS': '1',
  'TF_ENABLE_ONEDNN_OPTS': '1',  # As in `agents.resources.threads`.
  'TF_CPP_MIN_LOG_LEVEL': '3',
  'CUDA_VISIBLE_DEVICES': '-1',
}


def prepare():
  """Sets the variables; call it before importing TensorFlow."""
  bootstrap.prepare()
  os.environ.update(_ENVIRONMENT)

"""Environment variables of a single-threaded benchmark on a CPU."""

import os

from launch import bootstrap

_ENVIRONMENT = {
  'TF_NUM_INTRAOP_THREADS': '1',
  'TF_NUM_INTEROP_THREADS': '1',
  'OMP_NUM_THREADS': '1',
  'OPENBLAS_NUM_THREADS': '1',
  'TF_ENABLE_ONEDNN_OPTS': '1',  # As `agents.resources.threads` has it.
  'TF_CPP_MIN_LOG_LEVEL': '3',
  'CUDA_VISIBLE_DEVICES': '-1',
}


def prepare():
  """Sets them; call it before TensorFlow is imported."""
  bootstrap.prepare()
  os.environ.update(_ENVIRONMENT)

"""CUDA from wheels of PyPI, where TensorFlow 2.8 does not look for it.

TensorFlow opens CUDA's libraries by their names while it is imported, and
registers no kernels for an accelerator if they are not found. A library that
the process has already loaded is found by its name, wherever it lies; so nodes
that use an accelerator load them first, in a process of their own: the fork
server has imported TensorFlow before.
"""

import ctypes
import os
import sys

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
LOAD = 'ALD_LOAD_CUDA'  # Set for nodes that load them before TensorFlow.
# What TensorFlow 2.8 wants, each after those that it needs itself; the package
# of each within `nvidia`. cuDNN opens its parts when they are needed.
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
  """Loads the CUDA libraries of installed wheels, if there are any.

  Call it before TensorFlow is imported.

  Args:
    path: folders to look in; by default those that Python imports from.

  Returns:
    The names of what was loaded, as TensorFlow asks for them.
  """
  files = find(path)
  for file in files:
    ctypes.CDLL(file, ctypes.RTLD_GLOBAL)
  return [os.path.basename(file) for file in files]


def find(path: list[str] | None = None) -> list[str]:
  """Paths of the wheels' libraries, each after those that it needs.

  Args:
    path: folders to look in; by default those that Python imports from.
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
  """Variables with which a new process finds the wheels' libraries.

  Args:
    path: folders to look in; by default those that Python imports from.
  """
  folders = [os.path.dirname(file) for file in find(path)]
  if not folders:
    return {}
  earlier = os.environ.get('LD_LIBRARY_PATH')
  joined = os.pathsep.join([*folders, *filter(None, [earlier])])
  return {'LD_LIBRARY_PATH': joined}

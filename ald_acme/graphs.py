"""`tf.function` without its memory leak, for programs that run for days.

TensorFlow 2.8 creates a rendezvous for each call of a function that XLA does
not compile and frees it only at exit: about 400 bytes per call, 100 MB per hour
in a learner. (TensorFlow 2.12 frees each after its call.) The eager context can
make all calls share one. That setting has no Python API, so it is called by its
symbol in the library.
"""

from collections.abc import Callable
import ctypes
import functools
from typing import Any

from absl import logging
import tensorflow as tf
from tensorflow.python import _pywrap_tensorflow_internal as library
from tensorflow.python.eager import context as eager_context

_VERSION = '2.8.'  # The TensorFlow version that needs this and was tested.
_SHARE = '_ZN10tensorflow12EagerContext30SetReuseRendezvousForFunctionsEb'


def function(
  f: Callable[..., Any], **options: Any
) -> tf.types.experimental.GenericFunction:
  """As `tf.function` without autograph; calls leak no memory.

  Args:
    f: the function to compile.
    **options: arguments of `tf.function`.
  """
  share_rendezvous()
  return tf.function(f, autograph=False, **options)


@functools.lru_cache
def share_rendezvous() -> bool:
  """Makes all function calls of this process share one rendezvous.

  On a single device nothing passes through it. With an accelerator tensors do,
  and concurrent functions could receive each other's, so TensorFlow's default
  is kept there.

  Returns:
    Whether the rendezvous is shared.
  """
  if not tf.__version__.startswith(_VERSION):
    return False
  context = eager_context.context()
  context.ensure_initialized()
  if context.num_gpus():
    return False
  try:
    share = getattr(ctypes.CDLL(library.__file__), _SHARE)
  except (AttributeError, OSError) as error:  # A custom build.
    logging.warning('TensorFlow leaks 400 bytes per call: %s', error)
    return False
  pointer = ctypes.pythonapi.PyCapsule_GetPointer
  pointer.restype = ctypes.c_void_p
  pointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
  share.restype, share.argtypes = None, [ctypes.c_void_p, ctypes.c_bool]
  share(pointer(context._handle, None), True)
  return True

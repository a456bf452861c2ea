"""Functions that TensorFlow compiles to graphs, for programs that run for days.

TensorFlow 2.8 makes a rendezvous for each call of a function that XLA does not
compile, and keeps it: about 400 bytes a call, 100 MB an hour of a learner. (The
table of them is emptied when the process ends; from 2.12 on each is freed with
its call.) Its eager context can have all calls share one. The setting has no
public name, so it is called by its symbol in the library.
"""

from collections.abc import Callable
import ctypes
import functools
from typing import Any

from absl import logging
import tensorflow as tf
from tensorflow.python import _pywrap_tensorflow_internal as library
from tensorflow.python.eager import context as eager_context

_VERSION = '2.8.'  # Of TensorFlow, in which it is needed and was tried.
_SHARE = '_ZN10tensorflow12EagerContext30SetReuseRendezvousForFunctionsEb'


def function(f: Callable[..., Any], **options) -> Callable[..., Any]:
  """As `tf.function` without autograph; calls gather no memory.

  Args:
    f: to compile.
    **options: of `tf.function`.
  """
  share_rendezvous()
  return tf.function(f, autograph=False, **options)


@functools.lru_cache
def share_rendezvous() -> bool:
  """Has all calls of functions in this process share a rendezvous.

  Where functions run on one device nothing ever goes through it. With an
  accelerator tensors do, and functions that run at the same time might take
  each other's; so there everything stays as TensorFlow has it.

  Returns:
    Whether they do.
  """
  if not tf.__version__.startswith(_VERSION):
    return False
  context = eager_context.context()
  context.ensure_initialized()
  if context.num_gpus():
    return False
  try:
    share = getattr(ctypes.CDLL(library.__file__), _SHARE)
  except (AttributeError, OSError) as error:  # A build of one's own.
    logging.warning('TensorFlow loses 400 bytes with each call: %s', error)
    return False
  pointer = ctypes.pythonapi.PyCapsule_GetPointer
  pointer.restype = ctypes.c_void_p
  pointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
  share.restype, share.argtypes = None, [ctypes.c_void_p, ctypes.c_bool]
  share(pointer(context._handle, None), True)
  return True

"""`tf.function` without its memory leak, for programs that run for days.

TensorFlow 2.8 creates a rendezvous for each call of a function that XLA does
not compile and frees it only at exit: about 400 bytes per call, 100 MB per hour
in a learner. (TensorFlow 2.12 frees each after its call.) The eager context can
make all calls share one. That setting has no Python API, so it is called by its
symbol in the library.
"""

from collections.abc import Callable, Sequence
import ctypes
import functools
from typing import Any

from absl import logging
import tensorflow as tf
from tensorflow.python import _pywrap_tensorflow_internal as library
from tensorflow.python.eager import context as eager_context
import tree

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


class FlatFunction:
  """As `function`, with cheaper calls for nests of many tensors.

  `tf.function` inspects its arguments in Python: 0.9 ms for a batch of unrolls.
  This one passes their leaves to a graph that takes nothing else. All calls
  must have the same structure, which is not checked; each set of shapes and
  dtypes has its own graph.
  """

  def __init__(self, f: Callable[..., Any]) -> None:
    """Makes no graph yet.

    Args:
      f: a function of nests of tensors or arrays.
    """
    self._f = f
    self._graphs: dict[Any, Any] = {}

  def __call__(self, *arguments: Any) -> Any:
    leaves = [tf.convert_to_tensor(x) for x in tree.flatten(arguments)]
    graph = self._graph(arguments, leaves)
    if not tf.__version__.startswith(_VERSION):
      return graph(*leaves)
    # The public call checks each leaf in Python, which takes as long.
    return graph._call_flat(leaves, graph.captured_inputs)

  @property
  def num_graphs(self) -> int:
    """Number of graphs made so far, one for each set of shapes and dtypes."""
    return len(self._graphs)

  def get_concrete_function(self, *arguments: Any) -> Any:
    """The graph for such arguments, which takes their leaves."""
    leaves = [tf.convert_to_tensor(x) for x in tree.flatten(arguments)]
    return self._graph(arguments, leaves)

  def _graph(self, like: Any, leaves: Sequence[tf.Tensor]) -> Any:
    key = tuple((tuple(leaf.shape), leaf.dtype) for leaf in leaves)
    if key not in self._graphs:
      # The graph keeps the structure, not the data.
      like = tree.map_structure(lambda _: 0, like)
      flat = function(lambda *given: self._f(*tree.unflatten_as(like, given)))
      self._graphs[key] = flat.get_concrete_function(
        *(tf.TensorSpec(leaf.shape, leaf.dtype) for leaf in leaves)
      )
    return self._graphs[key]


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

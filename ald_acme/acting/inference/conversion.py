"""Conversion to TensorFlow Lite."""

from collections.abc import Iterator
import contextlib
import os
import re
import sys
import tempfile
import threading

from absl import logging
import tensorflow as tf

# The converter is not documented as reentrant, and a process has one output.
_CONVERTING = threading.Lock()
# TensorFlow Lite prints these at every conversion, at any log level.
_CHATTER = re.compile(
  rb'\s*$|Estimated count of arithmetic ops|INFO: Created TensorFlow Lite'
)


def convert(converter: tf.lite.TFLiteConverter) -> bytes:
  """Converts a model, with TensorFlow Lite's built-in operations only.

  Args:
    converter: of the model.

  Raises:
    ValueError: if they do not support the model.
  """
  converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
  try:
    with quiet():
      return converter.convert()
  except Exception as error:  # The converter's exception is not public.
    raise ValueError(
      "TensorFlow Lite's built-in operations do not support this network "
      f'({(str(error) or type(error).__name__).splitlines()[0]})'
    ) from error


@contextlib.contextmanager
def quiet() -> Iterator[None]:
  """Captures the process's output, and drops TensorFlow Lite's chatter.

  C++ writes to the descriptors, not to `sys.stdout`. The other lines, including
  other threads', go to stderr at the end. One thread at a time may do this;
  others wait.
  """
  with _CONVERTING, tempfile.TemporaryFile() as held:
    sys.stdout.flush()
    sys.stderr.flush()
    verbosity = logging.get_verbosity()
    kept = [os.dup(descriptor) for descriptor in (1, 2)]
    logging.set_verbosity(logging.WARNING)  # Conversions log assets.
    try:
      for descriptor in (1, 2):
        os.dup2(held.fileno(), descriptor)
      yield
    finally:
      logging.set_verbosity(verbosity)
      for descriptor, before in zip((1, 2), kept):
        os.dup2(before, descriptor)
        os.close(before)
      held.seek(0)
      for line in held:
        if not _CHATTER.match(line):
          os.write(2, line)

"""Suppresses the output of TensorFlow Lite's converter."""

from collections.abc import Iterator
import contextlib
import os
import re
import sys
import tempfile

from absl import logging

# TensorFlow Lite prints these at every conversion, at any log level.
_CHATTER = re.compile(
  rb'\s*$|Estimated count of arithmetic ops|INFO: Created TensorFlow Lite'
)


@contextlib.contextmanager
def conversion() -> Iterator[None]:
  """Captures the process's output, and drops harmless messages.

  C++ writes to the descriptors, not to `sys.stdout`. The other lines, including
  other threads', go to stderr at the end.
  """
  sys.stdout.flush()
  sys.stderr.flush()
  verbosity = logging.get_verbosity()
  with tempfile.TemporaryFile() as held:
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

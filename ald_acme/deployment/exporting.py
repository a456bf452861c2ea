"""Export of a policy: its files and their manifest."""

from collections.abc import Iterator, Mapping
import contextlib
import hashlib
import os
import platform
import shutil
import tempfile
from typing import Any

import numpy as np
import tensorflow as tf

from ald_acme.deployment import act
from ald_acme.deployment import formats
from ald_acme.deployment import step as steps
from ald_acme.runs import files

_PRODUCER = 'ald_acme'
_SCRIPT = os.path.basename(act.__file__)


def export(
  step: steps.Step, form: str, folder: str, run: Mapping[str, Any]
) -> None:
  """Writes a policy, its `manifest.json`, and `act.py` to run it.

  Args:
    step: the policy's step.
    form: one of `act.FORMATS`.
    folder: an empty folder.
    run: the origin of the policy, for the manifest.

  Raises:
    ValueError: if the format does not support the policy.
  """
  formats.WRITERS[form](step, folder)
  manifest = {
    'producer': _PRODUCER,
    'format': form,
    **step.describe(),
    'run': dict(run),
    'versions': {
      'python': platform.python_version(),
      'tensorflow': tf.__version__,
      'numpy': np.__version__,
    },
    'files': {name: _fingerprint(folder, name) for name in _files(folder)},
  }
  files.write_json(os.path.join(folder, act.MANIFEST), manifest)
  shutil.copyfile(act.__file__, os.path.join(folder, _SCRIPT))


@contextlib.contextmanager
def replacing(path: str) -> Iterator[str]:
  """Creates a folder that replaces `path` when complete.

  Args:
    path: the folder, whose parent must exist. It replaces an earlier export.

  Yields:
    An empty folder. If the body raises, `path` stays unchanged.

  Raises:
    ValueError: if `path` holds anything but an export.
  """
  if os.path.lexists(path) and not _replaceable(path):
    raise ValueError(
      f'{path!r} holds other files than an export; remove it, or choose '
      'another folder.'
    )
  parent, name = os.path.split(os.path.abspath(path))
  with tempfile.TemporaryDirectory(dir=parent, prefix=f'.{name}-') as scratch:
    new = os.path.join(scratch, 'new')
    os.mkdir(new)
    yield new
    if os.path.exists(path):
      os.rename(path, os.path.join(scratch, 'old'))
    os.rename(new, path)


def _replaceable(path: str) -> bool:
  """Whether a folder is empty or holds only an export."""
  if not os.path.isdir(path) or os.path.islink(path):
    return False
  found = {name for name in _files(path) if not name.startswith('__pycache__')}
  try:
    manifest = files.read_json(os.path.join(path, act.MANIFEST))
    exported = manifest['producer'] == _PRODUCER
    own = {act.MANIFEST, _SCRIPT, *manifest['files']}
  except (OSError, ValueError, KeyError, TypeError):
    return not found
  return exported and found <= own


def _files(folder: str) -> list[str]:
  """Paths of all files, relative to the folder."""
  return sorted(
    os.path.relpath(os.path.join(within, name), folder)
    for within, _, names in os.walk(folder)
    for name in names
  )


def _fingerprint(folder: str, name: str) -> dict[str, Any]:
  with open(os.path.join(folder, name), 'rb') as file:
    content = file.read()
  return {
    'bytes': len(content),
    'sha256': hashlib.sha256(content).hexdigest(),
  }

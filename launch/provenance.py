"""The commit that results were produced with."""

import contextlib
import subprocess

from launch import bootstrap


def commit() -> str | None:
  """The commit of the checkout; None without git."""
  with contextlib.suppress(OSError):
    found = subprocess.run(
      ['git', '-C', bootstrap.ROOT, 'rev-parse', 'HEAD'],
      capture_output=True,
      text=True,
      check=False,
    ).stdout.strip()
    return found or None
  return None

"""Packaging: one pinned set of requirements, a wheel with three packages."""

import os
import shutil
import subprocess
import sys
import zipfile

import pytest

from agents import cuda

ROOT = os.path.dirname(os.path.dirname(__file__))

needs_uv = pytest.mark.skipif(not shutil.which('uv'), reason='uv is not here')


@needs_uv
def test_requirements_match_the_lock():
  exported = subprocess.run(
    [
      *('uv', 'export', '--locked', '--no-hashes', '--no-emit-project'),
      *('--no-group', 'public'),
    ],
    cwd=ROOT,
    capture_output=True,
    text=True,
    check=True,
  ).stdout
  with open(os.path.join(ROOT, 'requirements.txt'), encoding='utf-8') as file:
    requirements = file.read()

  def pins(text):
    lines = (line.split('#')[0].strip() for line in text.splitlines())
    return sorted(filter(None, lines))

  assert pins(requirements) == pins(exported)


def test_tensorboard_shows_itself():
  """It imports a module that newer packages no longer have."""
  done = subprocess.run(
    [sys.executable, '-c', 'import tensorboard.main'],
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.returncode == 0, done.stderr


@needs_uv
def test_wheel_holds_the_packages(tmp_path):
  subprocess.run(
    ['uv', 'build', '--wheel', '--out-dir', str(tmp_path)],
    cwd=ROOT,
    capture_output=True,
    check=True,
  )
  (wheel,) = tmp_path.glob('*.whl')
  names = zipfile.ZipFile(wheel).namelist()
  tops = {name.split('/')[0] for name in names if '.dist-info' not in name}
  assert tops == {'ald_acme', 'agents', 'launch'}
  for path in ('launch/local.py', 'agents/ald/builder.py'):
    assert path in names
  (metadata,) = (name for name in names if name.endswith('/METADATA'))
  lines = zipfile.ZipFile(wheel).read(metadata).decode().splitlines()
  found = [line for line in lines if line.endswith("extra == 'cuda'")]
  assert found == [
    f"Requires-Dist: {wheel}; extra == 'cuda'" for wheel in cuda.WHEELS
  ]

"""Python interpreters whose libpython the loader does not find."""

import _ctypes
import os
import shutil
import subprocess
import sys

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))


def python(code, **variables):
  environment = {**os.environ, 'PYTHONPATH': ROOT, **variables}
  return subprocess.run(
    [sys.executable, '-c', code, 'an argument'],
    capture_output=True,
    encoding='utf-8',
    env=environment,
    check=False,
  )


# A name that the loader does not know, as it does not know libpython's there.
_NAME = 'libnowhere3.10.so.1.0'
_NOT_FOUND_AT_FIRST = f"""
import os, sys
from launch import bootstrap
bootstrap._name = lambda: {_NAME!r}
sys.base_prefix = os.environ['PREFIX']
bootstrap.prepare()
print(os.environ['LD_LIBRARY_PATH'], sys.argv)
"""


def test_starts_again_with_the_library_path(tmp_path):
  (tmp_path / 'lib').mkdir()
  shutil.copy(_ctypes.__file__, tmp_path / 'lib' / _NAME)  # Any library.
  result = python(
    _NOT_FOUND_AT_FIRST, PREFIX=str(tmp_path), LD_LIBRARY_PATH='/earlier'
  )
  assert result.returncode == 0, result.stderr
  expected = f"{tmp_path}/lib:/earlier ['-c', 'an argument']"
  assert result.stdout.strip() == expected


def test_a_missing_library_is_named(tmp_path):
  result = python(_NOT_FOUND_AT_FIRST, PREFIX=str(tmp_path))
  assert result.returncode == 1
  assert _NAME in result.stderr
  assert '--enable-shared' in result.stderr
  assert 'Traceback' not in result.stderr


def test_gives_up_after_one_try(tmp_path):
  (tmp_path / 'lib').mkdir()
  (tmp_path / 'lib' / _NAME).write_text('no library')
  result = python(_NOT_FOUND_AT_FIRST, PREFIX=str(tmp_path))
  assert result.returncode == 1
  assert '--enable-shared' in result.stderr


@pytest.mark.parametrize('given, level', [('', '2'), ('0', '0')])
def test_tensorflow_is_quiet_unless_told_otherwise(given, level):
  """Without this an import of TensorFlow prints lines about devices."""
  result = python(
    'import os; name = "TF_CPP_MIN_LOG_LEVEL"\n'
    'os.environ[name] or os.environ.pop(name)\n'
    'from launch import bootstrap; bootstrap.prepare()\n'
    'print(os.environ[name])',
    TF_CPP_MIN_LOG_LEVEL=given,
  )
  assert result.stdout.strip() == level


def test_children_find_the_packages():
  result = python(
    'from launch import bootstrap; bootstrap.prepare(); import os;'
    'print(os.environ["PYTHONPATH"])',
    PYTHONPATH=os.pathsep.join([ROOT, '/mine']),
  )
  assert result.stdout.strip() == os.pathsep.join([ROOT, '/mine'])


_PRINTS = r"""
import os, sys, subprocess
from launch import bootstrap
bootstrap.prepare()
child = subprocess.run(
  [sys.executable, '-c', 'import locale; print(locale.getpreferredencoding())'],
  capture_output=True, text=True,
)
print('\u8ff7\u8def', sys.argv, child.stdout)
with open(os.environ['NOTES'], 'w') as file:
  file.write('\u8ff7\u8def')
"""


@pytest.mark.parametrize('locale', ['C', 'POSIX', 'en_US.ISO-8859-1'])
def test_any_script_in_any_locale(tmp_path, locale):
  path = tmp_path / '迷路'
  result = python(_PRINTS, LC_ALL=locale, PYTHONUTF8='0', NOTES=str(path))
  assert result.returncode == 0, result.stderr
  assert 'UTF-8' in result.stdout and '迷路' in result.stdout
  assert path.read_text(encoding='utf-8') == '迷路'

"""Pythons whose libpython the loader does not find."""

import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))


def python(code, **variables):
  environment = {**os.environ, 'PYTHONPATH': ROOT, **variables}
  return subprocess.run(
    [sys.executable, '-c', code, 'an argument'],
    capture_output=True,
    text=True,
    env=environment,
    check=False,
  )


_NOT_FOUND_AT_FIRST = """
import os, sys
from launch import bootstrap
bootstrap._loads = lambda: bootstrap._MARK in os.environ
bootstrap._library_folder = lambda: '/some/lib'
bootstrap.prepare()
print(os.environ['LD_LIBRARY_PATH'], sys.argv)
"""


def test_starts_again_with_the_library_path():
  result = python(_NOT_FOUND_AT_FIRST, LD_LIBRARY_PATH='/earlier')
  assert result.returncode == 0, result.stderr
  assert result.stdout.strip() == "/some/lib:/earlier ['-c', 'an argument']"


def test_says_what_is_wrong_when_there_is_no_library():
  code = _NOT_FOUND_AT_FIRST.replace("'/some/lib'", 'None')
  result = python(code)
  assert result.returncode == 1
  assert 'libpython3.10.so.1.0' in result.stderr
  assert '--enable-shared' in result.stderr
  assert 'Traceback' not in result.stderr


def test_gives_up_after_one_try():
  code = _NOT_FOUND_AT_FIRST.replace('bootstrap._MARK in os.environ', 'False')
  assert python(code).returncode == 1


def test_children_find_the_packages():
  result = python(
    'from launch import bootstrap; bootstrap.prepare(); import os;'
    'print(os.environ["PYTHONPATH"])',
    PYTHONPATH=os.pathsep.join([ROOT, '/mine']),
  )
  assert result.stdout.strip() == os.pathsep.join([ROOT, '/mine'])

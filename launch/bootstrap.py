"""Prepares the process before its libraries are imported.

A program of one's own calls `prepare` once, before it imports anything of
`agents`, `ald_acme`, Acme or TensorFlow.

Python and its children read and write text as UTF-8, whatever the locale is:
paths and environments' names may be of any script.

Courier's library needs `libpython3.10.so.1.0` on the loader's path. Pythons
that were built without a shared library on that path (uv's own downloads,
conda) have the file beside them but do not say so; see launchpad issue 30.
"""

import ctypes
import locale
import os
import sys
import sysconfig

_MARK = 'ALD_LIBRARY_PATH_SET'
_UTF8 = 'PYTHONUTF8'
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def prepare():
  """Sets up UTF-8, libpython and the import path, also for child processes.

  Where Python has another encoding, the program is started again with UTF-8.
  Where libpython is not found by the loader but lies beside the interpreter,
  it is started again with the library path set; where it lies nowhere, the
  program ends with what to do about it. TensorFlow is told to log errors alone,
  unless TF_CPP_MIN_LOG_LEVEL says otherwise.
  """
  os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')
  if not _is_utf8():
    os.environ[_UTF8] = '1'
    # The option too: variables count for nothing with -E or -I.
    _start_again('-X', 'utf8')
  path = os.environ.get('PYTHONPATH')
  if ROOT not in (path or '').split(os.pathsep):
    os.environ['PYTHONPATH'] = os.pathsep.join(filter(None, [ROOT, path]))
  if ROOT not in sys.path:
    sys.path.insert(0, ROOT)
  if _loads():
    return
  folder = _library_folder()
  if folder is None or os.environ.get(_MARK):
    sys.exit(
      f'This Python ({sys.executable}) has no {_name()} that can be loaded, '
      'which Launchpad needs. Use a Python built with --enable-shared: '
      "Debian's python3.10 with the libpython3.10 package, or pyenv with "
      'PYTHON_CONFIGURE_OPTS=--enable-shared.'
    )
  earlier = os.environ.get('LD_LIBRARY_PATH')
  os.environ['LD_LIBRARY_PATH'] = os.pathsep.join(
    filter(None, [folder, earlier])
  )
  os.environ[_MARK] = '1'
  _start_again()


def _is_utf8() -> bool:
  found = (sys.getfilesystemencoding(), locale.getpreferredencoding(False))
  return all(x.lower().replace('-', '') == 'utf8' for x in found)


def _start_again(*options: str):
  os.execv(sys.executable, [sys.executable, *options, *sys.orig_argv[1:]])


def _name() -> str:
  version = f'{sys.version_info.major}.{sys.version_info.minor}'
  return f'libpython{version}.so.1.0'


def _loads() -> bool:
  try:
    ctypes.CDLL(_name())
  except OSError:
    return False
  return True


def _library_folder() -> str | None:
  """Where the interpreter's own libpython lies."""
  for folder in (
    os.path.join(sys.base_prefix, 'lib'),
    sysconfig.get_config_var('LIBDIR'),
  ):
    if folder and os.path.exists(os.path.join(folder, _name())):
      return folder
  return None

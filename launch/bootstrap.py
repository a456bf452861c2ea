"""Prepares the process before its libraries are imported.

Your own program calls `prepare` once, before it imports `agents`, `ald_acme`,
Acme or TensorFlow.

Python and its children use UTF-8 in every locale, because paths and names may
contain any characters.

Courier's library needs `libpython3.10.so.1.0` on the loader's path. Some Python
distributions (uv's, conda) ship the file outside that path; see launchpad issue
30.
"""

import ctypes
import locale
import os
import sys
import sysconfig

_MARK = 'ALD_LIBRARY_PATH_SET'
_UTF8 = 'PYTHONUTF8'
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def prepare() -> None:
  """Sets up UTF-8, libpython and the import path, also for child processes.

  If Python uses another encoding, the program restarts itself with UTF-8. If
  the loader does not find libpython but it is installed with the interpreter,
  the program restarts itself with the library path set; if there is none, it
  exits with instructions. TensorFlow logs only errors, unless
  TF_CPP_MIN_LOG_LEVEL is set.
  """
  os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')
  if not _is_utf8():
    os.environ[_UTF8] = '1'
    # The option too, because -E and -I ignore variables.
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
      f'This Python ({sys.executable}) has no loadable {_name()}, which '
      "Launchpad needs. Use a Python built with --enable-shared: Debian's "
      'python3.10 with the libpython3.10 package, or pyenv with '
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


def _start_again(*options: str) -> None:
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
  """Folder of the interpreter's libpython; None if there is none."""
  for folder in (
    os.path.join(sys.base_prefix, 'lib'),
    sysconfig.get_config_var('LIBDIR'),
  ):
    if folder and os.path.exists(os.path.join(folder, _name())):
      return folder
  return None

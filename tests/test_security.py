"""No module unpickles or evaluates files that it reads."""

import ast
import os

import pytest

ROOT = os.path.dirname(os.path.dirname(__file__))
_PACKAGES = ('ald_acme', 'agents', 'launch', 'examples', 'benchmarks')
# Modules that run code when they read; functions that run text.
_MODULES = {
  'pickle',
  'cloudpickle',
  'dill',
  'joblib',
  'marshal',
  'shelve',
  'yaml',
  'torch',
}
# These read what the same program has just written, and nothing else.
_OWN = {
  # From its children, and from its parent.
  'ald_acme/environments/batches/workers.py': ['pickle'],
  'ald_acme/environments/batches/worker_process.py': ['pickle'],
  'agents/testing.py': ['cloudpickle'],  # A test.
  'launch/config_file.py': ['yaml'],  # `safe_load`, for plain values.
}
_FUNCTIONS = {'eval', 'exec', 'compile', 'read_pickle'}


def _sources():
  for package in _PACKAGES:
    for folder, _, names in os.walk(os.path.join(ROOT, package)):
      for name in names:
        if name.endswith('.py'):
          yield os.path.relpath(os.path.join(folder, name), ROOT)


def _offences(source):
  """Imports and calls of a file that could execute data."""
  found = []
  for node in ast.walk(ast.parse(source)):
    if isinstance(node, ast.Import):
      names = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom):
      names = [node.module or '', *(alias.name for alias in node.names)]
    else:
      names = []
    found += [n for n in names if n.partition('.')[0] in _MODULES]
    if not isinstance(node, ast.Call):
      continue
    function = node.func
    name = getattr(function, 'attr', getattr(function, 'id', ''))
    own = isinstance(function, ast.Name) or name == 'read_pickle'
    if name in _FUNCTIONS and own:
      found.append(name)
    given = {keyword.arg: keyword.value for keyword in node.keywords}
    numpy = isinstance(function, ast.Attribute) and (
      getattr(function.value, 'id', '') in ('np', 'numpy')
    )
    pickles = given.get('allow_pickle', ast.Constant(False))
    if numpy and name == 'load' and 'allow_pickle' not in given:
      found.append('np.load that does not say allow_pickle=False')
    if not (isinstance(pickles, ast.Constant) and pickles.value is False):
      found.append('allow_pickle')
    shell = given.get('shell', ast.Constant(False))
    if not (isinstance(shell, ast.Constant) and shell.value is False):
      found.append('shell=True')
  return found


@pytest.mark.parametrize('path', sorted(_sources()))
def test_data_files_are_never_executed(path):
  with open(os.path.join(ROOT, path), encoding='utf-8') as file:
    assert _offences(file.read()) == _OWN.get(path, [])


@pytest.mark.parametrize(
  'source, offence',
  [
    ('import pickle', 'pickle'),
    ('from pickle import loads', 'pickle'),
    ('import cloudpickle.compat', 'cloudpickle.compat'),
    ('eval(text)', 'eval'),
    ('np.load(path)', 'np.load that does not say allow_pickle=False'),
    ('np.load(path, allow_pickle=True)', 'allow_pickle'),
    ('subprocess.run(line, shell=True)', 'shell=True'),
    ('pandas.read_pickle(path)', 'read_pickle'),
  ],
)
def test_violations_are_found(source, offence):
  assert offence in _offences(source)
  assert not _offences('np.load(path, allow_pickle=False); ast.literal_eval(x)')

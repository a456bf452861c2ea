"""Modules import only their own package and those below, without cycles."""

import ast
import glob
import graphlib
import os

import pytest

ROOT = os.path.dirname(os.path.dirname(__file__))
# From the lowest; packages of one level do not import each other. A module
# belongs to the longest of these names that its own begins with.
_LEVELS = (
  ('ald_acme',),
  ('ald_acme.environments.interface',),
  ('ald_acme.environments.tasks', 'ald_acme.environments.batches'),
  ('ald_acme.environments.adapters',),
  ('ald_acme.environments',),
  ('ald_acme.distributions', 'ald_acme.runs'),
  ('ald_acme.networks', 'ald_acme.losses', 'ald_acme.parameters'),
  ('ald_acme.acting', 'ald_acme.replay'),
  ('ald_acme.deployment',),
  ('agents',),
  ('agents.actor_critic',),
  ('agents.ald',),
  ('agents.catalogue', 'agents.preload'),
  ('agents.settings',),
  ('agents.trained',),
  ('launch',),
  ('launch.campaigns',),
  ('launch.clusters', 'launch.reproduction'),
  ('launch.cluster', 'launch.reproduce', 'launch.sweep'),
)
_HEIGHTS = {name: i for i, level in enumerate(_LEVELS) for name in level}
# The packages that may import a library.
_LIBRARIES = {
  'launchpad': ('agents', 'launch'),
  'reverb': ('ald_acme.replay', 'agents', 'launch'),
}


def _begins(module, name):
  return module == name or module.startswith(f'{name}.')


def _package(module):
  return max((x for x in _HEIGHTS if _begins(module, x)), key=len)


def _imports(source):
  """Names of the modules that a source file imports, or of their members."""
  for node in ast.walk(ast.parse(source)):
    if isinstance(node, ast.Import):
      yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
      yield from (f'{node.module}.{alias.name}' for alias in node.names)


def _violations(module, source):
  """Imports of a module that its layer does not allow."""
  own = _package(module)
  found = []
  for name in _imports(source):
    top = name.partition('.')[0]
    if top in _LIBRARIES:
      if not any(_begins(module, x) for x in _LIBRARIES[top]):
        found.append(name)
    elif top in _HEIGHTS and _package(name) != own:
      if _HEIGHTS[_package(name)] >= _HEIGHTS[own]:
        found.append(name)
  return found


@pytest.fixture(scope='module')
def sources():
  """The text of each module, by its name."""
  found = {}
  for top in ('ald_acme', 'agents', 'launch'):
    paths = glob.glob(f'{top}/**/*.py', root_dir=ROOT, recursive=True)
    assert paths
    for path in paths:
      module = path[:-3].replace(os.sep, '.').removesuffix('.__init__')
      with open(os.path.join(ROOT, path), encoding='utf-8') as file:
        found[module] = file.read()
  return found


def test_imports_point_down(sources):
  found = {module: _violations(module, x) for module, x in sources.items()}
  assert {module: names for module, names in found.items() if names} == {}


def test_no_modules_import_each_other(sources):
  """Not in functions, nor for type checkers."""
  graph = {
    module: {
      name if name in sources else name.rpartition('.')[0]
      for name in _imports(source)
    }
    for module, source in sources.items()
  }
  graphlib.TopologicalSorter(graph).prepare()  # Raises CycleError.


@pytest.mark.parametrize(
  'module, line, found',
  [
    ('ald_acme.runs.files', 'from agents import ald', True),
    ('agents.program', 'from agents.ald import config', True),
    ('agents.program', 'import launch.options', True),
    (
      'ald_acme.environments.tasks.bandit',
      'from ald_acme.environments.batches import stacking',
      True,
    ),
    (
      'ald_acme.environments.interface.base',
      'from ald_acme.environments import registry',
      True,
    ),
    ('launch.options', 'from launch.clusters import slurm', True),
    ('launch.reproduction.plots', 'from launch.clusters import slurm', True),
    ('launch.clusters.slurm', 'from launch import training', False),
    ('ald_acme.networks.lstm', 'import reverb', True),
    ('ald_acme.replay.adder', 'import launchpad as lp', True),
    ('ald_acme.replay.adder', 'import reverb', False),
    ('ald_acme.environments.tasks.bandit', 'from ald_acme import types', False),
    ('agents.ald.builder', 'from agents.actor_critic import config', False),
  ],
)
def test_violations_are_found(module, line, found):
  assert bool(_violations(module, line)) == found

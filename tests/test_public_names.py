"""What the packages export."""

import importlib
import pkgutil
import subprocess
import sys

import pytest

import agents
import ald_acme


def _packages():
  for root in (agents, ald_acme):
    for module in pkgutil.iter_modules(root.__path__, f'{root.__name__}.'):
      if module.ispkg:
        yield module.name


_PACKAGES = ['agents', *_packages()]


@pytest.mark.parametrize('name', _PACKAGES)
def test_public_names(name):
  package = importlib.import_module(name)
  if name == 'ald_acme.distributions':  # Small: it defines its own.
    assert package.Distribution and package.from_spec
    return
  assert package.__all__ == dir(package)
  for public in package.__all__:
    assert getattr(package, public).__doc__, public
  with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
    package.Nothing  # noqa: B018


def test_packages_import_nothing_before_it_is_used():
  packages = [name for name in _PACKAGES if name != 'ald_acme.distributions']
  code = f'import sys, {", ".join(packages)}; print("numpy" in sys.modules)'
  done = subprocess.run(
    [sys.executable, '-c', code], capture_output=True, text=True, check=True
  )
  assert done.stdout.strip() == 'False'

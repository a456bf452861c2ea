"""Trust in the code that a run's folder names.

A run's config.json names the environment and the network factory that the run
was made with, and these may be any functions of any modules. A folder of one's
own is safe; one from elsewhere could name any code. So the
command line must name them too, or say that the folder is trusted.
"""

from collections.abc import Mapping
from typing import Any

from absl import flags

from ald_acme.environments import registry
from launch import command_line

_ENVIRONMENT, _NETWORK_FACTORY = 'environment', 'network_factory'
_TRUST = flags.DEFINE_bool(
  'trust',
  False,
  "Import and call the environment and the network factory that the run's "
  'config.json names, where they do not come with the package; to name them '
  'with --environment and --network_factory will do.',
)


def define_code():
  """Defines the flags for a program that reads a run and begins none."""
  flags.DEFINE_string(
    _ENVIRONMENT,
    None,
    "The run's environment, where it does not come with the package: as its "
    'config.json has it, to say that its code may be run.',
  )
  flags.DEFINE_string(
    _NETWORK_FACTORY,
    None,
    "The run's network factory, if it has one: as its config.json has it, to "
    'say that its code may be run.',
  )


def require(saved: Mapping[str, Any]):
  """Refuses code that a run's folder names and the command line does not.

  Args:
    saved: 'environment' and 'network_factory', as config.json has them; an
      older one has no network factory.

  Raises:
    UsageError: if the command line names another one, or if a module would be
      imported and the command line neither names the function nor has --trust.
  """
  for flag in (_ENVIRONMENT, _NETWORK_FACTORY):
    if flag not in saved:
      continue
    value, named = saved[flag], flags.FLAGS[flag].value
    if named is not None and named != value:
      raise command_line.UsageError(
        f'--{flag}={named} is not what the run was begun with '
        f'({value!r}); leave it out, or choose another --workdir.'
      )
    if _TRUST.value or named is not None or value is None:
      continue
    if flag == _NETWORK_FACTORY or registry.imports_code(value):
      raise command_line.UsageError(
        f"the run's config.json has {value!r} imported and called; if "
        f'you trust the folder, give --{flag}={value} or --trust.'
      )

"""Checks that the user trusts the code that a run's folder names.

A run's config.json names its environment and network factory, which may be any
functions of any modules. Your own folder is safe, but one from elsewhere could
name any code. So the command line must also name them, or have --trust.
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
  'config.json names, if they are not part of the package; alternatively, name '
  'them with --environment and --network_factory.',
)


def define_code() -> None:
  """Defines the flags of a program that reads a run and starts none."""
  flags.DEFINE_string(
    _ENVIRONMENT,
    None,
    "The run's environment as in its config.json, to permit its code; needed "
    'if it is not part of the package.',
  )
  flags.DEFINE_string(
    _NETWORK_FACTORY,
    None,
    "The run's network factory as in its config.json, to permit its code.",
  )


def given() -> tuple[dict[str, str | None], bool]:
  """The code that the parsed flags name, and whether they have --trust."""
  names = (_ENVIRONMENT, _NETWORK_FACTORY)
  return {name: flags.FLAGS[name].value for name in names}, _TRUST.value


def require(
  saved: Mapping[str, Any], named: Mapping[str, str | None], trusted: bool
) -> None:
  """Rejects code that a run's folder names and the command line does not.

  Args:
    saved: 'environment' and 'network_factory' of config.json; old ones have no
      network factory.
    named: the same of the command line; None for those that it does not name.
    trusted: whether the command line has --trust.

  Raises:
    UsageError: if the command line names another one, or if a module would be
      imported and the command line neither names the function nor has --trust.
  """
  for flag in (_ENVIRONMENT, _NETWORK_FACTORY):
    if flag not in saved:
      continue
    value, own = saved[flag], named[flag]
    if own is not None and own != value:
      raise command_line.UsageError(
        f"--{flag}={own} differs from the run's ({value!r}); leave it out, "
        'or choose another --workdir.'
      )
    if trusted or own is not None or value is None:
      continue
    if flag == _NETWORK_FACTORY or registry.imports_code(value):
      raise command_line.UsageError(
        f"the run's config.json names {value!r}, which would be imported and "
        f'called; if you trust the folder, give --{flag}={value} or --trust.'
      )

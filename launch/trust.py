"""Whether the code that a run's folder names may be run.

A run's config.json says which environment it was made with, and that may be
any function of any module. A folder of one's own is no danger; one from
elsewhere could name what its sender likes. So the command line says it too.
"""

from absl import flags

from ald_acme.environments import registry
from launch import command_line

_TRUST = flags.DEFINE_bool(
  'trust',
  False,
  "Import and call the environment that the run's config.json names, where it "
  'does not come with the package; to name it with --environment will do.',
)


def define_environment() -> flags.FlagHolder:
  """Defines --environment for a program that reads a run and begins none."""
  return flags.DEFINE_string(
    'environment',
    None,
    "The run's environment, where it does not come with the package: as its "
    'config.json has it, to say that its code may be run.',
  )


def require(environment: str, named: str | None):
  """Refuses an environment of a run's folder that nobody has vouched for.

  Args:
    environment: as config.json has it.
    named: by the command line, None if it names none.

  Raises:
    UsageError: if another one is named, or if a module would be imported
      and neither --trust is given nor the environment named.
  """
  if named is not None and named != environment:
    raise command_line.UsageError(
      f'--environment={named} is not what the run was begun with '
      f'({environment!r}); leave it out, or choose another --workdir.'
    )
  if _TRUST.value or named is not None:
    return
  if registry.imports_code(environment):
    raise command_line.UsageError(
      f"the run's config.json has {environment!r} imported and called; if "
      f'you trust the folder, give --environment={environment} or --trust.'
    )

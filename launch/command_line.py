"""Shared by all command lines: absl flags, and one-line errors."""

from collections.abc import Callable, Sequence
import os
import re
import sys
import tempfile
from typing import Any, NoReturn

from absl import app
from absl import flags

from ald_acme.runs import files

INTERRUPTED = 130  # Exit status after Ctrl-C, by convention.
# Libraries' error messages, and plainer ones.
_PLAIN = (
  (
    r"^Unknown command line flag 'config\.([\w.]+)'\. Did you mean: (.+) \?.*",
    r"--config has no field '\1'; did you mean \2?",
  ),
  (
    r"^Unknown command line flag 'config\.([\w.]+)'.*",
    r"--config has no field '\1'; --help shows what it has",
  ),
  (r'invalid literal for int\(\) with base 10:.*', 'it must be an integer'),
  (r'could not convert string to float:.*', 'it must be a number'),
  (r'\(.Non-boolean argument to boolean flag.*', 'it must be true or false'),
  (r'^ERROR:: ', ''),
)


class UsageError(ValueError):
  """An invalid command line."""


def fail(message: str, status: int) -> NoReturn:
  """Exits with a one-line error."""
  more = ' (--help lists the options)' if status == 2 else ''
  print(f'error: {" ".join(message.split())}{more}', file=sys.stderr)
  sys.exit(status)


def text(error: Exception) -> str:
  """The message of a command-line error, made plainer."""
  said = str(error.args[0]) if isinstance(error, KeyError) else str(error)
  for pattern, plain in _PLAIN:
    said = re.sub(pattern, plain, said)
  return said.removesuffix('.')


def parse(argv: Sequence[str]) -> list[str]:
  """Parses the command line; exits with status 2 if it is invalid."""
  if {'--help', '-h', '--helpshort'} & set(argv):  # absl's exit status is 1.
    print(sys.modules['__main__'].__doc__)
    print(flags.FLAGS.main_module_help())
    sys.exit(0)
  for argument in argv:
    check_text(argument)
  try:
    rest = flags.FLAGS(list(argv))
  except (
    flags.Error,
    OSError,  # A missing --flagfile.
    ValueError,
    TypeError,
    AttributeError,
    KeyError,
  ) as error:
    fail(text(error), status=2)
  if len(rest) > 1:
    fail(f'unknown argument {rest[1]!r}: every option starts with --', status=2)
  if flags.FLAGS['only_check_args'].value:  # Of absl.
    fail(
      '--only_check_args does not check the values of options; leave it out',
      status=2,
    )
  return rest


def check_text(argument: str) -> None:
  """Exits if an argument cannot be printed or written to a file."""
  try:
    argument.encode()
  except UnicodeEncodeError:
    fail(
      f'argument {os.fsencode(argument)!r} is not valid UTF-8; rename the file '
      'that it names',
      status=2,
    )


def require(flag: flags.FlagHolder) -> Any:
  """The value of a required flag.

  Raises:
    UsageError: if it was not given.
  """
  if flag.value is None:
    raise UsageError(f'--{flag.name} must be given.')
  return flag.value


def run(main: Callable[[], None]) -> None:
  """Runs a program to its end.

  Args:
    main: the program. A `UsageError` exits with status 2, any other
      `ValueError` and an `OSError` with 1, each with one line.
  """

  def guarded(_: Sequence[str]) -> None:
    try:
      main()
    except UsageError as error:
      fail(str(error), status=2)
    except (OSError, ValueError) as error:
      fail(str(error), status=1)
    except KeyboardInterrupt:
      sys.exit(INTERRUPTED)

  app.run(guarded, flags_parser=parse)


def prepare_folder(path: str, flag: str) -> None:
  """Creates a folder and checks that it can be written to.

  Args:
    path: path of the folder.
    flag: name of its flag, for the message.

  Raises:
    ValueError: if it cannot be written.
  """
  try:
    files.make_folders(path)
    tempfile.TemporaryFile(dir=path).close()
  except OSError as error:
    raise ValueError(
      f'--{flag}: the folder {path!r} cannot be written ({error.strerror}); '
      'choose another.'
    ) from error

"""The table of a program's nodes, read by the tasks of a job.

It imports little, because every task reads it before its node starts.
"""

from collections.abc import Sequence
import dataclasses
import importlib.util
import os
import sys

from ald_acme.runs import files

# Variable that names the host of each task, in the table's order, with commas.
HOSTS = 'ALD_TASK_HOSTS'
_FUNCTIONS, _TABLE = 'nodes.pkl', 'nodes.json'
_ENTRY = ('nodes', 'python', 'process_entry.py')


@dataclasses.dataclass(frozen=True)
class Task:
  """A task of a job: it runs one node.

  Attributes:
    name: name of the node, such as 'actor_3'.
    pool: pool of machines, one of `programs.POOLS`.
    ports: ports that the node listens on.
    environment: environment variables of the node.
  """

  name: str
  pool: str
  ports: tuple[int, ...]
  environment: dict[str, str]

  @property
  def comes_and_goes(self) -> bool:
    """Whether the program continues while the node restarts."""
    return self.pool == 'actors'


def functions_path(folder: str) -> str:
  """The file of the nodes' functions, pickled in the order of the table."""
  return os.path.join(folder, _FUNCTIONS)


def table_path(folder: str) -> str:
  """The file written by `write`."""
  return os.path.join(folder, _TABLE)


def write(folder: str, tasks: Sequence[Task]) -> None:
  """Writes the table; a task's index is its row."""
  files.write_json(
    table_path(folder), [dataclasses.asdict(task) for task in tasks]
  )


def read(folder: str) -> list[Task]:
  """Reads the tasks of a table."""
  return [
    Task(**{**fields, 'ports': tuple(fields['ports'])})
    for fields in files.read_json(table_path(folder))
  ]


def entry_point() -> str:
  """Path of Launchpad's program that calls one of several pickled functions."""
  package = importlib.util.find_spec('launchpad')  # Does not import it.
  assert package and package.submodule_search_locations
  return os.path.join(package.submodule_search_locations[0], *_ENTRY)


def command(functions: str, number: int) -> list[str]:
  """The command line of a node.

  Args:
    functions: path of the nodes' pickled functions.
    number: index of the node's function.
  """
  return [
    sys.executable,
    entry_point(),
    f'--data_file={functions}',
    f'--lp_task_id={number}',
  ]

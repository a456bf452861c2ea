"""Nodes that run in child processes of one node of a program."""

from collections.abc import Callable, Iterator, Mapping, Sequence
import contextlib
import os
import subprocess
import sys
import tempfile
import time

import launchpad as lp
from launchpad.launch import serialization
from launchpad.nodes.python import addressing

from agents import node_processes
from agents import resources as agents_resources
from launch.clusters import addresses
from launch.clusters import restarts
from launch.clusters import tasks

_POLL = 0.5  # Seconds between checks of the processes.


class Host(lp.PyNode):
  """Runs nodes in child processes on one host.

  Unlike Launchpad's `MultiProcessingColocation`, it ends when one of them
  fails.
  """

  def __init__(self, nodes: Mapping[str, lp.PyNode]) -> None:
    """Stores nodes that were taken out of a program.

    Args:
      nodes: nodes by name; their handles stay valid.
    """
    super().__init__(self.run)
    self._nodes = dict(nodes)
    for node in self._nodes.values():
      self.addresses.extend(node.addresses)

  @property
  def processes(self) -> int:
    """Number of nodes."""
    return len(self._nodes)

  def bind_addresses(self, cluster: str, instance: int) -> None:
    """Binds to the port that Vertex AI assigns, and to those after it."""
    first = addressing.VertextAiAddressBuilder(cluster, instance)
    for offset, address in enumerate(self.addresses):
      address.bind(addresses.PortAfter(first, offset))

  def run(self) -> None:
    """Runs until the first process ends, which is an error.

    Raises:
      SystemExit: with 1, when a process has ended. Its output tells why,
        followed by a line that names it.
    """
    with self._starting() as start:
      processes = {name: start(name) for name in self._nodes}
      while not (codes := _ended(processes)):
        time.sleep(_POLL)
    for name, code in codes.items():
      print(f'{name} has ended: {node_processes.in_words(code)}', flush=True)
    sys.exit(1)

  @contextlib.contextmanager
  def _starting(self) -> Iterator[Callable[[str], subprocess.Popen]]:
    """Yields a function that starts a node's process; kills all at exit."""
    # Otherwise each process would use all cores.
    environment = {**agents_resources.threads(1), **os.environ}
    numbers = {name: number for number, name in enumerate(self._nodes)}
    started: list[subprocess.Popen] = []
    with tempfile.TemporaryDirectory() as folder:
      functions = os.path.join(folder, 'functions.pkl')
      serialization.serialize_functions(
        functions,
        'nodes of one host',
        [node.function for node in self._nodes.values()],
      )

      def start(name: str) -> subprocess.Popen:
        command = tasks.command(functions, numbers[name])
        started.append(subprocess.Popen(command, env=environment))
        return started[-1]

      try:
        yield start
      finally:
        for process in started:
          process.kill()
          process.wait()


class Revived(Host):
  """Runs a node in a child process, which is restarted when it ends."""

  def run(self) -> None:
    """Runs until the process has ended too often.

    Raises:
      SystemExit: with 1, then.
    """
    (name,) = self._nodes
    again = restarts.Restarts()
    with self._starting() as start:
      pause: float | None = 0.0
      while pause is not None:
        time.sleep(pause)
        began = time.monotonic()
        code = start(name).wait()
        pause = again.after(time.monotonic() - began)
        follows = 'again and again' if pause is None else f'next in {pause:g} s'
        ended = node_processes.in_words(code)
        print(f'{name} has ended: {ended}; {follows}', flush=True)
    sys.exit(1)


def _ended(processes: Mapping[str, subprocess.Popen]) -> dict[str, int]:
  """The exit codes of those that have ended."""
  codes = {name: process.poll() for name, process in processes.items()}
  return {name: code for name, code in codes.items() if code is not None}


def _take(program: lp.Program, labels: Sequence[str]) -> dict[str, lp.PyNode]:
  """Removes groups from a program; returns their nodes by name."""
  return {
    f'{label}_{number}': node
    for label in labels
    for number, node in enumerate(program.groups.pop(label, ()))
  }


def colocate(program: lp.Program, labels: Sequence[str], label: str) -> None:
  """Merges all nodes of some groups into one node.

  Args:
    program: changed in place, if it has any of the groups.
    labels: of the groups.
    label: label of the group that replaces them.
  """
  nodes = _take(program, labels)
  if nodes:
    program.add_node(Host(nodes), label)


def revive(program: lp.Program, label: str) -> None:
  """Makes the nodes of a group restart when they end.

  Args:
    program: to change.
    label: label of the group.
  """
  for name, node in _take(program, [label]).items():
    with program.group(label):
      program.add_node(Revived({name: node}))

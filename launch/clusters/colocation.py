"""Nodes that run in processes of their own, within one node of a program."""

from collections.abc import Mapping, Sequence
import contextlib
import os
import subprocess
import sys
import tempfile
import time

import launchpad as lp
from launchpad.launch import serialization
from launchpad.nodes.python import addressing

from agents import resources as agents_resources
from agents import supervision
from launch.clusters import addresses
from launch.clusters import restarts
from launch.clusters import tasks

_POLL = 0.5  # Seconds between looks at the processes.


class Host(lp.PyNode):
  """Runs nodes in processes of their own on one host.

  Launchpad's `MultiProcessingColocation` does that too, but waits for all of
  its processes even when one has failed.
  """

  def __init__(self, nodes: Mapping[str, lp.PyNode]):
    """Stores nodes that were taken out of a program.

    Args:
      nodes: to run, by name; handles of them stay good.
    """
    super().__init__(self.run)
    self._nodes = dict(nodes)
    for node in self._nodes.values():
      self.addresses.extend(node.addresses)

  @property
  def processes(self) -> int:
    """How many it runs."""
    return len(self._nodes)

  def bind_addresses(self, cluster: str, instance: int):
    """Binds to the port that Vertex AI gives a node, and those after it."""
    first = addressing.VertextAiAddressBuilder(cluster, instance)
    for offset, address in enumerate(self.addresses):
      address.bind(addresses.PortAfter(first, offset))

  def run(self):
    """Runs until the first process ends, which is an error.

    Raises:
      SystemExit: with 1, when a process has ended. What it has printed says
        why; a line after that says which it was.
    """
    with self._starting() as start:
      processes = {name: start(name) for name in self._nodes}
      while not (codes := _ended(processes)):
        time.sleep(_POLL)
    for name, code in codes.items():
      print(f'{name} has ended: {supervision.in_words(code)}', flush=True)
    sys.exit(1)

  @contextlib.contextmanager
  def _starting(self):
    """Yields what starts the process of a node; in the end all are killed."""
    # Each process would have a thread for every core without it.
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
  """Runs a node in a process that begins again when it has ended."""

  def run(self):
    """Runs until the process has ended too often.

    Raises:
      SystemExit: with 1, then.
    """
    (name,) = self._nodes
    again = restarts.Restarts()
    with self._starting() as start:
      pause = 0.0
      while pause is not None:
        time.sleep(pause)
        began = time.monotonic()
        code = start(name).wait()
        pause = again.after(time.monotonic() - began)
        follows = 'again and again' if pause is None else f'next in {pause:g} s'
        ended = supervision.in_words(code)
        print(f'{name} has ended: {ended}; {follows}', flush=True)
    sys.exit(1)


def _ended(processes: Mapping[str, subprocess.Popen]) -> dict[str, int]:
  """The exit codes of those that have ended."""
  codes = {name: process.poll() for name, process in processes.items()}
  return {name: code for name, code in codes.items() if code is not None}


def _take(program: lp.Program, labels: Sequence[str]) -> dict[str, lp.PyNode]:
  """Takes groups out of a program; their nodes by name."""
  return {
    f'{label}_{number}': node
    for label in labels
    for number, node in enumerate(program.groups.pop(label, ()))
  }


def colocate(program: lp.Program, labels: Sequence[str], label: str):
  """Makes one node of all nodes of some groups.

  Args:
    program: to change; where it has none of the groups it stays as it is.
    labels: of the groups.
    label: of the group that takes their place.
  """
  nodes = _take(program, labels)
  if nodes:
    program.add_node(Host(nodes), label)


def revive(program: lp.Program, label: str):
  """Makes the nodes of a group restart when they have ended.

  Args:
    program: to change.
    label: of the group.
  """
  for name, node in _take(program, [label]).items():
    with program.group(label):
      program.add_node(Revived({name: node}))

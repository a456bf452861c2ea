"""Nodes that must share a host become one node of several processes."""

from collections.abc import Sequence
import os
import subprocess
import tempfile
import time

import launchpad as lp
from launchpad.launch import serialization
from launchpad.nodes.python import addressing

from agents import program as agents_program
from launch.clusters import addresses
from launch.clusters import tasks

_POLL = 0.5  # Seconds between looks at the processes.


class Host(lp.PyNode):
  """Runs nodes in processes of their own on one host.

  Launchpad's `MultiProcessingColocation` does that too, but waits for all of
  its processes even when one has failed.
  """

  def __init__(self, nodes: Sequence[lp.PyNode]):
    """Takes nodes that are in no program any more.

    Args:
      nodes: to run; handles of them stay good.
    """
    super().__init__(self.run)
    self._nodes = list(nodes)
    for node in self._nodes:
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
      RuntimeError: if a process has ended.
    """
    # Each process would have a thread for every core without it.
    environment = {**agents_program.threads(1), **os.environ}
    with tempfile.TemporaryDirectory() as folder:
      functions = os.path.join(folder, 'functions.pkl')
      serialization.serialize_functions(
        functions, 'nodes of one host', [node.function for node in self._nodes]
      )
      processes = [
        subprocess.Popen(tasks.command(functions, number), env=environment)
        for number in range(len(self._nodes))
      ]
      try:
        while not any(process.poll() is not None for process in processes):
          time.sleep(_POLL)
      finally:
        codes = [process.poll() for process in processes]
        for process in processes:
          process.kill()
          process.wait()
    raise RuntimeError(f'A process has ended; exit codes: {codes}.')


def colocate(program: lp.Program, labels: Sequence[str], label: str):
  """Makes one node of all nodes of some groups.

  Args:
    program: to change; where it has none of the groups it stays as it is.
    labels: of the groups.
    label: of the group that takes their place.
  """
  nodes = [node for name in labels for node in program.groups.pop(name, ())]
  if nodes:
    program.add_node(Host(nodes), label)

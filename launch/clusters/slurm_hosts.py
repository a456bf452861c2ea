"""Hosts that a job has lost, as reported by `srun --no-kill`."""

from collections.abc import Mapping
import re

from launch.clusters import slurm_commands

_LOST = re.compile(r'Node failure on (\S+)')
_ACTOR = 'actor_'  # Nodes that a program can lose.


class Hosts:
  """Tracks lost hosts, and whether the job must end."""

  def __init__(self, hosts: Mapping[str, str], log: str) -> None:
    """Starts with all hosts alive.

    Args:
      hosts: Slurm's name of the host of each node, by the node's name.
      log: path of srun's output.
    """
    self._hosts, self._log = dict(hosts), log
    self._known: dict[str, list[str]] = {}  # Hosts by srun's names.

  def lost(self) -> dict[str, str]:
    """Lost hosts, by the names of their nodes."""
    with open(self._log, encoding='utf-8', errors='replace') as file:
      for named in _LOST.findall(file.read()):
        if named not in self._known:  # 'n3', or 'n[3-5,7]'.
          self._known[named] = slurm_commands.host_names(named)
    gone = {host for hosts in self._known.values() for host in hosts}
    return {node: host for node, host in self._hosts.items() if host in gone}

  def first_failure(self) -> str | None:
    """A lost node that the program needs; None if there is none."""
    lost = self.lost()
    actors = {node for node in self._hosts if node.startswith(_ACTOR)}
    spare = actors if actors - set(lost) else set()
    return next((node for node in lost if node not in spare), None)

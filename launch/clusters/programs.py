"""A run's program for a cluster."""

from __future__ import annotations

import os
import typing

from ald_acme.runs import folder as run_folder
from launch import training
from launch.clusters import tasks

if typing.TYPE_CHECKING:
  from collections.abc import Iterator, Mapping

  import launchpad as lp

  from launch import options

# Pools of equal machines, and the groups of nodes on them, in the order of
# tasks: the actors, which may fail, come last.
POOLS = {
  'replay': ('replay', 'counter', 'cacher', 'monitor'),
  'learner': ('learner', 'learner_runner'),
  'distill': ('distill',),
  'actors': ('evaluator', 'actor'),
}


def make(
  opts: options.Options,
  folder: run_folder.RunFolder,
  checkpoint: str | None,
  launched: float,
) -> tuple[lp.Program, lp.CourierHandle]:
  """Creates a run's program; also returns a handle of its monitor.

  Distillers share memory with the node of the actor's parameters, so all of
  them are one node here, on one host.

  Args:
    opts: the run's options.
    folder: the run's folder, as its nodes see it.
    checkpoint: path of the checkpoint to resume from; None for a new run.
    launched: start of the run, seconds since the epoch.
  """
  os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')
  program, watcher = training.make_program(opts, folder, checkpoint, launched)
  from launch.clusters import colocation  # Imports Launchpad.

  colocation.colocate(program, ('actor_parameters', 'distiller'), 'distill')
  return program, watcher


def pool_of(label: str) -> str:
  """The pool that a group of nodes belongs to."""
  return next(name for name, labels in POOLS.items() if label in labels)


def write(
  program: lp.Program,
  folder: str,
  ports: Iterator[int],
  cpus: Mapping[str, int],
) -> list[tasks.Task]:
  """Writes a program's nodes for the tasks of a job.

  Addresses are bound to a task and a port; tasks find their hosts in the
  variable `tasks.HOSTS`.

  Args:
    program: the program from `make`.
    folder: existing folder for the files.
    ports: ports for the nodes to listen on, as many as needed.
    cpus: CPUs per task, by pool.

  Returns:
    The tasks, by pool.

  Raises:
    RuntimeError: if a node cannot be pickled.
  """
  import launchpad as lp
  from launchpad.launch import serialization

  from agents import resources as agents_resources
  from launch.clusters import addresses

  resources = agents_resources.local(program)
  table: list[tasks.Task] = []
  functions = []
  for pool, labels in POOLS.items():
    for label in labels:
      for index, node in enumerate(program.groups.get(label, ())):
        node.launch_context.initialize(
          lp.LaunchType.LOCAL_MULTI_PROCESSING, None, _leave_to_the_job
        )
        own = []
        for address in node.addresses:
          own.append(next(ports))
          address.bind(addresses.HostPort(len(table), own[-1]))
        environment = dict(resources[label].env)
        if pool == 'learner':
          environment['TF_NUM_INTRAOP_THREADS'] = str(cpus[pool])
        table.append(
          tasks.Task(f'{label}_{index}', pool, tuple(own), environment)
        )
        functions.append(node.function)
  # A job may be reading the earlier files.
  path = tasks.functions_path(folder)
  serialization.serialize_functions(f'{path}.tmp', 'the program', functions)
  os.replace(f'{path}.tmp', path)
  tasks.write(folder, table)
  return table


def _leave_to_the_job() -> None:
  """Replaces `lp.stop`: the job reads the end in the run's folder."""

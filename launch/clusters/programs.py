"""A run's program, as a cluster runs it."""

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

# Machines that are alike, and the groups of nodes that run on them. Tasks have
# this order: the actors, without which a program can go on, are the last.
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
  """The program of a run, and a handle of its monitor.

  Distillers update memory of the node that holds the actor's parameters, so
  they are one node here, which runs on one host.

  Args:
    opts: of the run.
    folder: of the run, as its nodes see it.
    checkpoint: path of the checkpoint to go on from, None to begin.
    launched: when the run began, seconds since the epoch.
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

  Addresses are bound to a task and a port; which host that is the tasks find
  in the variable `tasks.HOSTS`.

  Args:
    program: of `make`.
    folder: existing folder for the files.
    ports: that the nodes are to listen on, as many as they need of them.
    cpus: of each task, by pool.

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
  table, functions = [], []
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
  # A job may be reading the earlier ones.
  path = tasks.functions_path(folder)
  serialization.serialize_functions(f'{path}.tmp', 'the program', functions)
  os.replace(f'{path}.tmp', path)
  tasks.write(folder, table)
  return table


def _leave_to_the_job():
  """Replaces `lp.stop`: the job sees the end in the run's folder."""

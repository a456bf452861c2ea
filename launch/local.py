"""Trains an agent on this machine, each part in its own process.

Example:
  python launch/local.py --environment_kwargs=size=15,limit=250 --seed=1
"""

import os
import signal
import sys
import time

if __package__ in (None, ''):  # Run as a script: the package is one folder up.
  sys.path.insert(
    0, os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
  )

from launch import bootstrap

bootstrap.prepare()

from launch import isolation

_isolation = isolation.Isolation('off', None)
if __name__ == '__main__':
  # Before there is a run to save, Ctrl-C exits immediately.
  signal.signal(signal.SIGINT, signal.SIG_DFL)
  _isolation = isolation.begin(sys.argv)  # While there is a single thread.

from absl import flags

from ald_acme import processes
from ald_acme.environments import registry
from ald_acme.runs import progress
from launch import command_line
from launch import options
from launch import supervising
from launch import training

for _module in (options, isolation):
  flags.adopt_module_key_flags(_module)


def main() -> None:
  launched = time.time()
  console = progress.make_console()
  warning = _isolation.warning(flags.FLAGS.isolate)
  try:
    given = options.given()
    if given.environment == 'list':
      print(registry.describe())
      return
    run = training.prepare(given)
  except command_line.UsageError as error:
    more = _isolation.hint(error)
    raise command_line.UsageError(f'{error}{more}') from error
  opts, folder = run.options, run.folder
  with run.lock:
    _check_network(run)
    if warning:
      console.print(warning)
    console.print(
      f'Training {opts.agent} on {opts.environment}'
      f'({opts.environment_kwargs}), seed {opts.config.seed}, in {folder.path}'
    )

    def make_supervisor(logs: str) -> supervising.Supervisor:
      # Imported here, so that an invalid command line fails fast.
      from agents import node_processes

      server = node_processes.ForkServer()
      with processes.without_collection():
        from agents import resources as agents_resources

        program, watcher = training.make_program(
          opts, folder, run.checkpoint, launched
        )
      resources = agents_resources.local(program)
      return node_processes.NodeProcesses(
        program, resources, watcher, logs, server
      )

    sys.exit(
      supervising.supervise(
        folder,
        make_supervisor,
        console,
        opts.experiment.stall_warning,
        opts.experiment.stall_limit,
      )
    )


def _check_network(run: training.Prepared) -> None:
  """Rejects logging to a server from an isolated network."""
  try:
    _isolation.check_wandb(run.options.wandb_project)
  except ValueError as error:
    run.rollback()
    raise command_line.UsageError(str(error)) from error


if __name__ == '__main__':
  command_line.run(main)

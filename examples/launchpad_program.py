"""The distributed agent in code, with your own node in its program.

The node evaluates the acting policy in a maze that it is not trained in.
"""

import functools
import os
import sys

# In a clone, the imports are one folder up.
sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from launch import bootstrap

bootstrap.prepare()

import acme
from acme.utils import counting
from acme.utils import loggers
import launchpad as lp

import agents
from agents import ald
from agents import lifecycle
from agents import resources
from ald_acme.environments import registry
from ald_acme.runs import folder as run_folder

EXPERIMENT = agents.ExperimentConfig(
  num_actors=2, evaluation_period=5.0, max_frames=300_000
)
SMALL = functools.partial(registry.make, 'i_maze', {'size': 5})
LARGE = functools.partial(registry.make, 'i_maze', {'size': 7})


def evaluate_elsewhere(builder: ald.ALDBuilder, parameters, counter):
  """Runs in the node's process."""
  life = lifecycle.Lifecycle()
  evaluator = builder.make_evaluator(
    builder.make_networks(acme.make_environment_spec(LARGE(1, 0))),
    LARGE,
    parameters,
    counter=counting.Counter(counter),
    logger=loggers.TerminalLogger('elsewhere', print_fn=print),
  )
  life.guard(lambda: evaluator.run(life.wait))


def main(
  config: ald.ALDConfig | None = None,
  experiment: agents.ExperimentConfig = EXPERIMENT,
  launch_type: str = 'local_mp',
):
  """Trains on a small maze until `max_frames`.

  Args:
    config: the agent's configuration.
    experiment: the run's configuration.
    launch_type: 'local_mp' for processes, 'local_mt' for threads.
  """
  folder = run_folder.RunFolder(run_folder.make_default('example'))
  print(f'Training in {folder.path}; its logs are there.', flush=True)
  agent = ald.DistributedALD(SMALL, folder.path, config, experiment)
  program, _ = agent.build()
  parameters, counter = (
    program.groups[label][0].create_handle()
    for label in ('actor_parameters', 'counter')
  )
  program.add_node(
    lp.PyNode(evaluate_elsewhere, agent.builder, parameters, counter),
    'elsewhere',
  )
  lp.launch(
    program,
    launch_type,
    local_resources=resources.local(program),
    terminal='current_terminal',
  ).wait()


if __name__ == '__main__':
  main()

"""Measures the mean return of uniformly random actions on a task."""

import json
import math
import os
import sys

sys.path.insert(
  0,
  os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))),
)

from launch import bootstrap

bootstrap.prepare()

from ald_acme.environments import registry
from ald_acme.environments.interface import base
from ald_acme.environments.tasks import experts
from ald_acme.runs import files


def mean_return(environment: base.BatchedEnvironment, episodes: int) -> float:
  """The mean return of random actions; only legal ones if there is a mask.

  Args:
    environment: E environments.
    episodes: number of episodes of each environment. All play equally many,
      because the first episodes to end would be short ones.
  """
  agent = experts.RandomAgent(
    environment.action_spec(), observation_spec=environment.observation_spec()
  )
  return experts.mean_return(environment, agent, episodes)


def main() -> None:
  path, name, arguments, episodes = sys.argv[1:]
  environment = registry.make(name, registry.parse_arguments(arguments), 20, 0)
  each = math.ceil(int(episodes) / environment.batch_size)
  made = {
    'return': mean_return(environment, each),
    'episodes': each * environment.batch_size,
  }
  with files.atomic(path) as file:
    file.write(json.dumps(made).encode())


if __name__ == '__main__':
  main()

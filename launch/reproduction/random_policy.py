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

from ald_acme.environments import base
from ald_acme.environments import experts
from ald_acme.environments import registry
from ald_acme.runs import files


def mean_return(environment: base.BatchedEnvironment, episodes: int) -> float:
  """The mean return of random actions; only legal ones if there is a mask.

  Args:
    environment: E environments.
    episodes: least number of episodes. Each environment plays equally many,
      because the first episodes to end would be short ones.
  """
  agent = experts.RandomAgent(
    environment.action_spec(), observation_spec=environment.observation_spec()
  )
  each = math.ceil(episodes / environment.batch_size)
  return experts.mean_return(environment, agent, each)


def main() -> None:
  path, name, arguments, episodes = sys.argv[1:]
  environment = registry.make(name, registry.parse_arguments(arguments), 20, 0)
  mean = mean_return(environment, int(episodes))
  with files.atomic(path) as file:
    file.write(json.dumps({'return': mean, 'episodes': int(episodes)}).encode())


if __name__ == '__main__':
  main()

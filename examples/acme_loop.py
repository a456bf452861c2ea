"""The builder's parts around Acme's own loop, each in a thread of one process.

The actor writes to `queue`; the learner runner moves unrolls to `learner` and
`distill`; the learner and a distiller read those. Writes block while a table is
full, and reads while it is empty, so each part has its own thread.
"""

from concurrent import futures
import os
import sys
import threading

# In a clone, the imports are one folder up.
sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from launch import bootstrap

bootstrap.prepare()

import acme
from acme.utils import counting
from acme.utils import loggers
import numpy as np
import reverb

from agents import ald
from ald_acme.environments.tasks import i_maze
from ald_acme.parameters import shared

EPISODES = 3_000
# Acme's loop has one environment, so one unroll is a small batch.
CONFIG = ald.ALDConfig(envs_per_actor=1, unroll_length=20, learner_batch=8)


def main(episodes: int = EPISODES) -> dict[str, float]:
  """Trains on a small maze; returns Acme's counts."""
  maze = i_maze.IMaze(size=5)
  spec = acme.make_environment_spec(maze)
  builder = ald.ALDBuilder(CONFIG)
  server = reverb.Server(builder.make_replay_tables(spec))
  client = reverb.Client(f'localhost:{server.port}')
  counter, stop = counting.Counter(), threading.Event()
  # Each part needs its own networks, because it changes their variables.
  acted, learned, read, distilled = map(builder.make_networks, [spec] * 4)

  batches = builder.make_dataset_iterator(client, stop.is_set)
  learner = builder.make_learner(learned, batches, counter)
  runner = builder.make_learner_runner(
    read, client, learner, counter, should_stop=stop.is_set
  )
  parameters = builder.make_actor_parameters(acted)
  attached = shared.SharedParameters.attach(parameters.handle())
  distiller = builder.make_distiller(
    distilled, attached, client, counter=counter, should_stop=stop.is_set
  )
  adder = builder.make_adder(client, should_stop=stop.is_set)
  actor = builder.make_actor(acted.actor, adder, parameters)
  loop = acme.EnvironmentLoop(maze, actor, counter, loggers.NoOpLogger())

  returns = []
  with futures.ThreadPoolExecutor() as pool:
    parts = [pool.submit(part.run) for part in (learner, runner, distiller)]
    for part in parts:
      part.add_done_callback(lambda _: stop.set())  # If one ends, all end.
    try:
      while len(returns) < episodes and not stop.is_set():
        returns.append(loop.run_episode()['episode_return'])
        if len(returns) % 100 == 0:
          print(len(returns), 'episodes, mean return', np.mean(returns[-100:]))
    finally:
      stop.set()
  for part in parts:
    part.result()  # Raises its error, if any.
  return counter.get_counts()


if __name__ == '__main__':
  print(main())

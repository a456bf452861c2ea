"""Functions are compiled before the first data, and never again."""

import itertools
import threading

import acme
import reverb

from agents.ald import builder as ald_builder
from ald_acme.environments.tasks import i_maze
from ald_acme.parameters import shared


def _make_environment(batch_size, seed):
  return i_maze.BatchedIMaze(batch_size, size=5, limit=6, seed=seed)


def test_each_part_traces_one_graph(make_config):
  builder = ald_builder.ALDBuilder(make_config())
  spec = acme.make_environment_spec(i_maze.IMaze(size=5))
  server = reverb.Server(builder.make_replay_tables(spec))
  client = reverb.Client(f'localhost:{server.port}')
  stop = threading.Event()

  def make(part, *arguments, **options):
    networks = builder.make_networks(spec)
    return part(networks, *arguments, **options)

  learner = make(
    builder.make_learner, builder.make_dataset_iterator(client, stop.is_set)
  )
  parameters = make(builder.make_actor_parameters)
  runner = make(
    builder.make_learner_runner, client, learner, should_stop=stop.is_set
  )
  distiller = make(
    builder.make_distiller,
    shared.SharedParameters.attach(parameters.handle()),
    client,
    should_stop=stop.is_set,
  )
  functions = [
    part._function
    for part in (learner._update, runner._read, distiller._update)
  ]

  def graphs():
    return [f.num_graphs for f in functions]

  learner.run(num_steps=0)
  runner.run(lambda: True)
  distiller.run(lambda: True)
  assert graphs() == [1, 1, 1]  # Before anything was written.
  loop = make(
    builder.make_acting_loop,
    _make_environment,
    client,
    parameters,
    should_stop=stop.is_set,
  )
  actor = threading.Thread(target=loop.run, args=(stop.is_set,), daemon=True)
  passes = itertools.count()
  relay = threading.Thread(
    target=lambda: runner.run(lambda: next(passes) > 3), daemon=True
  )
  actor.start()
  relay.start()
  for _ in range(4):
    learner.step()
    distiller.step()
  stop.set()
  for thread in (relay, actor):
    thread.join(20)
  server.stop()
  assert graphs() == [1, 1, 1]

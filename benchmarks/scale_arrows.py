"""The transfers between nodes, for `scale.py`: servers and their clients."""

from collections.abc import Callable
import multiprocessing
import os
import re
import statistics
import subprocess
import time
from typing import Any, NamedTuple

import scale_work

ROUNDS = 8  # Rounds of a measurement.
SPAWN = multiprocessing.get_context('spawn')


class Cost(NamedTuple):
  """CPU seconds and bytes of a call, in the client's process."""

  cpu: float
  sent: float = 0.0
  received: float = 0.0


class Server:
  """A process that serves on a port and reports its CPU time."""

  def __init__(self, serve: Callable[..., None], *arguments):
    self._pipe, end = SPAWN.Pipe()
    self._process = SPAWN.Process(target=serve, args=(end, *arguments))
    self._process.daemon = True
    self._process.start()
    self.port = self._pipe.recv()

  def cpu(self) -> float:
    self._pipe.send(None)
    return self._pipe.recv()

  def stop(self):
    self._process.kill()
    self._process.join()


def _answer(pipe, port: int):
  pipe.send(port)
  while True:
    pipe.recv()
    pipe.send(time.process_time())


def serve_tables(pipe, preset: str):
  import reverb

  parts = scale_work.Parts(preset)
  server = reverb.Server(parts.builder.make_replay_tables(parts.spec))
  _answer(pipe, server.port)


def serve_parameters(pipe, preset: str, name: str, origin: int | None = None):
  """Serves a network's parameters, or caches those of another server."""
  import courier

  from ald_acme.parameters import pulled

  parts = scale_work.Parts(preset)
  if origin:
    source = pulled.ParameterCache(courier.Client(f'localhost:{origin}'))
  elif name == 'actor':
    source = parts.builder.make_actor_parameters(parts.networks)
  else:
    source = parts.builder.make_learner(parts.networks, iter(()))
  server = courier.Server()
  server.Bind('get_vector', source.get_vector)
  server.Start()
  _answer(pipe, server.port)


def serve_counter(pipe):
  from acme.utils import counting
  import courier

  counter = counting.Counter()
  server = courier.Server()
  server.Bind('increment', counter.increment)
  server.Start()
  _answer(pipe, server.port)


def _wire(port: int) -> tuple[int, int]:
  """Bytes that this process has sent to a server and received from it."""
  command = ['ss', '-HtinpO', f'dport = :{port}']
  shown = subprocess.run(command, capture_output=True, text=True, check=True)
  own = [x for x in shown.stdout.splitlines() if f'pid={os.getpid()},' in x]
  return tuple(
    sum(map(int, re.findall(rf'\bbytes_{what}:(\d+)', '\n'.join(own))))
    for what in ('acked', 'received')
  )


def _cost(step: Callable[[], Any], port: int, times: int) -> Cost:
  """Mean CPU seconds; median bytes, since a new connection resets the count."""
  step()
  step()
  sent, received, cpu = [], [], 0.0
  each = max(1, times // ROUNDS)
  for _ in range(ROUNDS):
    before, began = _wire(port), time.process_time()
    for _ in range(each):
      step()
    cpu += time.process_time() - began
    for kept, x, y in zip((sent, received), before, _wire(port)):
      kept.append((y - x) / each)
  return Cost(
    cpu / (each * ROUNDS), statistics.median(sent), statistics.median(received)
  )


def inserting(preset: str, port: int, writer: str, times: int) -> Cost:
  """The cost of an insert by the actor or the runner."""
  import reverb

  from ald_acme.replay import writer as replay_writer

  parts = scale_work.Parts(preset)
  made = replay_writer.Writer(reverb.Client(f'localhost:{port}'))
  step, select = parts.written(writer)
  return _cost(lambda: made.write(step, select), port, times)


def sampling(port: int, table: str, times: int) -> Cost:
  """The cost of a sample for the runner, the learner or a distiller."""
  import reverb

  from ald_acme.replay import reader

  samples = reader.Reader(reverb.Client(f'localhost:{port}'), table)
  return _cost(lambda: next(samples), port, times)


def pulling(port: int, name: str, times: int) -> Cost:
  """The cost of a pull of parameters."""
  import courier

  client = courier.Client(f'localhost:{port}')
  return _cost(lambda: client.get_vector(name, None), port, times)


def counting(port: int, times: int) -> Cost:
  """The cost of the count that an actor sends with each unroll."""
  import courier

  counter = courier.Client(f'localhost:{port}')
  return _cost(lambda: counter.increment(frames=640, episodes=7), port, times)

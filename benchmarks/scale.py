"""Capacity: bytes and CPU time of an unroll, part by part.

  uv run benchmarks/scale.py [PRESET ...]

Default configuration, default I-Maze, one thread per pool. Each part runs in a
separate process and reaches its servers, also separate processes, by TCP. Time
is the CPU time of the process, so other load matters little. Bytes are the
kernel's count per connection (`ss` of iproute2), without the headers of TCP and
IP. Prints tables in Markdown.
"""

from concurrent import futures
import contextlib
import os
import sys
from typing import NamedTuple

import scale_arrows
import scale_work

_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, _ROOT)

from ald_acme import processes
from benchmarks import one_thread

_MOVED = 300e6  # Approximate bytes through a table in a measurement.
_CALLS = 104  # Calls of a service in a measurement.
_FASTER = (0.1, 0.03, 0.01, 0.003)  # Seconds per unroll of faster learners.


class Node(NamedTuple):
  """A kind of node, and its cost per unroll.

  Attributes:
    name: name of the kind.
    work: CPU seconds, by activity.
    sent: bytes.
    received: bytes.
  """

  name: str
  work: dict[str, float]
  sent: float
  received: float

  @property
  def seconds(self) -> float:
    return sum(self.work.values())


@contextlib.contextmanager
def _processes(count: int):
  """Yields a function that runs others in separate processes."""
  with futures.ProcessPoolExecutor(count, scale_arrows.SPAWN) as pool:
    yield pool.submit


def _alone(function, *arguments):
  with _processes(1) as start:
    return start(function, *arguments).result()


def _through_tables(preset: str, sizes: dict) -> tuple[dict, dict]:
  """Costs of each transfer to and from the tables; the server's CPU seconds."""
  arrows, server_cpu = {}, {}
  spi = round(sizes['samples_per_insert'])
  for writer, readers in (
    ('actor', {'queue': 1}),
    ('runner', {'learner': 1, 'distill': spi}),
  ):
    server = scale_arrows.Server(scale_arrows.serve_tables, preset)
    size = sizes['item_bytes'][writer]
    rounds = int(min(25, max(3, _MOVED / size / scale_arrows.ROUNDS)))
    times = rounds * scale_arrows.ROUNDS
    with _processes(1 + len(readers)) as start:
      before = server.cpu()
      began = {
        table: start(scale_arrows.sampling, server.port, table, times * samples)
        for table, samples in readers.items()
      }
      began[writer] = start(
        scale_arrows.inserting, preset, server.port, writer, times
      )
      arrows.update({name: cost.result() for name, cost in began.items()})
      server_cpu[writer] = (server.cpu() - before) / (times + 2)
    server.stop()
  return arrows, server_cpu


def _pulls(preset: str) -> dict:
  """Costs of a pull: CPU seconds of reader and server, and bytes."""
  costs = {}
  for name in ('actor', 'learner'):
    owner = scale_arrows.Server(scale_arrows.serve_parameters, preset, name)
    costs[name] = _pull(owner, name)
    cacher = scale_arrows.Server(
      scale_arrows.serve_parameters, preset, name, owner.port
    )
    costs[f'cached {name}'] = _pull(cacher, name)
    cacher.stop()
    owner.stop()
  return costs


def _pull(server, name):
  before = server.cpu()
  cost = _alone(scale_arrows.pulling, server.port, name, _CALLS)
  return cost, (server.cpu() - before) / (_CALLS + 2)


def _count() -> float:
  """CPU seconds of the server per count."""
  server = scale_arrows.Server(scale_arrows.serve_counter)
  before = server.cpu()
  _alone(scale_arrows.counting, server.port, _CALLS)
  seconds = (server.cpu() - before) / (_CALLS + 2)
  server.stop()
  return seconds


def _nodes(sizes, work, arrows, server_cpu, pulls, count) -> list[Node]:
  """Costs of an unroll for each kind of node, summed over its nodes."""
  spi, asked = sizes['samples_per_insert'], sizes['pulls']
  queue, learner, distill = (arrows[t] for t in ('queue', 'learner', 'distill'))
  actor, runner = arrows['actor'], arrows['runner']
  (pull, serve), (runner_pull, serve_runner) = pulls['actor'], pulls['learner']
  _, cached = pulls['cached actor']
  return [
    Node(
      'actor',
      {
        'environments and inference': work['acting'],
        'insert': actor.cpu,
        'pulls': asked * pull.cpu,
      },
      actor.sent,
      asked * pull.received,
    ),
    Node(
      'replay',
      {'queue': server_cpu['actor'], 'other tables': server_cpu['runner']},
      queue.received + learner.received + spi * distill.received,
      actor.sent + runner.sent,
    ),
    Node(
      'learner_runner',
      {
        'forward': work['reading'],
        'sample': queue.cpu,
        'pull': runner_pull.cpu,
        'insert': runner.cpu,
      },
      runner.sent,
      queue.received + runner_pull.received,
    ),
    Node(
      'learner',
      {
        'update': work['learning'],
        'sample': learner.cpu,
        'serving the runner': serve_runner,
      },
      runner_pull.received,
      learner.received,
    ),
    Node(
      'distiller',
      {'update': spi * work['distilling'], 'sample': spi * distill.cpu},
      0.0,
      spi * distill.received,
    ),
    Node(
      'actor_parameters, no cachers',
      {'serving actors': asked * serve},
      asked * pull.received,
      0.0,
    ),
    Node(
      'cacher', {'serving actors': asked * cached}, asked * pull.received, 0.0
    ),
    # The actor counts its frames, and the learner its update.
    Node('counter', {'counts': 2 * count}, 0.0, 0.0),
  ]


def _row(*cells):
  print('| ' + ' | '.join(map(str, cells)) + ' |', flush=True)


def _head(*cells):
  print()
  _row(*cells)
  _row('---', *['---:'] * (len(cells) - 1))


def _report(preset: str):
  sizes = _alone(scale_work.sizes, preset)
  print(f'\n## {preset}\n')
  print(
    f'{sizes["envs"]} environments x {sizes["length"]} steps = '
    f'{sizes["frames"]} frames an unroll; {sizes["pulls"]:.1f} pulls and '
    f'{sizes["samples_per_insert"]:g} distillation samples an unroll; '
    f'parameters: actor {sizes["actor"]:,}, learner {sizes["learner"]:,}'
  )
  work = {
    name: _alone(getattr(scale_work, name), preset)
    for name in ('acting', 'reading', 'learning', 'distilling')
  }
  arrows, server_cpu = _through_tables(preset, sizes)
  pulls = _pulls(preset)

  _head('arrow', 'times an unroll', 'bytes each', 'before compression')
  spi, asked = sizes['samples_per_insert'], sizes['pulls']
  plain = sizes['item_bytes']
  rows = (
    ('actor to queue', 1, arrows['actor'].sent, plain['actor']),
    ('queue to runner', 1, arrows['queue'].received, plain['actor']),
    (
      'runner to learner and distill',
      1,
      arrows['runner'].sent,
      plain['runner'],
    ),
    ('learner to learner', 1, arrows['learner'].received, plain['learner']),
    ('distill to distiller', spi, arrows['distill'].received, plain['distill']),
    ('learner parameters', 1, pulls['learner'][0].received, None),
    ('actor parameters', asked, pulls['actor'][0].received, None),
  )
  for name, times, each, before in rows:
    size = f'{before:,.0f}' if before else 'not compressed'
    _row(name, f'{times:g}', f'{each:,.0f}', size)

  _head('a pull', "reader's CPU us", "server's CPU us", 'bytes')
  for name, (cost, served) in pulls.items():
    figures = (1e6 * cost.cpu, 1e6 * served, cost.received)
    _row(name, *(f'{x:,.0f}' for x in figures))

  nodes = _nodes(sizes, work, arrows, server_cpu, pulls, _count())
  _head('node', 'CPU us an unroll', 'of that', 'bytes in', 'bytes out')
  for node in nodes:
    each = (f'{name} {1e6 * cpu:,.0f}' for name, cpu in node.work.items())
    _row(
      node.name,
      f'{1e6 * node.seconds:,.0f}',
      ', '.join(each),
      f'{node.received:,.0f}',
      f'{node.sent:,.0f}',
    )

  _head('one core of', 'unrolls/s', 'frames/s', 'actors', 'MB/s in', 'MB/s out')
  for node in nodes:
    rate = 1 / node.seconds
    _row(
      node.name,
      f'{rate:,.2f}',
      f'{rate * sizes["frames"]:,.0f}',
      f'{rate * nodes[0].seconds:,.2f}',
      f'{rate * node.received / 1e6:,.2f}',
      f'{rate * node.sent / 1e6:,.2f}',
    )

  by_name = {node.name: node for node in nodes}
  actor, replay, distiller = (
    by_name[name] for name in ('actor', 'replay', 'distiller')
  )
  _head(
    'learner and runner, an unroll',
    'frames/s',
    'cores of actors',
    'of distillers',
    'of replay',
    'replay MB/s in',
    'MB/s out',
    "actors' parameters MB/s",
  )
  for seconds in (by_name['learner'].seconds, *_FASTER):
    rate = 1 / seconds
    _row(
      f'{1e3 * seconds:,.0f} ms',
      f'{rate * sizes["frames"]:,.0f}',
      *(f'{rate * x.seconds:,.2f}' for x in (actor, distiller, replay)),
      *(
        f'{rate * x / 1e6:,.1f}'
        for x in (replay.received, replay.sent, actor.received)
      ),
    )


def main():
  one_thread.prepare()
  print(f'{processes.usable_cores()} cores')
  for preset in sys.argv[1:] or ('small', 'paper'):
    _report(preset)


if __name__ == '__main__':
  main()

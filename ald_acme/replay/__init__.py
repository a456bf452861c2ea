"""Replay tables, their writers and readers; no other package uses Reverb."""

from ald_acme import lazy

__getattr__, __dir__, __all__ = lazy.attach(
  __name__,
  {
    'Extras': 'adder',
    'LocalReplay': 'local',
    'Permits': 'writer',
    'Prefetched': 'prefetch',
    'Queue': 'tables',
    'Reader': 'reader',
    'Replay': 'tables',
    'Reuse': 'reader',
    'UnrollAdder': 'adder',
    'Writer': 'writer',
  },
)

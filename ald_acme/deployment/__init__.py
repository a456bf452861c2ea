"""Exports of acting policies to files that do not need this package."""

from ald_acme import lazy

__getattr__, __dir__, __all__ = lazy.attach(
  __name__,
  {
    'Policy': 'act',
    'Step': 'step',
    'export': 'exporting',
    'largest_difference': 'agreement',
    'load': 'act',
  },
)

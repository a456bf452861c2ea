"""Actor-Learner Distillation.

Names are imported when first used, so that a command line can be read, and
refused, without waiting for TensorFlow.
"""

import importlib

_MODULES = {
  'ALD': 'agent',
  'ALDBuilder': 'builder',
  'ALDConfig': 'config',
  'ALDLearner': 'learning',
  'ALDNetworks': 'networks',
  'DistributedALD': 'distributed',
  'make_default_networks': 'networks',
}
__all__ = sorted(_MODULES)


def __getattr__(name: str):
  if name not in _MODULES:
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
  return getattr(importlib.import_module(f'{__name__}.{_MODULES[name]}'), name)


def __dir__():
  return __all__

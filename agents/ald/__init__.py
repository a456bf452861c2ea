"""Actor-Learner Distillation."""

from ald_acme import lazy

__getattr__, __dir__, __all__ = lazy.attach(
  __name__,
  {
    'ALD': 'agent',
    'ALDBuilder': 'builder',
    'ALDConfig': 'config',
    'ALDNetworks': 'networks',
    'DistributedALD': 'distributed',
    'make_default_networks': 'networks',
  },
)

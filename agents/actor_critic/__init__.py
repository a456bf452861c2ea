"""Actor-critics that learn from unrolls, the base of the other agents."""

from ald_acme import lazy

__getattr__, __dir__, __all__ = lazy.attach(
  __name__,
  {
    'ActorCritic': 'agent',
    'ActorCriticBuilder': 'builder',
    'ActorCriticConfig': 'config',
    'ActorCriticLearner': 'learning',
    'ActorCriticNetworks': 'networks',
    'ActorCriticObjective': 'objectives',
    'AsymmetricBuilder': 'asymmetric',
    'AsymmetricConfig': 'config',
    'Objective': 'objectives',
    'RecurrentActor': 'acting',
    'UnrollLoop': 'acting',
    'VMPO': 'objectives',
    'VTrace': 'objectives',
  },
)

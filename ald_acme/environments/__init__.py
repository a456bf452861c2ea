"""Batched environments, and adapters to and from other interfaces."""

from ald_acme import lazy

__getattr__, __dir__, __all__ = lazy.attach(
  __name__,
  {
    'BatchedBandit': 'tasks.bandit',
    'BatchedEnvironment': 'interface.base',
    'BatchedIMaze': 'tasks.i_maze',
    'BatchedKnightsTour': 'tasks.knights_tour',
    'BatchedMetaFetch': 'tasks.meta_fetch',
    'ConformanceTestMixin': 'testing',
    'GymnasiumEnvironment': 'adapters.gymnasium_adapter',
    'IMaze': 'tasks.i_maze',
    'MaskSpec': 'interface.masks',
    'MetaFetch': 'tasks.meta_fetch',
    'Single': 'interface.base',
    'Stacked': 'batches.stacking',
    'Trials': 'batches.trials',
    'VectorEnvironment': 'adapters.gymnasium_vectors',
    'Workers': 'batches.workers',
    'make': 'registry',
    'stack': 'batches.stacking',
    'timestep': 'interface.base',
  },
)

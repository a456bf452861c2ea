"""Batched environments, and adapters to and from other interfaces."""

from ald_acme import lazy

__getattr__, __dir__, __all__ = lazy.attach(
  __name__,
  {
    'BatchedBandit': 'bandit',
    'BatchedEnvironment': 'base',
    'BatchedIMaze': 'i_maze',
    'BatchedKnightsTour': 'knights_tour',
    'BatchedMetaFetch': 'meta_fetch',
    'ConformanceTestMixin': 'testing',
    'GymnasiumEnvironment': 'gymnasium_adapter',
    'IMaze': 'i_maze',
    'MaskSpec': 'masks',
    'MetaFetch': 'meta_fetch',
    'Single': 'base',
    'Stacked': 'stacking',
    'Trials': 'trials',
    'VectorEnvironment': 'vectors',
    'Workers': 'workers',
    'make': 'registry',
    'stack': 'stacking',
    'timestep': 'base',
  },
)

"""Network parameters shared between processes."""

from ald_acme import lazy

__getattr__, __dir__, __all__ = lazy.attach(
  __name__,
  {
    'ActorParameters': 'shared',
    'Handle': 'shared',
    'MovingAverage': 'averaging',
    'ParameterCache': 'pulled',
    'PulledParameters': 'pulled',
    'SharedParameters': 'shared',
    'Variables': 'variables',
    'VectorSource': 'vectors',
  },
)

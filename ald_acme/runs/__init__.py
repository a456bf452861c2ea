"""A run's folder, logs, checkpoints and monitor."""

from ald_acme import lazy

__getattr__, __dir__, __all__ = lazy.attach(
  __name__,
  {
    'Checkpoint': 'checkpoints',
    'CheckpointFolder': 'checkpoints',
    'Goal': 'monitor',
    'Monitor': 'monitor',
    'RunCounter': 'counts',
    'RunFolder': 'folder',
    'Saveable': 'saving',
    'Saver': 'saving',
    'WandbLoggerFactory': 'weights_and_biases',
    'make_logger': 'metrics',
  },
)

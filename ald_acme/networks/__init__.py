"""Sonnet networks behind one recurrent interface."""

from ald_acme import lazy

__getattr__, __dir__, __all__ = lazy.attach(
  __name__,
  {
    'ActingNetwork': 'protocols',
    'Feedforward': 'feedforward',
    'GRU': 'gru',
    'GTrXL': 'gtrxl',
    'GTrXLState': 'gtrxl',
    'LSTM': 'lstm',
    'FeatureNetwork': 'protocols',
    'LearnerNetwork': 'protocols',
    'MinGRU': 'gru',
    'Network': 'protocols',
    'NetworkSizes': 'sizes',
    'PolicyValueNetwork': 'policy_value',
    'ResidualImageTorso': 'torsos',
    'ShallowImageTorso': 'torsos',
    'Torso': 'torsos',
    'UnrollableCore': 'core',
    'create_variables': 'policy_value',
  },
)

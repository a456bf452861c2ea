"""Agents assembled from the parts of `ald_acme`."""

from ald_acme import lazy

__getattr__, __dir__, __all__ = lazy.attach(
  __name__,
  {
    'Builder': 'builders',
    'BuilderTestMixin': 'testing',
    'DistributedAgent': 'program',
    'EvaluationConfig': 'experiment',
    'ExperimentConfig': 'experiment',
    'Node': 'builders',
    'ProgramBuilderTestMixin': 'testing',
  },
)

"""Acting: compiled policies, evaluation and recording of episodes."""

from ald_acme import lazy

__getattr__, __dir__, __all__ = lazy.attach(
  __name__,
  {
    'BatchedPolicy': 'policies',
    'Decision': 'policies',
    'EvaluatedPolicy': 'evaluator',
    'Evaluator': 'evaluator',
    'Recording': 'recording',
    'Schedule': 'evaluator',
    'play': 'evaluation',
    'play_many': 'evaluation',
    'record': 'recording',
    'success_rate': 'evaluation',
  },
)

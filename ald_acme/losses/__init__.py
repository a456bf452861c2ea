"""Losses as pure functions of time-major tensors `[T, B, ...]`."""

from ald_acme import lazy

__getattr__, __dir__, __all__ = lazy.attach(
  __name__,
  {
    'AdvantageScale': 'popart',
    'Normalisation': 'popart',
    'PopArt': 'popart',
    'VMPO': 'vmpo',
    'VTrace': 'vtrace',
    'clipped_surrogate_loss': 'surrogate',
    'explained_variance': 'vtrace',
    'masked_mean': 'masking',
    'policy_distillation_loss': 'distillation',
    'policy_regulariser': 'distillation',
    'value_distillation_loss': 'distillation',
    'value_loss': 'vtrace',
    'vmpo_loss': 'vmpo',
  },
)

"""Cores and sizes of the default networks, and presets."""

import dataclasses
from typing import Any

from ald_acme import validation


def _size(default: int, about: str) -> Any:
  return validation.setting(default, about, at_least=1)


CORES = ('lstm', 'gru', 'mingru', 'gtrxl', 'memoryless')


@dataclasses.dataclass
class NetworkSizes:
  """The cores of the actor and of the learner, and their sizes.

  The defaults are the `small` preset: both networks can be trained on a CPU.
  The GTrXL's torso is as wide as the GTrXL.
  """

  actor_core: str = validation.setting(
    'lstm', "Core of the actor's network.", one_of=CORES
  )
  learner_core: str = validation.setting(
    'gtrxl', "Core of the learner's network.", one_of=CORES
  )
  torso: int = _size(64, 'Units of the torso in front of the other cores.')
  lstm: int = _size(64, 'Hidden units of the cores other than the GTrXL.')
  gtrxl_width: int = _size(64, 'Width of the GTrXL and of its torso.')
  gtrxl_layers: int = _size(2, 'Layers of the GTrXL.')
  gtrxl_heads: int = _size(4, 'Attention heads of each layer.')
  gtrxl_mlp: int = _size(128, 'Hidden units of the position-wise networks.')
  gtrxl_memory: int = _size(64, 'Past steps kept per layer.')
  image_torso: str = validation.setting(
    'shallow',
    'Torso for images: two convolutions, or the residual network of the IMPALA '
    'paper, which is slow to train on a CPU.',
    one_of=('shallow', 'residual'),
  )
  image_channels: int = _size(
    16, 'Channels of the first convolution of the image torso.'
  )

  def __post_init__(self) -> None:
    validation.check(self, 'networks')
    if self.gtrxl_width % self.gtrxl_heads or self.gtrxl_width % 2:
      raise ValueError(
        'networks.gtrxl_width must be even and a multiple of '
        f'networks.gtrxl_heads={self.gtrxl_heads}, but received '
        f'{self.gtrxl_width}; try {2 * self.gtrxl_heads * 8}.'
      )


PRESETS = {
  # Learns little but compiles fast: for tests and first steps.
  'tiny': NetworkSizes(
    torso=8,
    lstm=8,
    gtrxl_width=8,
    gtrxl_layers=1,
    gtrxl_heads=2,
    gtrxl_mlp=8,
    gtrxl_memory=4,
    image_channels=2,
  ),
  'small': NetworkSizes(),
  # The learner of the paper's figures; needs an accelerator.
  'paper': NetworkSizes(
    torso=128,
    lstm=128,
    gtrxl_width=256,
    gtrxl_layers=4,
    gtrxl_heads=8,
    gtrxl_mlp=1024,
    gtrxl_memory=512,
    image_torso='residual',
    image_channels=16,
  ),
}

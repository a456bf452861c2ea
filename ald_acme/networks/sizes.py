"""Sizes of the default actor and learner networks, and presets of them."""

import dataclasses

from ald_acme import validation


@dataclasses.dataclass
class NetworkSizes:
  """Sizes of the LSTM that acts and the GTrXL that learns.

  The defaults are the `small` preset: both networks learn on a CPU.
  """

  # Actor.
  torso: int = 64  # Units of the layer in front of the LSTM.
  lstm: int = 64  # Hidden units.

  # Learner; its torso is as wide as the GTrXL.
  gtrxl_width: int = 64
  gtrxl_layers: int = 2
  gtrxl_heads: int = 4
  gtrxl_mlp: int = 128  # Hidden units of the position-wise networks.
  gtrxl_memory: int = 64  # Steps of the past kept per layer.

  # Both: channels of the first convolutions, where images are observed.
  image_channels: int = 8

  def __post_init__(self):
    validation.check_types(self, 'networks')
    for field in dataclasses.fields(self):
      validation.at_least(self, field.name, 1, 'networks')
    if self.gtrxl_width % self.gtrxl_heads or self.gtrxl_width % 2:
      raise ValueError(
        'networks.gtrxl_width must be even and a multiple of '
        f'networks.gtrxl_heads={self.gtrxl_heads}, but received '
        f'{self.gtrxl_width}; try {2 * self.gtrxl_heads * 8}.'
      )


PRESETS = {
  # Learns little, and compiles in no time: for tests and first steps.
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
  # The learner of the paper's figures, for an accelerator.
  'paper': NetworkSizes(
    torso=128,
    lstm=128,
    gtrxl_width=256,
    gtrxl_layers=4,
    gtrxl_heads=8,
    gtrxl_mlp=1024,
    gtrxl_memory=512,
    image_channels=16,
  ),
}

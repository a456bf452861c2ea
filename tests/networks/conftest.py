"""Small cores, with variables that leave nothing at zero."""

import numpy as np
import pytest
import tensorflow as tf

from ald_acme.networks import gtrxl
from ald_acme.networks import lstm

WIDTH = 8


def _gtrxl():
  return gtrxl.GTrXL(
    WIDTH, num_layers=2, num_heads=2, mlp_size=12, memory_size=4
  )


def _lstm():
  return lstm.LSTM(WIDTH)


@pytest.fixture(params=[_lstm, _gtrxl], ids=['lstm', 'gtrxl'])
def make_core(request):
  """Makes a core that reads and answers vectors of 8."""
  return request.param


@pytest.fixture
def randomise():
  """Moves all variables of a module, biases at 0 and scales at 1 too."""

  def move(module, seed=0, scale=0.4):
    rng = np.random.RandomState(seed)
    for variable in module.variables:
      noise = scale * rng.randn(*variable.shape)
      variable.assign_add(tf.cast(noise, variable.dtype))
    return module

  return move

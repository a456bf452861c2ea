"""Small cores whose variables are all non-zero."""

import pytest
import tensorflow as tf

from ald_acme.networks import gtrxl
from ald_acme.networks import lstm
from ald_acme.networks import testing

WIDTH = 8


def _gtrxl():
  return gtrxl.GTrXL(
    WIDTH, num_layers=2, num_heads=2, mlp_size=12, memory_size=4
  )


def _lstm():
  return lstm.LSTM(WIDTH)


@pytest.fixture(autouse=True)
def seed():
  """Initial parameters are the same in each run of the tests."""
  tf.random.set_seed(0)


@pytest.fixture(params=[_lstm, _gtrxl], ids=['lstm', 'gtrxl'])
def make_core(request):
  """Makes a core that reads and answers vectors of 8."""
  return request.param


@pytest.fixture
def randomise():
  """Moves all variables of a module, biases at 0 and scales at 1 too."""
  return testing.randomise

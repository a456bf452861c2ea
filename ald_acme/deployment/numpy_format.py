"""A policy as named arrays in one numpy file."""

from collections.abc import Iterable
import os
from typing import Any

import numpy as np
import sonnet as snt

from ald_acme.deployment import act
from ald_acme.deployment import step as steps
from ald_acme.networks import lstm
from ald_acme.networks import torsos


def write(step: steps.Step, folder: str) -> None:
  """Writes `policy.npz`, which the LSTM written out in `act.py` reads.

  Args:
    step: of the policy.
    folder: for the file; it must exist.

  Raises:
    ValueError: if the policy has other parts than those that are written out.
  """
  np.savez(os.path.join(folder, act.NUMPY), **_weights(step.network))


def _weights(network: Any) -> dict[str, np.ndarray]:
  """The network's variables by the names that `act.py` knows."""

  def only(kind: type, modules: Iterable[Any]) -> Any:
    (found,) = (module for module in modules if isinstance(module, kind))
    return found

  torso = only(torsos.Torso, network.submodules)
  layer = only(snt.Linear, torso.submodules)
  cell = only(lstm.LSTM, network.submodules).cell
  head = only(
    snt.Linear, (module for module in network.submodules if module != layer)
  )
  weights = {
    'torso_w': layer.w,
    'torso_b': layer.b,
    'input_to_hidden': cell.input_to_hidden,
    'hidden_to_hidden': cell.hidden_to_hidden,
    'lstm_b': cell.b,
    'head_w': head.w,
    'head_b': head.b,
  }
  if len(weights) != len(network.variables):
    raise ValueError(
      'the format numpy has no convolutions, and this policy reads images with '
      'them; export it as tflite or saved_model.'
    )
  return {name: variable.numpy() for name, variable in weights.items()}

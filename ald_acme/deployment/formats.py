"""Writes a policy in each format of `act.FORMATS`."""

from collections.abc import Callable, Iterable
import os
import tempfile
from typing import Any

import numpy as np
import sonnet as snt
import tensorflow as tf

from ald_acme.acting.inference import conversion
from ald_acme.deployment import act
from ald_acme.deployment import step as steps
from ald_acme.networks import lstm
from ald_acme.networks import torsos

_OPERATIONS = 15  # ONNX operator set.


def _write_saved_model(step: steps.Step, folder: str) -> None:
  """Writes the SavedModel `policy` with the signature `step`.

  Args:
    step: the policy's step.
    folder: for the files; it must exist.
  """
  module = tf.Module()
  module.weights = list(step.network.trainable_variables)
  module.step = step.function
  tf.saved_model.save(
    module,
    os.path.join(folder, act.SAVED_MODEL),
    signatures={act.SIGNATURE: step.function},
  )


def _write_tflite(step: steps.Step, folder: str) -> None:
  """Writes `policy.tflite`, with built-in operations only.

  Args:
    step: the policy's step.
    folder: for the file; it must exist.

  Raises:
    ValueError: if the built-in operations do not support the policy.
  """
  with tempfile.TemporaryDirectory() as scratch:
    _write_saved_model(step, scratch)
    converter = tf.lite.TFLiteConverter.from_saved_model(
      os.path.join(scratch, act.SAVED_MODEL), signature_keys=[act.SIGNATURE]
    )
    try:
      model = conversion.convert(converter)
    except ValueError as error:
      cure = 'export it as saved_model or numpy.'
      raise ValueError(f'{error}; {cure}') from error
  with open(os.path.join(folder, act.TFLITE), 'wb') as file:
    file.write(model)


def _write_onnx(step: steps.Step, folder: str) -> None:
  """Writes `policy.onnx`.

  Args:
    step: the policy's step.
    folder: for the file; it must exist.

  Raises:
    ValueError: if tf2onnx is not installed or cannot convert the policy.
  """
  try:
    import tf2onnx
  except ImportError as error:
    raise ValueError(
      f'the format onnx cannot be written here ({error}); install: pip install '
      '-c requirements.txt ".[onnx]".'
    ) from error
  names = list(step.inputs)
  signature = [
    tf.TensorSpec(spec.shape, spec.dtype, name)
    for name, spec in step.inputs.items()
  ]
  function = tf.function(
    lambda *tensors: step.function(**dict(zip(names, tensors))),
    autograph=False,
  )
  try:
    model, _ = tf2onnx.convert.from_function(
      function, signature, opset=_OPERATIONS
    )
  except Exception as error:  # The converter may raise anything.
    raise ValueError(
      f'ONNX does not support this policy ({error}); export it as saved_model.'
    ) from error
  with open(os.path.join(folder, act.ONNX), 'wb') as file:
    file.write(model.SerializeToString())


def _write_numpy(step: steps.Step, folder: str) -> None:
  """Writes `policy.npz`, read by the numpy LSTM in `act.py`.

  Args:
    step: the policy's step.
    folder: for the file; it must exist.

  Raises:
    ValueError: if the policy has parts that `act.py` does not implement.
  """
  np.savez(os.path.join(folder, act.NUMPY), **_weights(step.network))


def _weights(network: Any) -> dict[str, np.ndarray]:
  """The network's variables by their names in `act.py`."""

  def only(kind: type, modules: Iterable[Any]) -> Any:
    (found,) = (module for module in modules if isinstance(module, kind))
    return found

  if not any(isinstance(module, lstm.LSTM) for module in network.submodules):
    raise ValueError(
      'the format numpy holds an LSTM alone, but the policy has another core; '
      'export it as tflite, onnx or saved_model.'
    )
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
      'the format numpy does not support convolutions, which this policy reads '
      'images with; export it as tflite or saved_model.'
    )
  return {name: variable.numpy() for name, variable in weights.items()}


# Each takes the step and an existing folder; ValueError if the format cannot
# hold the policy.
WRITERS: dict[str, Callable[[steps.Step, str], None]] = {
  'saved_model': _write_saved_model,
  'tflite': _write_tflite,
  'onnx': _write_onnx,
  'numpy': _write_numpy,
}

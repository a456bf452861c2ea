"""A policy as an ONNX file."""

import os

import tensorflow as tf

from ald_acme.deployment import act
from ald_acme.deployment import step as steps

_OPERATIONS = 15  # ONNX's version of its operations.


def write(step: steps.Step, folder: str) -> None:
  """Writes `policy.onnx`.

  Args:
    step: of the policy.
    folder: for the file; it must exist.

  Raises:
    ValueError: if tf2onnx is not installed or cannot convert the policy.
  """
  try:
    import tf2onnx
  except ImportError as error:
    raise ValueError(
      f'the format onnx cannot be written here ({error}); install what it '
      'needs: pip install -c requirements.txt ".[onnx]".'
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
      f'ONNX cannot hold this policy ({error}); export it as saved_model.'
    ) from error
  with open(os.path.join(folder, act.ONNX), 'wb') as file:
    file.write(model.SerializeToString())

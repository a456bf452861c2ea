"""A policy as a TensorFlow Lite file."""

import os
import tempfile

import tensorflow as tf

from ald_acme.deployment import act
from ald_acme.deployment import saved_model
from ald_acme.deployment import step as steps


def write(step: steps.Step, folder: str) -> None:
  """Writes `policy.tflite`, of built-in operations alone.

  Args:
    step: of the policy.
    folder: for the file; it must exist.

  Raises:
    ValueError: if the built-in operations are not enough for the policy.
  """
  with tempfile.TemporaryDirectory() as scratch:
    saved_model.write(step, scratch)
    converter = tf.lite.TFLiteConverter.from_saved_model(
      os.path.join(scratch, act.SAVED_MODEL), signature_keys=[act.SIGNATURE]
    )
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    try:
      model = converter.convert()
    except Exception as error:  # The converter's own is not public.
      raise ValueError(
        'TensorFlow Lite cannot hold this policy with its built-in operations '
        f'({str(error).splitlines()[0]}); export it as saved_model or numpy.'
      ) from error
  with open(os.path.join(folder, act.TFLITE), 'wb') as file:
    file.write(model)

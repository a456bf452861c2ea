"""A policy as a TensorFlow SavedModel."""

import os

import tensorflow as tf

from ald_acme.deployment import act
from ald_acme.deployment import step as steps


def write(step: steps.Step, folder: str) -> None:
  """Writes the SavedModel `policy` with the signature `step`.

  Args:
    step: of the policy.
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

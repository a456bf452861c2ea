"""Networks of a run that its settings name by import path."""

import dataclasses
from typing import Any

from acme import specs

from ald_acme import importing


@dataclasses.dataclass(frozen=True)
class ImportedNetworks:
  """A network factory that imports another; it can be pickled.

  Attributes:
    path: 'package.module:function' of a function that takes an
      `acme.specs.EnvironmentSpec`.
  """

  path: str

  def __call__(self, environment_spec: specs.EnvironmentSpec) -> Any:
    """Makes the networks.

    Raises:
      ValueError: if the function cannot be imported, or raises.
    """
    factory = importing.load('network_factory', self.path)
    try:
      return factory(environment_spec)
    except Exception as error:  # It is not ours.
      raise ValueError(
        f'network_factory={self.path!r} cannot make networks for this '
        f'environment ({type(error).__name__}: {error}); it is called with an '
        'acme.specs.EnvironmentSpec.'
      ) from error

"""Networks that a run's settings name by import path."""

import dataclasses
from typing import Any

from acme import specs

from ald_acme import importing


@dataclasses.dataclass(frozen=True)
class ImportedNetworks:
  """A picklable network factory that imports another.

  Attributes:
    path: 'package.module:function' of a function that takes an
      `acme.specs.EnvironmentSpec`.
  """

  path: str

  def __call__(self, environment_spec: specs.EnvironmentSpec) -> Any:
    """Creates the networks.

    Raises:
      ValueError: if the function cannot be imported, or raises.
    """
    factory = importing.load('network_factory', self.path)
    try:
      return factory(environment_spec)
    except Exception as error:  # User code may raise anything.
      raise ValueError(
        f'network_factory={self.path!r} cannot make networks for this '
        f'environment ({type(error).__name__}: {error}); it receives an '
        'acme.specs.EnvironmentSpec; fix the function or name another.'
      ) from error

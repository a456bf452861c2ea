"""The contracts of cores and of networks, as tests to inherit.

A core that breaks them learns wrongly, and no error says so: its unrolls differ
from its steps, or an episode reads the one before.

  class TestMyCore(testing.CoreTestMixin):
    def make_object_under_test(self):
      return MyCore(8)
"""

from ald_acme.networks.testing.cores import CoreTestMixin
from ald_acme.networks.testing.nests import assert_close
from ald_acme.networks.testing.nests import randomise
from ald_acme.networks.testing.networks import NetworkTestMixin

__all__ = ['CoreTestMixin', 'NetworkTestMixin', 'assert_close', 'randomise']

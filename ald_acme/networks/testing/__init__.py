"""Conformance tests of cores and networks, to inherit.

A core that fails them trains wrongly without an error: its unrolls differ from
its steps, or state leaks between episodes.

  class TestMyCore(testing.CoreTestMixin):
    def make_object_under_test(self):
      return MyCore(8)
"""

from ald_acme.networks.testing.cores import CoreTestMixin
from ald_acme.networks.testing.nests import assert_close
from ald_acme.networks.testing.nests import randomise
from ald_acme.networks.testing.networks import NetworkTestMixin

__all__ = ['CoreTestMixin', 'NetworkTestMixin', 'assert_close', 'randomise']

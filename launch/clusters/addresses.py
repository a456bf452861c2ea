"""Addresses that are resolved once a job has its hosts."""

import os

import launchpad as lp

from launch.clusters import tasks


class HostPort(lp.AbstractAddressBuilder):
  """A port of the host that runs a task."""

  def __init__(self, task: int, port: int) -> None:
    self._task, self._port = task, port

  def build(self) -> str:
    hosts = os.environ[tasks.HOSTS].split(',')
    return f'{hosts[self._task]}:{self._port}'


class PortAfter(lp.AbstractAddressBuilder):
  """A port at an offset from another address, on the same host."""

  def __init__(self, address: lp.AbstractAddressBuilder, offset: int) -> None:
    self._address, self._offset = address, offset

  def build(self) -> str:
    host, port = self._address.build().rsplit(':', 1)
    return f'{host}:{int(port) + self._offset}'

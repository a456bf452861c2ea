"""Nodes that run on one host."""

import functools
import json
import time

import launchpad as lp
import psutil
import pytest

from launch.clusters import colocation


def _program():
  program = lp.Program('test')
  handles = {
    label: program.add_node(lp.CourierNode(dict), label)
    for label in ('store', 'worker', 'other')
  }
  with program.group('worker'):
    program.add_node(lp.CourierNode(dict))
  return program, handles


def test_takes_the_nodes_of_its_groups():
  program, _ = _program()
  colocation.colocate(program, ('store', 'worker'), 'host')
  assert list(program.groups) == ['other', 'host']
  (host,) = program.groups['host']
  assert host.processes == 3 and len(host.addresses) == 3


def test_leaves_a_program_without_them_alone():
  program, _ = _program()
  colocation.colocate(program, ('distiller',), 'host')
  assert list(program.groups) == ['store', 'worker', 'other']


def test_ports_on_vertex_ai(monkeypatch):
  program, handles = _program()
  colocation.colocate(program, ('store', 'worker'), 'host')
  program.groups['host'][0].bind_addresses(cluster='workerpool2', instance=1)
  cluster = {'workerpool2': ['a:2222', 'b:3333']}
  monkeypatch.setenv('CLUSTER_SPEC', json.dumps({'cluster': cluster}))
  assert handles['store']._address.resolve() == 'b:3333'
  assert handles['worker']._address.resolve() == 'b:3334'


def test_one_that_ends_ends_the_others():
  host = colocation.Host(
    [
      lp.PyNode(functools.partial(time.sleep, 3600)),
      lp.PyNode(functools.partial(divmod, 1, 0)),
    ]
  )
  with pytest.raises(RuntimeError, match=r'None, 1'):
    host.run()
  assert not [
    child
    for child in psutil.Process().children(recursive=True)
    if any('process_entry' in word for word in child.cmdline())
  ]

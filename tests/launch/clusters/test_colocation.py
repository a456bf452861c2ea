"""Nodes that run on one host."""

import functools
import json
import os
import signal
import time

import launchpad as lp
import psutil
import pytest

from launch.clusters import colocation
from launch.clusters import restarts


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


def _processes_of_nodes():
  return [
    child
    for child in psutil.Process().children(recursive=True)
    if any('process_entry' in word for word in child.cmdline())
  ]


def _kill_itself():
  os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize(
  'function,ended',
  [
    (functools.partial(divmod, 1, 0), 'exit code 1'),
    (_kill_itself, 'signal 9'),
  ],
)
def test_an_ended_node_ends_the_others(function, ended, capfd):
  host = colocation.Host(
    {
      'sleeper_0': lp.PyNode(functools.partial(time.sleep, 3600)),
      'victim_0': lp.PyNode(function),
    }
  )
  with pytest.raises(SystemExit, match='1'):
    host.run()
  said = capfd.readouterr()
  assert said.out.splitlines()[-1] == f'victim_0 has ended: {ended}'
  assert ('ZeroDivisionError' in said.err) == (ended == 'exit code 1')
  assert not _processes_of_nodes()


def _fail(starts):
  with starts.open('a') as file:
    file.write('x')
  raise OSError('no maze')


def test_restarts_until_the_limit(monkeypatch, tmp_path, capfd):
  monkeypatch.setattr(restarts, 'PAUSE', 0.01)
  monkeypatch.setattr(restarts, 'TRIES', 3)
  starts = tmp_path / 'starts'
  revived = colocation.Revived(
    {'actor_7': lp.PyNode(functools.partial(_fail, starts))}
  )
  with pytest.raises(SystemExit, match='1'):
    revived.run()
  assert starts.read_text() == 'xxx'
  said = capfd.readouterr()
  assert said.err.count('OSError: no maze') == 3
  assert said.out.splitlines()[-1] == (
    'actor_7 has ended: exit code 1; again and again'
  )


def test_revived_nodes_keep_their_group_and_their_handles():
  program, handles = _program()
  colocation.revive(program, 'worker')
  colocation.revive(program, 'nobody')
  assert list(program.groups) == ['store', 'other', 'worker']
  assert len(program.groups['worker']) == 2
  for node in program.groups['worker']:
    assert isinstance(node, colocation.Revived) and node.processes == 1
  assert handles['worker']._address in program.groups['worker'][0].addresses

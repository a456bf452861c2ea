"""A Slurm of the test's own, where the packages are installed."""

import os
import shutil
import socket
import subprocess
import time

import pytest

_PROGRAMS = ('slurmctld', 'slurmd', 'munged', 'sbatch')
_PORTS = 17_817  # The controller's; the hosts' follow.
_HOSTS = 3
_START = 60  # Seconds that Slurm may take to be ready.


def pytest_configure(config):
  config.addinivalue_line(
    'markers', 'slurm: needs slurm-wlm and munge, and to be root'
  )


@pytest.fixture(scope='session')
def slurm(tmp_path_factory):
  """A cluster of three hosts, all of them this machine.

  Yields:
    The environment in which Slurm's commands find it.
  """
  os.environ['PATH'] += ':/usr/sbin'
  missing = [name for name in _PROGRAMS if shutil.which(name) is None]
  if missing or os.geteuid():
    pytest.skip(f'no Slurm to start here: not root, or without {missing}')
  folder = tmp_path_factory.mktemp('slurm')
  folder.chmod(0o755)
  conf = folder / 'slurm.conf'
  host = socket.gethostname()
  lines = [
    'ClusterName=test',
    f'SlurmctldHost={host}(127.0.0.1)',
    'SlurmUser=root',
    f'SlurmctldPort={_PORTS}',
    'AuthType=auth/munge',
    # The second is also what a job that is queued again waits at least.
    f'AuthInfo=socket={folder}/munge.socket,cred_expire=20',
    f'StateSaveLocation={folder}/state',
    f'SlurmctldPidFile={folder}/slurmctld.pid',
    f'SlurmctldLogFile={folder}/slurmctld.log',
    f'SlurmdSpoolDir={folder}/spool-%n',
    f'SlurmdPidFile={folder}/slurmd-%n.pid',
    f'SlurmdLogFile={folder}/slurmd-%n.log',
    'ProctrackType=proctrack/linuxproc',
    'TaskPlugin=task/none',
    'MpiDefault=none',
    'SelectType=select/cons_tres',
    'SelectTypeParameters=CR_CPU',
    'SlurmdParameters=config_overrides',  # More CPUs than there are.
    'ReturnToService=2',
    'KillWait=45',
    'SchedulerParameters=sched_interval=2,bf_interval=2',
    'PartitionName=main Nodes=ALL Default=YES State=UP OverSubscribe=FORCE:16',
  ]
  names = [f'n{i}' for i in range(1, _HOSTS + 1)]
  for number, name in enumerate(names, start=1):
    lines.append(
      f'NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 '
      f'Port={_PORTS + number} CPUs=16'
    )
  conf.write_text('\n'.join(lines) + '\n')
  key = folder / 'munge.key'
  key.write_bytes(os.urandom(256))
  key.chmod(0o600)
  environment = {**os.environ, 'SLURM_CONF': str(conf)}

  def start(*command):
    subprocess.run(command, env=environment, check=True, capture_output=True)

  pids = [folder / 'munged.pid']
  try:
    start(
      'munged',
      '--force',  # The folder's owners are not those it likes.
      f'--key-file={key}',
      f'--socket={folder}/munge.socket',
      f'--pid-file={pids[0]}',
      f'--log-file={folder}/munged.log',
      f'--seed-file={folder}/munge.seed',
    )
    pids.append(folder / 'slurmctld.pid')
    start('slurmctld', '-c')
    for name in names:
      pids.append(folder / f'slurmd-{name}.pid')
      start('slurmd', '-c', '-N', name)
    _wait_until_idle(environment)
    yield environment
    _cancel_all(environment)
  finally:
    for path in reversed(pids):
      if path.exists():
        os.kill(int(path.read_text()), 15)


def _cancel_all(environment):
  """Ends what failed tests have left."""
  for state in ('PENDING', 'RUNNING'):
    command = ['scancel', f'--state={state}']
    subprocess.run(command, env=environment, check=False)
  deadline = time.monotonic() + _START
  while subprocess.check_output(['squeue', '--noheader'], env=environment):
    assert time.monotonic() < deadline
    time.sleep(0.5)


def _wait_until_idle(environment):
  deadline = time.monotonic() + _START
  while True:
    states = subprocess.run(
      ['sinfo', '--noheader', '--Node', '--format=%T'],
      env=environment,
      capture_output=True,
      text=True,
      check=False,
    ).stdout.split()
    if states == ['idle'] * _HOSTS:
      return
    assert time.monotonic() < deadline, states
    time.sleep(0.5)

"""A Slurm cluster for the tests, if the packages are installed."""

import contextlib
import os
import shutil
import socket
import subprocess
import time

import psutil
import pytest

_PROGRAMS = ('slurmctld', 'slurmd', 'munged', 'sbatch', 'srun')
# Hosts and their CPUs, as Slurm is told.
_HOSTS = {'n1': 5, 'n2': 3, 'n3': 3}
_START = 60  # Seconds that Slurm may take to be ready.
_CONF = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser=root
AuthType=auth/munge
# A job that is queued again waits at least as long as a credential is good.
AuthInfo=socket={folder}/munge.socket,cred_expire=5
StateSaveLocation={folder}/state
SlurmctldPidFile={folder}/slurmctld.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdSpoolDir={folder}/spool-%n
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmdLogFile={folder}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
# More CPUs than there are.
SlurmdParameters=config_overrides
ReturnToService=2
KillWait=60
SchedulerParameters=sched_interval=1,bf_interval=1
PartitionName=main Nodes=ALL Default=YES State=UP OverSubscribe=FORCE:16
"""


class Slurm:
  """A cluster of hosts, all of them this machine.

  Attributes:
    environment: in which Slurm's commands find it.
  """

  def __init__(self, environment, folder):
    self.environment = environment
    self._folder = folder
    self._hosts = {}

  def run(self, *command):
    """Output of a command."""
    done = subprocess.run(
      command,
      env=self.environment,
      capture_output=True,
      text=True,
      check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout

  def start(self, *command):
    """Starts a daemon."""
    with open(self._folder / 'daemons.out', 'a') as out:
      return subprocess.Popen(
        command, env=self.environment, stdout=out, stderr=subprocess.STDOUT
      )

  def start_host(self, name):
    self._hosts[name] = self.start('slurmd', '-D', '-c', '-N', name)

  def lose_host(self, name):
    """Has a host vanish with all that runs on it; Slurm knows at once."""
    log = f'{self._folder}/slurmd-{name}.log'
    found = [p for p in psutil.process_iter() if _has_open(p, log)]
    for process in [*found, *(c for p in found for c in _below(p))]:
      with contextlib.suppress(psutil.NoSuchProcess):
        process.kill()
    self._hosts[name].wait()
    down = ['scontrol', 'update', f'nodename={name}', 'state=down']
    self.run(*down, 'reason=test')

  def bring_host_back(self, name):
    self.start_host(name)  # ReturnToService=2: it needs no `resume`.


@pytest.fixture(scope='session')
def slurm(tmp_path_factory):
  """A cluster of three hosts, all of them this machine.

  Needs root. Another Slurm may be running: ports, files and the munge are its
  own.
  """
  path = os.pathsep.join([os.environ['PATH'], '/usr/sbin'])
  missing = [name for name in _PROGRAMS if not shutil.which(name, path=path)]
  if missing or os.geteuid():
    pytest.skip(f'no Slurm to start here: not root, or without {missing}')
  folder = tmp_path_factory.mktemp('slurm')
  folder.chmod(0o755)
  conf = folder / 'slurm.conf'
  conf.write_text(_describe(folder))
  key = folder / 'munge.key'
  key.write_bytes(os.urandom(256))
  key.chmod(0o600)
  environment = {
    name: value
    for name, value in os.environ.items()
    if not name.startswith(('SLURM', 'SBATCH', 'SRUN'))
  }
  environment |= {'PATH': path, 'SLURM_CONF': str(conf)}
  cluster = Slurm(environment, folder)
  try:
    cluster.start(
      'munged',
      '--foreground',
      '--force',  # The folder's owners are not those it likes.
      f'--key-file={key}',
      f'--socket={folder}/munge.socket',
      f'--pid-file={folder}/munged.pid',
      f'--log-file={folder}/munged.log',
      f'--seed-file={folder}/munge.seed',
    )
    _wait_until((folder / 'munge.socket').exists, folder)
    cluster.start('slurmctld', '-D', '-c')
    for name in _HOSTS:
      cluster.start_host(name)
    idle = ['idle'] * len(_HOSTS)
    _wait_until(lambda: _states(environment) == idle, folder)
    yield cluster
  finally:  # Also of the jobs that tests have left.
    while found := [p for p in psutil.process_iter() if _is_of(p, conf)]:
      for process in found:
        with contextlib.suppress(psutil.NoSuchProcess):
          process.kill()
      psutil.wait_procs(found, timeout=1)


def _describe(folder):
  """The configuration, on ports that are free now."""
  host = socket.gethostname()
  with contextlib.ExitStack() as stack:
    probes = [stack.enter_context(socket.socket()) for _ in [None, *_HOSTS]]
    for probe in probes:
      probe.bind(('', 0))
    port, *ports = (probe.getsockname()[1] for probe in probes)
  hosts = [
    f'NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={own} '
    f'CPUs={cpus} RealMemory=64000'
    for (name, cpus), own in zip(_HOSTS.items(), ports)
  ]
  conf = _CONF.strip().format(host=host, port=port, folder=folder)
  return '\n'.join([conf, *hosts, ''])


def _is_of(process, conf):
  """Whether a process is Slurm, or of a job."""
  try:
    return process.environ().get('SLURM_CONF') == str(conf)
  except psutil.Error:
    return False


def _has_open(process, path):
  """Whether a process is one of a host's daemons."""
  try:
    return process.name().startswith('slurm') and path in {
      file.path for file in process.open_files()
    }
  except psutil.Error:
    return False


def _below(process):
  try:
    return process.children(recursive=True)
  except psutil.NoSuchProcess:
    return []


def _states(environment):
  """State of each host; none while the controller does not answer."""
  done = subprocess.run(
    ['sinfo', '--noheader', '--Node', '--format=%T'],
    env=environment,
    capture_output=True,
    text=True,
    check=False,
  )
  return done.stdout.split()


def _wait_until(condition, folder):
  deadline = time.monotonic() + _START
  while not condition():
    said = folder / 'daemons.out'
    assert time.monotonic() < deadline, said.read_text()[-3000:]
    time.sleep(0.2)

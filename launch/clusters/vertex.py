"""A job of Vertex AI: its worker pools, specification and containers."""

from __future__ import annotations

import dataclasses
import importlib.util
import os
import shutil
import sys
import typing

from absl import flags

from ald_acme.runs import files
from ald_acme.runs import folder as run_folder
from launch import bootstrap
from launch import command_line
from launch.clusters import programs

if typing.TYPE_CHECKING:
  import launchpad as lp

_ACCELERATOR = flags.DEFINE_enum(
  'accelerator',
  't4',
  ('none', 'p4', 'p100', 't4', 'v100'),
  'Vertex AI: accelerator of the learner and of its runner.',
)
_IMAGES = flags.DEFINE_string(
  'images',
  'IMAGES',
  'Vertex AI, with --dry_run: where the containers will be, the part of their '
  'names before the last /.',
)
_BUCKET = 'GOOGLE_CLOUD_BUCKET_NAME'  # As XManager calls it.
# vCPUs and GiB of memory, by the name of a machine.
_MACHINES = {
  'n1-standard-4': (4, 15),
  'n1-standard-8': (8, 30),
  'n1-highmem-4': (4, 26),
  'n1-highcpu-16': (16, 14),
  'n1-highcpu-32': (32, 28),
  'n1-highcpu-64': (64, 57),
  'n1-highcpu-96': (96, 86),
}
_MANY_CORES = [name for name in _MACHINES if 'highcpu' in name]
# Neither history, environments, runs and results, nor caches.
_NOT_CODE = shutil.ignore_patterns(
  '.*', '__pycache__', '*.pyc', 'runs', 'results', 'tests', '*.egg-info'
)


@dataclasses.dataclass(frozen=True)
class Pool:
  """Machines that are alike; each runs one node.

  Attributes:
    name: as Vertex AI calls it, 'workerpool0' and so on.
    nodes: and their groups, in the order of the pool's replicas.
    machine: name of the type.
    accelerator: of each machine, None for none.
  """

  name: str
  nodes: list[tuple[str, lp.PyNode]]
  machine: str
  accelerator: str | None

  def specification(self, job: str) -> dict:
    """What Vertex AI calls a WorkerPoolSpec.

    Args:
      job: name of the job.
    """
    machine = {'machineType': self.machine}
    if self.accelerator:
      machine['acceleratorType'] = f'NVIDIA_TESLA_{self.accelerator.upper()}'
      machine['acceleratorCount'] = 1
    return {
      'machineSpec': machine,
      'replicaCount': len(self.nodes),
      'containerSpec': {'imageUri': f'{_IMAGES.value}/{job}-{self.name}'},
    }

  def row(self) -> tuple[str, ...]:
    """Name, nodes, replicas, machine and accelerator, for a table."""
    labels = [label for label, _ in self.nodes]
    counts = {label: labels.count(label) for label in labels}
    nodes = ', '.join(
      label if count == 1 else f'{label} x {count}'
      for label, count in counts.items()
    )
    return (
      self.name,
      nodes,
      str(len(labels)),
      self.machine,
      self.accelerator or '-',
    )


def check(submits: bool):
  """Checks what can be checked before any file is written.

  Args:
    submits: whether the job is to be submitted.

  Raises:
    ValueError: if there is no XManager, no bucket, or there are no credentials.
  """
  if not os.path.exists(_requirements()):
    raise ValueError(
      f'{_requirements()} is not there, which the containers install; run this '
      'from a checkout of the repository.'
    )
  if not submits:
    return
  if importlib.util.find_spec('xmanager') is None:
    raise ValueError(
      'the package xmanager is not installed, through which Launchpad reaches '
      "Vertex AI; install it with: pip install 'ald-acme[cluster]', or give "
      '--dry_run to write the files alone.'
    )
  if _BUCKET not in os.environ:
    raise ValueError(
      f'the variable {_BUCKET} must name the bucket that holds the run; set it.'
    )
  from google import auth
  from google.auth import exceptions

  try:
    auth.default()
  except exceptions.DefaultCredentialsError as error:
    raise ValueError(
      'there are no credentials of Google Cloud; get some with: gcloud auth '
      'application-default login'
    ) from error


def folder_of(run: run_folder.RunFolder) -> str:
  """The folder of a job's files within its run's."""
  return os.path.join(run.path, 'vertex_ai')


def remove(run: run_folder.RunFolder):
  """Removes a job's files from its run's folder."""
  shutil.rmtree(folder_of(run), ignore_errors=True)


def folder_inside(run: run_folder.RunFolder) -> run_folder.RunFolder:
  """The run's folder as its nodes see it: in the bucket, as Vertex mounts it.

  Args:
    run: folder of the run here.
  """
  # A dry run need not know it; the name says what is missing.
  bucket = os.environ.get(_BUCKET, f'{_BUCKET}-IS-NOT-SET')
  return run_folder.RunFolder(f'/gcs/{bucket}/{os.path.basename(run.path)}')


def revive(program: lp.Program):
  """Makes nodes restart without which the program can go on.

  Vertex AI ends a job when one of its replicas has failed.

  Args:
    program: of `programs.make`, to change.
  """
  from launch.clusters import colocation  # Imports Launchpad.

  for label in programs.POOLS['actors']:
    colocation.revive(program, label)


def pools(program: lp.Program) -> list[Pool]:
  """The worker pools, in the order that Launchpad gives them.

  Args:
    program: of `programs.make`.

  Raises:
    UsageError: if nodes fit no machine.
  """
  by_kind: dict[str, list[tuple[str, lp.PyNode]]] = {}
  for label, nodes in program.groups.items():
    kind = by_kind.setdefault(programs.pool_of(label), [])
    kind += [(label, node) for node in nodes]
  ordered = list(by_kind.items())
  # Vertex AI wants one replica in the first pool.
  single = next((item for item in ordered if len(item[1]) == 1), None)
  if single:
    ordered.remove(single)
    ordered.insert(0, single)
  else:
    kind, nodes = ordered[0]
    ordered = [(kind, nodes[:1]), *ordered[1:], (kind, nodes[1:])]
  return [
    Pool(f'workerpool{number}', nodes, *_machine(kind, nodes))
    for number, (kind, nodes) in enumerate(ordered)
  ]


def _machine(kind: str, nodes) -> tuple[str, str | None]:
  """The machine and the accelerator of a pool's replicas."""
  if kind == 'replay':
    return 'n1-highmem-4', None
  if kind == 'learner':
    accelerator = _ACCELERATOR.value
    return 'n1-standard-8', None if accelerator == 'none' else accelerator
  if kind == 'distill':
    ((_, host),) = nodes
    for name in _MANY_CORES:
      if _MACHINES[name][0] >= host.processes:
        return name, None
    distillers = host.processes - 1
    raise command_line.UsageError(
      f'num_distillers must be at most {_MACHINES[name][0] - 1}, which is what '
      f'the largest machine ({name}) has cores for beside their parameters, '
      f'but received {distillers}; give fewer.'
    )
  return 'n1-standard-4', None


def write(
  program: lp.Program, parts: list[Pool], run: run_folder.RunFolder
) -> str:
  """Writes the job and its containers; what was there before is replaced.

  Args:
    program: of `programs.make`.
    parts: of `pools`.
    run: folder of the run here.

  Returns:
    The folder: `custom_job.json`, `Dockerfile`, `code/`, and for each pool a
    folder with its nodes and requirements.
  """
  from launchpad.launch import serialization

  from agents import internals

  path = folder_of(run)
  remove(run)
  _copy_code(path, run)
  # All addresses are bound before the first node is pickled: it may know any.
  for part in parts:
    for instance, (_, node) in enumerate(part.nodes):
      internals.initialize_for_vertex_ai(node)
      node.bind_addresses(cluster=part.name, instance=instance)
  for part in parts:
    os.makedirs(os.path.join(path, part.name))
    _write_requirements(_requirements_of(part, path), part)
    serialization.serialize_functions(
      os.path.join(path, part.name, 'job.pkl'),
      part.name,
      [node.function for _, node in part.nodes],
    )
  files.write_json(
    os.path.join(path, 'custom_job.json'),
    {
      'displayName': program.name,
      'jobSpec': {
        'workerPoolSpecs': [part.specification(program.name) for part in parts]
      },
    },
  )
  with open(os.path.join(path, 'Dockerfile'), 'w', encoding='utf-8') as file:
    file.write(_dockerfile())
  return path


def _copy_code(path: str, run: run_folder.RunFolder):
  """Copies the code; leaves out runs, this one wherever it is."""

  def ignored(folder, names):
    here = {n for n in names if os.path.join(folder, n) == run.path}
    return _NOT_CODE(folder, names) | here

  code = os.path.join(path, 'code')
  shutil.copytree(bootstrap.ROOT, code, ignore=ignored)
  entry = os.path.join('nodes', 'python', 'process_entry.py')
  package = importlib.util.find_spec('launchpad').submodule_search_locations[0]
  shutil.copy(os.path.join(package, entry), code)


def _write_requirements(path: str, part: Pool):
  """Writes what a pool's container installs: CUDA where it is of use."""
  from agents import cuda

  with open(_requirements(), encoding='utf-8') as file:
    lines = file.read().splitlines()
  if part.accelerator:
    lines += cuda.WHEELS
  with open(path, 'w', encoding='utf-8') as file:
    file.write('\n'.join(lines) + '\n')


def _requirements() -> str:
  return os.path.join(bootstrap.ROOT, 'requirements.txt')


def _requirements_of(part: Pool, path: str) -> str:
  return os.path.join(path, part.name, 'requirements.txt')


def _dockerfile() -> str:
  version = f'{sys.version_info.major}.{sys.version_info.minor}'
  return f"""\
# One image for each worker pool, built in this folder:
#   docker build --build-arg=POOL=workerpool0 --tag=... .
FROM python:{version}
ARG POOL
COPY ${{POOL}}/requirements.txt .
# With xmanager comes what Launchpad ends the job with.
RUN python -m pip install -r requirements.txt xmanager==0.1.3
COPY code /code
COPY ${{POOL}}/job.pkl /code/
WORKDIR /code
# The index of the replica, in CLUSTER_SPEC, is that of its node.
ENTRYPOINT ["python", "-m", "process_entry", "--data_file=job.pkl"]
"""


def launch(program: lp.Program, parts: list[Pool], path: str):
  """Submits a job as Launchpad does.

  Args:
    program: of `programs.make`.
    parts: of `pools`; Launchpad comes to the same.
    path: of `write`.

  Raises:
    ValueError: if that fails, with what is said.
  """
  import launchpad as lp
  from xmanager import xm

  resources = {}
  configs = {}
  for part in parts:
    kind = (part.machine, part.accelerator)
    if kind not in configs:
      cpu, memory = _MACHINES[part.machine]
      accelerators = {part.accelerator: 1} if part.accelerator else {}
      configs[kind] = lp.DockerConfig(
        os.path.join(path, 'code'),
        _requirements_of(part, path),
        xm.JobRequirements(cpu=cpu, ram=memory * xm.GiB, **accelerators),
      )
    for label, _ in part.nodes:
      resources[label] = configs[kind]
  try:
    lp.launch(
      program, launch_type=lp.LaunchType.VERTEX_AI, xm_resources=resources
    )
  except Exception as error:  # Of Docker, of Google's clients, and others.
    said = ' '.join(str(error).split())
    raise ValueError(
      f'Launchpad cannot launch the job: {type(error).__name__}: {said}'
    ) from error

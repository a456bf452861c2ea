"""A job of Vertex AI: its worker pools, specification and containers."""

from __future__ import annotations

import dataclasses
import importlib.util
import os
import shutil
import sys
import typing
from typing import Any

from ald_acme.runs import files
from ald_acme.runs import folder as run_folder
from launch import bootstrap
from launch import command_line
from launch.clusters import programs
from launch.clusters import tasks

if typing.TYPE_CHECKING:
  import launchpad as lp

_BUCKET = 'GOOGLE_CLOUD_BUCKET_NAME'  # The name in XManager.
# vCPUs and GiB of memory, by machine type.
_MACHINES = {
  'n1-standard-4': (4, 15),
  'n1-standard-8': (8, 30),
  'n1-highmem-4': (4, 26),
  'n1-highcpu-16': (16, 14),
  'n1-highcpu-32': (32, 28),
  'n1-highcpu-64': (64, 57),
  'n1-highcpu-96': (96, 86),
}
ACCELERATORS = ('p4', 'p100', 't4', 'v100')
_MANY_CORES = [name for name in _MACHINES if 'highcpu' in name]
# Not copied: history, virtual environments, runs, results and caches.
_NOT_CODE = shutil.ignore_patterns(
  '.*', '__pycache__', '*.pyc', 'runs', 'results', 'tests', '*.egg-info'
)


@dataclasses.dataclass(frozen=True)
class Pool:
  """A pool of machines of one type; each runs one node.

  Attributes:
    name: name of the pool in Vertex AI, such as 'workerpool0'.
    nodes: groups and their nodes, in the order of the pool's replicas.
    machine: the machine type.
    accelerator: accelerator of each machine, if any.
  """

  name: str
  nodes: list[tuple[str, lp.PyNode]]
  machine: str
  accelerator: str | None

  def specification(self, job: str, images: str) -> dict[str, Any]:
    """The pool as a WorkerPoolSpec of Vertex AI.

    Args:
      job: name of the job.
      images: registry of the container images.
    """
    machine: dict[str, Any] = {'machineType': self.machine}
    if self.accelerator:
      machine['acceleratorType'] = f'NVIDIA_TESLA_{self.accelerator.upper()}'
      machine['acceleratorCount'] = 1
    return {
      'machineSpec': machine,
      'replicaCount': len(self.nodes),
      'containerSpec': {'imageUri': f'{images}/{job}-{self.name}'},
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


def check(submits: bool) -> None:
  """Checks the prerequisites before any file is written.

  Args:
    submits: whether the job will be submitted.

  Raises:
    ValueError: if requirements.txt, XManager, the bucket or the credentials are
      missing.
  """
  if not os.path.exists(_requirements()):
    raise ValueError(
      f'{_requirements()}, which the containers install, does not exist; run '
      'this from a checkout of the repository.'
    )
  if not submits:
    return
  if importlib.util.find_spec('xmanager') is None:
    raise ValueError(
      'the package xmanager, which Launchpad needs for Vertex AI, is not '
      'installed; install it with: pip install -c requirements.txt '
      '".[cluster]", or give --dry_run to only write the files.'
    )
  if _BUCKET not in os.environ:
    raise ValueError(
      f'the environment variable {_BUCKET} is not set; set it to the bucket of '
      'the run.'
    )
  from google import auth
  from google.auth import exceptions

  try:
    auth.default()
  except exceptions.DefaultCredentialsError as error:
    raise ValueError(
      'no credentials for Google Cloud were found; create them with: gcloud '
      'auth application-default login'
    ) from error


def folder_of(run: run_folder.RunFolder) -> str:
  """The folder of a job's files, in the run's folder."""
  return os.path.join(run.path, 'vertex_ai')


def remove(run: run_folder.RunFolder) -> None:
  """Removes a job's files from the run's folder."""
  shutil.rmtree(folder_of(run), ignore_errors=True)


def folder_inside(run: run_folder.RunFolder) -> run_folder.RunFolder:
  """The run's folder on the nodes, where Vertex AI mounts the bucket.

  Args:
    run: folder of the run on this machine.
  """
  # A dry run works without a bucket; the path then says that it is missing.
  bucket = os.environ.get(_BUCKET, f'{_BUCKET}-IS-NOT-SET')
  return run_folder.RunFolder(f'/gcs/{bucket}/{os.path.basename(run.path)}')


def revive(program: lp.Program) -> None:
  """Makes the nodes restart that the program can lose.

  Vertex AI ends a job when one of its replicas fails.

  Args:
    program: from `programs.make`; changed in place.
  """
  from launch.clusters import colocation  # Imports Launchpad.

  for label in programs.POOLS['actors']:
    colocation.revive(program, label)


def pools(program: lp.Program, accelerator: str | None) -> list[Pool]:
  """The worker pools, in Launchpad's order.

  Args:
    program: from `programs.make`.
    accelerator: of the learner and of its runner: one of `ACCELERATORS`, or
      None.

  Raises:
    UsageError: if no machine is large enough for a node.
  """
  by_kind: dict[str, list[tuple[str, lp.PyNode]]] = {}
  for label, nodes in program.groups.items():
    kind = by_kind.setdefault(programs.pool_of(label), [])
    kind += [(label, node) for node in nodes]
  ordered = list(by_kind.items())
  # Vertex AI requires exactly one replica in the first pool.
  single = next((item for item in ordered if len(item[1]) == 1), None)
  if single:
    ordered.remove(single)
    ordered.insert(0, single)
  else:
    (first, several), *others = ordered
    ordered = [(first, several[:1]), *others, (first, several[1:])]
  return [
    Pool(f'workerpool{number}', nodes, *_machine(kind, nodes, accelerator))
    for number, (kind, nodes) in enumerate(ordered)
  ]


def _machine(
  kind: str, nodes: list[tuple[str, Any]], accelerator: str | None
) -> tuple[str, str | None]:
  """Returns machine type and accelerator of a pool's replicas."""
  if kind == 'replay':
    return 'n1-highmem-4', None
  if kind == 'learner':
    return 'n1-standard-8', accelerator
  if kind == 'distill':
    ((_, host),) = nodes
    for name in _MANY_CORES:
      if _MACHINES[name][0] >= host.processes:
        return name, None
    distillers = host.processes - 1
    raise command_line.UsageError(
      f'num_distillers must be at most {_MACHINES[name][0] - 1}, but received '
      f'{distillers}: each takes a core of the largest machine ({name}), and '
      'their parameters take another; give fewer.'
    )
  return 'n1-standard-4', None


def write(
  program: lp.Program,
  parts: list[Pool],
  run: run_folder.RunFolder,
  images: str,
) -> str:
  """Writes the job and the inputs of its containers; replaces earlier files.

  Args:
    program: from `programs.make`.
    parts: from `pools`.
    run: folder of the run on this machine.
    images: registry of the container images, for `custom_job.json`.

  Returns:
    The folder, with `custom_job.json`, `Dockerfile`, `code/`, and for each pool
    a folder with its nodes and requirements.
  """
  from launchpad.launch import serialization

  from agents import internals

  path = folder_of(run)
  remove(run)
  _copy_code(path, run)
  # Bind all addresses before pickling any node: it may hold any of them.
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
        'workerPoolSpecs': [
          part.specification(program.name, images) for part in parts
        ]
      },
    },
  )
  with open(os.path.join(path, 'Dockerfile'), 'w', encoding='utf-8') as file:
    file.write(_dockerfile())
  return path


def _copy_code(path: str, run: run_folder.RunFolder) -> None:
  """Copies the code without runs; this run may be in any folder."""

  def ignored(folder: str, names: list[str]) -> set[str]:
    here = {n for n in names if os.path.join(folder, n) == run.path}
    return _NOT_CODE(folder, names) | here

  code = os.path.join(path, 'code')
  shutil.copytree(bootstrap.ROOT, code, ignore=ignored)
  shutil.copy(tasks.entry_point(), code)


def _write_requirements(path: str, part: Pool) -> None:
  """Writes a pool's requirements, with CUDA if it has an accelerator."""
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
# Launchpad ends the job through a package that xmanager installs.
RUN python -m pip install -r requirements.txt xmanager==0.1.3
COPY code /code
COPY ${{POOL}}/job.pkl /code/
WORKDIR /code
# CLUSTER_SPEC holds the replica's index, which selects its node.
ENTRYPOINT ["python", "-m", "process_entry", "--data_file=job.pkl"]
"""


def launch(program: lp.Program, parts: list[Pool], path: str) -> None:
  """Submits a job through Launchpad.

  Args:
    program: from `programs.make`.
    parts: from `pools`; Launchpad derives the same pools.
    path: from `write`.

  Raises:
    ValueError: if Launchpad raises, with its message.
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
  except Exception as error:  # From Docker, Google's clients and others.
    said = ' '.join(str(error).split())
    raise ValueError(
      f'Launchpad cannot launch the job: {type(error).__name__}: {said}'
    ) from error

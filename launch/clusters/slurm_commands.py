"""Calls of Slurm's commands."""

import os
import subprocess

# What the commands say if they do not reach a controller.
_UNREACHABLE = (
  'Could not establish a configuration source',
  'Unable to contact slurm controller',
  'resolve_ctls_from_dns_srv',
  'slurm.conf',
)


def partitions() -> list[str]:
  """Names of all partitions, sorted."""
  shown = _run('sinfo', '--all', '--noheader', '--format=%R')
  return sorted(set(shown.split()))


def submit(script: str) -> str:
  """Submits a job and returns its number.

  Raises:
    ValueError: if Slurm refuses it, with what it says.
  """
  try:  # Otherwise Slurm may accept jobs that fit no host.
    _run('sbatch', '--test-only', script)
  except ValueError as error:
    cure = "change the job's resources, or inspect it with --dry_run"
    if any(sign in str(error) for sign in _UNREACHABLE):
      cure = 'run this on a submission host of the cluster'
    raise ValueError(f'{error}; {cure}.') from error
  # The cluster's name may follow.
  return _run('sbatch', '--parsable', script).strip().split(';')[0]


def is_queued(job: str) -> bool:
  """Whether a job is pending or running."""
  try:
    return bool(_run('squeue', '--noheader', f'--jobs={job}').strip())
  except ValueError as error:
    if 'Invalid job id' in str(error):
      return False
    raise


def requeue() -> None:
  """Requeues the Slurm job of this process.

  Raises:
    ValueError: if Slurm refuses it, with what it says.
  """
  _run('scontrol', 'requeue', os.environ['SLURM_JOB_ID'])


def host_names(hosts: str) -> list[str]:
  """The names in a list of hosts as Slurm writes it, such as 'n[3-5,7]'."""
  return _run('scontrol', 'show', 'hostnames', hosts).split()


def _run(*command: str) -> str:
  """Runs a command; returns its output."""
  try:
    done = subprocess.run(
      command, capture_output=True, text=True, check=False, timeout=60
    )
  except (OSError, subprocess.TimeoutExpired) as error:
    raise ValueError(f'{command[0]} cannot be run: {error}') from error
  if done.returncode:
    said = done.stderr.strip() or 'no error message'
    raise ValueError(f'{command[0]} ended with {done.returncode}: {said}')
  return done.stdout

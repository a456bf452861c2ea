"""The flags of a Slurm job."""

import dataclasses

from absl import flags

_BASE_PORT = flags.DEFINE_integer(
  'base_port',
  None,
  'Slurm: the first port that the nodes listen on; by default derived from the '
  "job's number, so that jobs can share a host.",
  lower_bound=1024,
  upper_bound=60_000,  # Leaves room for later ports.
)
_PARTITION = flags.DEFINE_string(
  'partition', None, "Slurm: partition; by default the cluster's."
)
_TIME = flags.DEFINE_string(
  'time',
  None,
  'Slurm: time limit, such as 2:00:00. A job that reaches it saves a '
  'checkpoint first.',
)
_CPUS = flags.DEFINE_integer('cpus', 1, 'Slurm: CPUs per task.', lower_bound=1)
_LEARNER_CPUS = flags.DEFINE_integer(
  'learner_cpus',
  None,
  'Slurm: CPUs of the learner and its runner; by default as --cpus.',
  lower_bound=1,
)
_LEARNER_GRES = flags.DEFINE_string(
  'learner_gres',
  None,
  'Slurm: accelerators of learner and runner, such as gpu:1.',
)
_DISTILL_CPUS = flags.DEFINE_integer(
  'distill_cpus',
  None,
  'Slurm: CPUs of the task with all distillers and their parameters; by '
  'default as --cpus.',
  lower_bound=1,
)
_MEM_PER_CPU = flags.DEFINE_string(
  'mem_per_cpu',
  '2G',
  "Slurm: memory per CPU, in sbatch's units; '' for the site's default. "
  'docs/cluster.md has the needs of nodes.',
)
_SBATCH = flags.DEFINE_multi_string(
  'sbatch',
  [],
  # absl continues the sentence.
  'Slurm: another option of sbatch, such as --sbatch=--account=mine',
)


@dataclasses.dataclass(frozen=True)
class SlurmOptions:
  """Resources of a Slurm job; None means the default in the help of the flag.

  Attributes:
    partition: partition of the cluster.
    time: time limit.
    cpus: CPUs per task.
    mem_per_cpu: memory per CPU; '' for the site's default.
    sbatch: further options of sbatch.
    base_port: the first port that the nodes listen on.
    learner_cpus: CPUs of the learner and its runner.
    learner_gres: accelerators of the learner and its runner.
    distill_cpus: CPUs of the task with all distillers.
  """

  partition: str | None
  time: str | None
  cpus: int
  mem_per_cpu: str
  sbatch: tuple[str, ...]
  base_port: int | None
  learner_cpus: int | None
  learner_gres: str | None
  distill_cpus: int | None

  def job_flags(self) -> list[str]:
    """The flags that a job receives when it starts."""
    names = (
      'base_port',
      'cpus',
      'learner_cpus',
      'learner_gres',
      'distill_cpus',
    )
    values = {name: getattr(self, name) for name in names}
    return [f'--{k}={v}' for k, v in values.items() if v is not None]

  def sbatch_options(self) -> list[str]:
    """Options of sbatch that all jobs take."""
    values = {
      '--partition': self.partition,
      '--time': self.time,
      '--mem-per-cpu': self.mem_per_cpu,
    }
    return [*(f'{k}={v}' for k, v in values.items() if v), *self.sbatch]


def read() -> SlurmOptions:
  """The options from the parsed flags."""
  return SlurmOptions(
    partition=_PARTITION.value,
    time=_TIME.value,
    cpus=_CPUS.value,
    mem_per_cpu=_MEM_PER_CPU.value,
    sbatch=tuple(_SBATCH.value),
    base_port=_BASE_PORT.value,
    learner_cpus=_LEARNER_CPUS.value,
    learner_gres=_LEARNER_GRES.value,
    distill_cpus=_DISTILL_CPUS.value,
  )

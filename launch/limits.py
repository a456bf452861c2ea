"""Rejects settings that exceed the machine's memory.

The estimates are lower bounds; a run needs more.
"""

from collections.abc import Mapping
import os
import shutil
from typing import Any

from agents import catalogue
from agents import settings
from ald_acme.networks import sizes as network_sizes
from launch import command_line

_CLUSTER = 2**44  # 16 TiB: no host of a cluster has more.
_PROCESS = 64 * 2**20  # An actor was measured to use 110 MiB.
_OTHER_NODES = 6  # Replay, counter, learner, its runner, evaluator, monitor.
_DISK = 10_000_000  # Bytes of logs and checkpoints of a short run.
_FLOAT = 4  # Bytes.
_STEP = 5 * _FLOAT  # Per frame: action, reward, discount, two logits.


def check(
  made: settings.Settings, local: bool, network_factory: str | None = None
) -> None:
  """Checks that a run's minimum memory fits.

  Args:
    made: settings of the run.
    local: whether all nodes are on this machine.
    network_factory: network factory, if not the default networks; its attention
      is unknown.

  Raises:
    UsageError: if it cannot fit.
  """
  memory = _memory() if local else _CLUSTER
  where = 'this machine has' if local else 'no machine has more than'
  flat = made.flat()
  for fields, needed in _needs(made, local, network_factory):
    if needed > memory:
      known = [field for field in fields if field.split('.')[0] in flat]
      values = ', '.join(f'{field}={_value(flat, field)}' for field in known)
      raise command_line.UsageError(
        f'{values} needs at least {_bytes(needed)} of memory, but {where} '
        f'{_bytes(memory)}; choose smaller values.'
      )


def check_disk(path: str) -> None:
  """Rejects a run's folder on a full disk.

  Args:
    path: path of the folder, which need not exist.

  Raises:
    ValueError: if almost no space is left.
  """
  there = os.path.abspath(path)
  while not os.path.isdir(there):
    there = os.path.dirname(there)
  free = shutil.disk_usage(there).free
  if free < _DISK:
    raise ValueError(
      f'workdir {path!r} is on a disk with {_bytes(free)} left, but a run '
      f'needs at least {_bytes(_DISK)}; free some space, or choose another '
      '--workdir.'
    )


def _needs(
  made: settings.Settings, local: bool, network_factory: str | None
) -> list[tuple[tuple[str, ...], int]]:
  """Fields, and the bytes that they need."""
  config, run, networks = made.config, made.experiment, made.config.networks
  # Not every agent has these.
  distill_batch, num_distillers = (
    getattr(config, name, 0) for name in ('distill_batch', 'num_distillers')
  )
  features = 0  # Bytes of a step.
  distilled = getattr(config, 'feature_learning_rate', 0.0)
  if distilled and not network_factory and networks.learner_core == 'gtrxl':
    features = _FLOAT * networks.gtrxl_width
  attends = catalogue.attends(made.agent) and network_factory is None
  frames = (config.unroll_length + 1) * config.envs_per_actor
  item = frames * _STEP + config.envs_per_actor * _memories(networks)
  needs = [
    (
      tuple(f'networks.{name}' for name in ('torso', 'lstm')),
      2 * _FLOAT * _lstm(networks),  # Shared, and each distiller's copy.
    ),
    (
      tuple(f'networks.gtrxl_{n}' for n in ('width', 'layers', 'mlp')),
      4 * _FLOAT * _gtrxl(networks),  # With the optimiser and the runner.
    ),
    (('networks.image_channels',), _FLOAT * networks.image_channels),
    (
      (
        'learner_batch',
        'unroll_length',
        'envs_per_actor',
        'networks.lstm',
        'networks.gtrxl_memory',
      ),
      config.learner_batch * item,
    ),
    (
      (
        'distill_batch',
        'unroll_length',
        'envs_per_actor',
        'networks.gtrxl_width',
      ),
      distill_batch * frames * (_STEP + features),
    ),
    (
      (
        'unroll_length',
        'envs_per_actor',
        'learner_batch',
        'networks.gtrxl_heads',
        'networks.gtrxl_layers',
        'networks.gtrxl_memory',
      ),
      attends * _attention(config),
    ),
    (('evaluation_episodes',), run.evaluation_episodes * _STEP),
    (('evaluation_envs',), run.evaluation_envs * _STEP),
    (
      ('learner_evaluation_episodes',),
      run.learner_evaluation_episodes * _STEP,
    ),
  ]
  if local:
    nodes = run.num_actors + num_distillers + run.num_cachers
    needs.append(
      (
        ('num_actors', 'num_distillers'),
        (nodes + _OTHER_NODES) * _PROCESS + run.num_actors * frames * _STEP,
      )
    )
  return needs


def _lstm(networks: network_sizes.NetworkSizes) -> int:
  """Number of parameters, without those that depend on the environment."""
  return 4 * networks.lstm * (networks.lstm + networks.torso)


def _gtrxl(networks: network_sizes.NetworkSizes) -> int:
  """As `_lstm`: attention, position-wise network and gates per layer."""
  width = networks.gtrxl_width
  layer = 5 * width**2 + 2 * width * networks.gtrxl_mlp + 12 * width**2
  return networks.gtrxl_layers * layer


def _attention(config: Any) -> int:
  """Bytes of the learner's attention in an update.

  Each step of an unroll attends to earlier steps and to the memory. All layers
  keep their weights for the gradient, and one layer has three arrays of that
  size. Measured: 1.5 to 2.5 times as much.
  """
  networks, length = config.networks, config.unroll_length
  weights = length * (networks.gtrxl_memory + length)
  batch = config.learner_batch * config.envs_per_actor * networks.gtrxl_heads
  return _FLOAT * (networks.gtrxl_layers + 2) * batch * weights


def _memories(networks: network_sizes.NetworkSizes) -> int:
  """Bytes of both networks' recurrent states for one environment."""
  steps = networks.gtrxl_layers * networks.gtrxl_memory
  return _FLOAT * (2 * networks.lstm + steps * networks.gtrxl_width)


def _memory() -> int:
  """Bytes of memory and swap."""
  with open('/proc/meminfo', encoding='utf-8') as file:
    lines = dict(line.split(':') for line in file)
  kilobytes = sum(
    int(lines[name].split()[0]) for name in ('MemTotal', 'SwapTotal')
  )
  return kilobytes * 1024


def _value(flat: Mapping[str, Any], field: str) -> Any:
  value = flat
  for name in field.split('.'):
    value = value[name]
  return value


def _bytes(number: float) -> str:
  """Formats bytes: '3.2 TB', in powers of 1000."""
  units = ['PB', 'TB', 'GB', 'MB', 'kB']
  unit = 'bytes'
  while number >= 1000 and units:
    number, unit = number / 1000, units.pop()
  return f'{number:,.3g} {unit}'
